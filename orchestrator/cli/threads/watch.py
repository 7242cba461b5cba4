"""`orchestrator watch`: the progress of a run in any process, as `run` shows it."""

import time
from typing import Annotated

import typer

from orchestrator.cli.echo import command, echo, echo_json
from orchestrator.cli.interruption import CTRL_C
from orchestrator.cli.options import Db, Json, Thread
from orchestrator.cli.threads.commands import open_reader


class RecordClock:
    """The clock of a display that is fed with records: their own time while it catches up, and then the time of day."""

    def __init__(self) -> None:
        self.at: float | None = None

    def __call__(self) -> float:
        """Return Unix time in seconds."""
        return time.time() if self.at is None else self.at


def watch(
    thread: Thread,
    plain: Annotated[bool, typer.Option("--plain", help="Print lines, also at a terminal.")] = False,
    db: Db = None,
    as_json: Json = False,
) -> None:
    """Watch the run of a thread.

    The run may be in any process. Ctrl-C ends the watching, and never the run. Words as they stream are not shown: they
    are in no journal.
    It ends when the run ends or waits for a human, with the exit code that `run` would have.
    """
    from orchestrator.cli.console import err
    from orchestrator.cli.output import print_end, print_waterfall
    from orchestrator.cli.progress.display import open_display
    from orchestrator.cli.progress.plain import PlainDisplay
    from orchestrator.cli.threads.watched_events import WatchedEvents, newest_task

    again = command("watch", thread, db=db)
    with open_reader(db) as threads:
        # Set before the first look: from here on there is something to watch.
        known = threads.journal(thread)
        CTRL_C.way_on = lambda: f"the run is as it was; watch it again with: {again}"
        if not as_json:
            # A thread with several tasks is watched from the beginning of its newest one.
            began, clock = newest_task(known)[:1], RecordClock()
            since = began[0].seq - 1 if began else 0
            clock.at = began[0].at.timestamp() if began else None
            # The beginning of a request reaches the journal late, so an agent that seems idle may be asking its model.
            # The display adds up what it is told, so it needs the records from the beginning.
            events = WatchedEvents()
            if not threads.is_running(thread):
                echo(f"{thread} is not running; this is how it went:", err=True)
            with PlainDisplay(err, clock) if plain else open_display(err, clock, "at work") as display:
                for record in threads.follow(thread, since):
                    clock.at = record.at.timestamp()
                    for event in events.of(record):
                        display.tell(event)
                    clock.at = None
                # A killed process tells of no end.
                for event in events.unfinished():
                    display.tell(event)
        else:
            for _ in threads.follow(thread):
                pass
        run = threads.show(thread)
        if not as_json:
            print_waterfall(threads.journal(thread), run.status, db)
    if as_json:
        echo_json(run.to_dict())
    else:
        print_end(run, db)
    raise typer.Exit(run.exit_code)
