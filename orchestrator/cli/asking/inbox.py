"""`orchestrator review`: the open reviews of all threads, asked one after the other."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.echo import command, echo
from orchestrator.cli.interruption import CTRL_C
from orchestrator.cli.options import Db
from orchestrator.cli.reviews import NOTHING_WAITS, may_wait
from orchestrator.cli.run import resume
from orchestrator.cli.threads.commands import open_client
from orchestrator.errors import EXIT_DONE, ConfigError, DecisionError

if TYPE_CHECKING:
    from orchestrator.reviews.review import Review
    from orchestrator.runs.client import OrchestratorClient


def review(
    thread: Annotated[str | None, typer.Option("--thread", help="Only the reviews of this thread.")] = None,
    go_on: Annotated[bool, typer.Option("--resume", help="Resume the threads that were decided on.")] = False,
    db: Db = None,
) -> None:
    """Walk through the open reviews, those of the newest thread first. Enter skips one, and q quits."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ConfigError("this asks at a terminal, and here is none: `orchestrator reviews` lists, `decide` answers")
    # Each decision is durable when the next question is asked, so an interruption loses none.
    CTRL_C.way_on = lambda: f"go on with: {command('review', *(['--thread', thread] if thread else []), db=db)}"
    if not may_wait(thread, db):
        echo(NOTHING_WAITS)
        return
    with open_client(db) as client:
        open_reviews = client.reviews(thread)
        if not open_reviews:
            echo(NOTHING_WAITS)
            return
        decided = _walk(client, open_reviews)
        at_work = [name for name in decided if client.persistence.is_leased(name)]
        left = len(client.reviews(thread))
    for name in at_work:
        echo(f"{name} is at work, and goes on with the decision")
    resting = [name for name in decided if name not in at_work]
    if left:
        echo(f"{left} {'review is' if left == 1 else 'reviews are'} still open")
    if go_on:
        raise typer.Exit(max((_resumed(name, db) for name in resting), default=EXIT_DONE))
    for name in resting:
        echo(f"go on with: {command('resume', name, db=db)}")


def _walk(client: "OrchestratorClient", open_reviews: "list[Review]") -> list[str]:
    """Ask each review, and return the threads that were decided on."""
    from orchestrator.cli.asking.ask import QuitError, ask_at_terminal
    from orchestrator.cli.asking.editing import keep
    from orchestrator.cli.console import err

    decided: dict[str, bool] = {}
    for number, each in enumerate(open_reviews, 1):
        if decided.get(each.thread_id):  # a stop answers all questions of its thread
            continue
        err.rule(f"{number} of {len(open_reviews)}: {each.thread_id}", style="dim")
        try:
            decision = ask_at_terminal(each, err, can_quit=True)
        except QuitError:
            break
        if decision is None:
            continue
        try:
            client.decide(each, decision.action, decision.text, decision.data)
        except DecisionError as error:  # such as one that was answered elsewhere meanwhile
            kept = f"; your edit is kept in {keep(each, decision)}" if decision.action == "edit" else ""
            echo(f"{error}{kept}", err=True)
            continue
        echo(f"recorded: {decision.action} for {each.id}")
        decided[each.thread_id] = decision.action == "stop"
    return list(decided)


def _resumed(thread: str, db: str | None) -> int:
    """Resume a thread, and return the exit code of its run."""
    try:
        resume(thread, db=db)
    except typer.Exit as end:
        return end.exit_code
    return EXIT_DONE
