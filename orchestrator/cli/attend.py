"""Attending a run: showing its progress, asking its reviews at the terminal, and saying how it can be continued."""

import os
import sys
from collections.abc import Callable, Generator
from dataclasses import replace

import typer

from orchestrator.cli.asking.terminal import Terminal
from orchestrator.cli.console import err
from orchestrator.cli.echo import command, echo, echo_json
from orchestrator.cli.interruption import CTRL_C
from orchestrator.cli.output import print_end, print_json, print_waterfall
from orchestrator.cli.progress.display import Display, open_display
from orchestrator.cli.threads.watched_events import events_so_far
from orchestrator.errors import EXIT_FAILED, OrchestratorError, PersistenceError
from orchestrator.events import Event
from orchestrator.models import embedded
from orchestrator.models.profile import ModelProfile
from orchestrator.runs.run import Run
from orchestrator.runs.task_orchestrator import TaskOrchestrator

embedded.loading = CTRL_C.ending_at_once

Items = Generator[Event | Run, None, None]


def attend(
    orchestrator: TaskOrchestrator, start: Callable[..., Run], *, as_json: bool, db: str | None, thread_id: str = ""
) -> Run:
    """Run until the run ends, or waits for decisions that nobody gives here. Print the result.

    Args:
        orchestrator: The orchestrator of the run.
        start: Starts the run; takes `on_event` and `on_review`.
        as_json: Print one JSON object, show no progress and ask nothing.
        db: The database as the user named it, for the commands that are printed.
        thread_id: The thread that is resumed; empty for a new task.
    """
    print_model(orchestrator)
    _tell_after_ctrl_c(orchestrator, db)
    try:
        run = follow(start, None if as_json else display_for(orchestrator, thread_id), asks=can_ask() and not as_json)
    except KeyboardInterrupt:
        CTRL_C.tell()
        raise
    except OrchestratorError as error:
        print_how_to_resume("the thread is kept", orchestrator.thread_id, db)
        # A script gets its JSON object from a failed run too. After a PersistenceError the thread cannot be read.
        if as_json and orchestrator.thread_id and not isinstance(error, PersistenceError):
            run = orchestrator.show(orchestrator.thread_id)
            print_json(replace(run, errors=(*run.errors, str(error))))
        raise
    if as_json:
        print_json(run)
    else:
        if err.is_terminal:
            print_waterfall(orchestrator.journal(run.thread_id), run.status, db)
        print_end(run, db)
    return run


def print_model(orchestrator: TaskOrchestrator) -> None:
    """Print the model of the supervisor."""
    model = ModelProfile.of(orchestrator.supervisor.model).description
    err.print(f"model: {model}", style="dim", soft_wrap=True)


def can_ask() -> bool:
    """True if a person is there to be asked."""
    # Questions go to stderr, since stdout is for the answer and may be a pipe.
    return sys.stdin.isatty() and sys.stderr.isatty()


def follow(start: Callable[..., Run], display: Display | None, *, asks: bool) -> Run:
    """Run until the run ends, or waits for decisions that nobody gives here.

    Args:
        start: Starts the run; takes `on_event` and `on_review`.
        display: Shows the progress; None for no progress.
        asks: Ask the reviews at the terminal.
    """
    if display is None:
        return start(on_event=None)
    terminal = Terminal(err, display.aside) if asks else None
    try:
        with display:
            return start(on_event=display.tell, on_review=terminal)
    finally:
        if terminal is not None:
            terminal.leave()


def display_for(orchestrator: TaskOrchestrator, thread_id: str = "") -> Display:
    """Return a display for stderr.

    Args:
        orchestrator: The orchestrator of the run.
        thread_id: The thread that is resumed, whose plan and outcomes no event tells again; empty for a new task.
    """
    display = open_display(err)
    if thread_id:
        display.recall(events_so_far(orchestrator.journal(thread_id)))
    return display


def print_how_to_resume(why: str, thread_id: str, db: str | None) -> None:
    """Say why a run has ended early, and by which command it goes on."""
    if thread_id:  # empty when the run failed before it had a thread
        echo(f"{why}; go on with: {command('resume', thread_id, db=db)}", err=True)


def _tell_after_ctrl_c(orchestrator: TaskOrchestrator, db: str | None) -> None:
    """Let Ctrl-C say by which command the thread goes on, once the thread has begun."""
    before = CTRL_C.way_on

    def way_on() -> str:
        thread_id = orchestrator.thread_id
        return f"interrupted; go on with: {command('resume', thread_id, db=db)}" if thread_id else before()

    CTRL_C.way_on = way_on


def stream_json(orchestrator: TaskOrchestrator, start: Callable[[], Items], *, db: str | None) -> Run:
    """Run until the run ends, or waits for decisions. Print each event as it comes, and then the run.

    Args:
        orchestrator: The orchestrator of the run.
        start: Starts the run.
        db: The database as the user named it, for the commands that are printed.
    """
    print_model(orchestrator)
    _tell_after_ctrl_c(orchestrator, db)
    items = start()
    try:
        return _print_all(items)
    except KeyboardInterrupt:
        items.close()  # returns when the run has let go of its thread
        CTRL_C.tell()
        _print_last(orchestrator)
        raise
    except OrchestratorError as error:
        print_how_to_resume("the thread is kept", orchestrator.thread_id, db)
        if not isinstance(error, PersistenceError):  # then the thread cannot be read
            _print_last(orchestrator, str(error))
        raise
    except BrokenPipeError:
        items.close()
        # Python flushes stdout once more when it ends, and would complain about the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print_how_to_resume("nobody reads the events any more", orchestrator.thread_id, db)
        raise typer.Exit(EXIT_FAILED) from None


def _print_all(items: Items) -> Run:
    item: Event | Run | None = None
    for item in items:
        _print(item)
    assert isinstance(item, Run)
    return item


def _print(item: Event | Run) -> None:
    echo_json(item.to_dict())
    sys.stdout.flush()  # a pipe would keep lines back


def _print_last(orchestrator: TaskOrchestrator, error: str = "") -> None:
    """Print the state in which the run has left its thread, if it has one."""
    if orchestrator.thread_id:
        run = orchestrator.show(orchestrator.thread_id)
        _print(replace(run, errors=(*run.errors, error)) if error else run)
