"""`orchestrator watch`: the progress of a run in any process, as `run` shows it."""

import time
from typing import Annotated

import typer

from orchestrator.cli.echo import command, echo, echo_json
from orchestrator.cli.interruption import CTRL_C
from orchestrator.cli.options import Db, Json, Thread
from orchestrator.cli.threads.commands import open_client


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

    The run may be in any process. Ctrl-C ends the watching, and never the run.
    It ends when the run ends or waits for a human, with the exit code that `run` would have.
    """
    from orchestrator.cli.console import err
    from orchestrator.cli.output import print_end
    from orchestrator.cli.progress import PlainDisplay, open_display
    from orchestrator.cli.threads.watched_events import WatchedEvents

    again = command("watch", thread, db=db)
    with open_client(db) as client:
        # Set before the first look: from here on there is something to watch.
        known = client.journal(thread)
        CTRL_C.way_on = lambda: f"the run is as it was; watch it again with: {again}"
        if not as_json:
            began = [record for record in known if record.kind == "run_began"]
            # A thread with several tasks is watched from the beginning of its newest one.
            since, clock = (began[-1].seq - 1 if began else 0), RecordClock()
            clock.at = began[-1].at.timestamp() if began else None
            # The display adds up what it is told, so it needs the records from the beginning.
            events = WatchedEvents()
            if not client.persistence.is_leased(thread):
                echo(f"{thread} is not running; this is how it went:", err=True)
            with PlainDisplay(err, clock) if plain else open_display(err, clock) as display:
                for record in client.follow(thread, since):
                    clock.at = record.at.timestamp()
                    for event in events.of(record):
                        display.tell(event)
                    clock.at = None
                # A killed process tells of no end.
                for event in events.unfinished():
                    display.tell(event)
        else:
            for _ in client.follow(thread):
                pass
        run = client.show(thread)
    if as_json:
        echo_json(run.to_dict())
    else:
        print_end(run, db)
    raise typer.Exit(run.exit_code)
