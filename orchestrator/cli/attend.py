"""Attending a run: showing its progress, asking its reviews at the terminal, and saying how it can be continued."""

import sys
from collections.abc import Callable
from dataclasses import replace

from rich.markup import escape

from orchestrator.cli.console import err
from orchestrator.cli.echo import echo
from orchestrator.cli.output import command, print_end, print_json
from orchestrator.cli.progress import Display, open_display
from orchestrator.cli.terminal import Terminal
from orchestrator.errors import OrchestratorError, PersistenceError
from orchestrator.models.profile import ModelProfile
from orchestrator.runs.run import Run
from orchestrator.runs.task_orchestrator import TaskOrchestrator


def attend(orchestrator: TaskOrchestrator, start: Callable[..., Run], *, as_json: bool, db: str | None) -> Run:
    """Run until the run ends, or waits for decisions that nobody gives here. Print the result.

    Args:
        orchestrator: The orchestrator of the run.
        start: Starts the run; takes `on_event` and `on_review`.
        as_json: Print one JSON object, show no progress and ask nothing.
        db: The database as the user named it, for the commands that are printed.
    """
    print_model(orchestrator)
    try:
        run = follow(start, None if as_json else open_display(err), asks=can_ask() and not as_json)
    except KeyboardInterrupt:
        _print_how_to_resume("\ninterrupted", orchestrator.thread_id, db)
        raise
    except OrchestratorError as error:
        _print_how_to_resume("the thread is kept", orchestrator.thread_id, db)
        # A script gets its JSON object from a failed run too. After a PersistenceError the thread cannot be read.
        if as_json and orchestrator.thread_id and not isinstance(error, PersistenceError):
            run = orchestrator.show(orchestrator.thread_id)
            print_json(replace(run, errors=(*run.errors, str(error))))
        raise
    if as_json:
        print_json(run)
    else:
        print_end(run, db)
    return run


def print_model(orchestrator: TaskOrchestrator) -> None:
    """Print the model of the supervisor."""
    model = ModelProfile.of(orchestrator.supervisor.model).description
    err.print(f"model: {escape(model)}", style="dim", highlight=False, soft_wrap=True)


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


def _print_how_to_resume(why: str, thread_id: str, db: str | None) -> None:
    if thread_id:  # empty when the run failed before it had a thread
        echo(f"{why}; go on with: {command('resume', thread_id, db=db)}", err=True)
