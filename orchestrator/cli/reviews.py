"""`orchestrator reviews` and `decide`: questions to a human, and their answers."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from orchestrator.cli.echo import command, echo, echo_json
from orchestrator.cli.options import Db, Json
from orchestrator.cli.run import resume
from orchestrator.cli.threads.commands import open_client, open_reader
from orchestrator.errors import EXIT_FAILED, ConfigError, DecisionError

if TYPE_CHECKING:
    from orchestrator.reviews.review import Decision, Review
    from orchestrator.runs.client import OrchestratorClient

NOTHING_WAITS = "nothing waits for a human"


def reviews(
    thread: Annotated[str | None, typer.Argument(help="Only the reviews of this thread.")] = None,
    db: Db = None,
    as_json: Json = False,
) -> None:
    """List the open reviews, each with the commands that answer it."""
    open_reviews: list[Review] = []
    if may_wait(thread, db):
        with open_reader(db) as threads:
            open_reviews = threads.reviews(thread)
    if as_json:
        echo_json([review.model_dump(mode="json") for review in open_reviews])
    elif open_reviews:
        from orchestrator.cli.output import print_reviews

        print_reviews(open_reviews, db)
    else:
        echo(NOTHING_WAITS)


def may_wait(thread: str | None, db: str | None) -> bool:
    """True if a review may be open, of a thread or of any. Nothing but the list of threads is read otherwise.

    Args:
        thread: The thread; None for any.
        db: The database.
    """
    from orchestrator.runs.threads.listing import list_threads
    from orchestrator.runs.threads.record import MAY_WAIT

    return thread is not None or any(record.status in MAY_WAIT for record in list_threads(db))


def decide(
    review: Annotated[str, typer.Argument(help="The review's id.")],
    action: Annotated[str, typer.Argument(help="approve, edit, reject or stop; answer for a question of a tool.")],
    text: Annotated[
        str | None, typer.Option("--text", help="The feedback, or the edited result; JSON for other edits.")
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", help="A file with that text.")] = None,
    go_on: Annotated[bool, typer.Option("--resume", help="Resume the thread at once, if it is not at work.")] = False,
    db: Db = None,
    as_json: Json = False,
) -> None:
    """Answer a review. A run that is at work goes on with it at once; `orchestrator resume` continues any other.

    `edit` without --text and --file opens an editor.
    """
    thread = review.rpartition("/")[0]
    with open_client(db) as client:
        if action == "edit" and text is None and file is None and sys.stdin.isatty():
            decision = _record_edit(client, review)
        else:
            decision = record_answer(client, review, action, text, file)
        is_running = client.persistence.is_leased(thread)
    if go_on and not is_running:
        return resume(thread, db=db, as_json=as_json)
    if as_json:
        echo_json(decision.model_dump(mode="json"))
    else:
        way_on = "the run is at work, and goes on with it" if is_running else command("resume", thread, db=db)
        echo(f"recorded: {action} for {review}\n{'' if is_running else 'go on with: '}{way_on}")
    return None


def _record_edit(client: "OrchestratorClient", review_id: str) -> "Decision":
    """Record an edit from an editor.

    Raises:
        DecisionError: The review is not open, or was answered elsewhere meanwhile. The edit is kept.
    """
    from orchestrator.cli.asking.editing import edited, keep
    from orchestrator.cli.console import err

    thread = review_id.rpartition("/")[0]
    open_reviews = {each.id: each for each in (client.reviews(thread) if thread else ())}
    if (review := open_reviews.get(review_id)) is None or "edit" not in review.allowed:
        return client.decide(review_id, "edit")  # says what is open, or allowed
    if (decision := edited(review, err)) is None:
        raise typer.Exit(EXIT_FAILED)
    try:
        return client.decide(review, "edit", decision.text, decision.data)
    except DecisionError as error:
        raise DecisionError(f"{error}; your edit is kept in {keep(review, decision)}") from None


def record_answer(
    client: "OrchestratorClient", review_id: str, action: str, text: str | None, file: Path | None
) -> "Decision":
    """Record a decision that came as options.

    Raises:
        ConfigError: There is no such action, both texts were given, or the file cannot be read.
        DecisionError: The decision does not answer an open review.
    """
    from orchestrator.reviews.review import Action

    if action not in get_args(Action):
        raise ConfigError(f"'{action}' is no action: use approve, edit, reject, stop or answer")
    if text is not None and file is not None:
        raise ConfigError("give either --text or --file")
    try:
        content = file.read_text(encoding="utf-8") if file is not None else (text or "")
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"cannot read {file}: {error}") from error
    data: Any = None
    # A bare number or `true` is JSON too, and stays the text that the person typed.
    if action == "answer" and isinstance(parsed := _parsed(content), dict | list):
        data, content = parsed, ""
    # A review's id is `<thread>/<kind>-<hash>`. Results are edited as text, plans, tool calls and budgets as JSON.
    if action == "edit" and "/result-" not in review_id:
        try:
            is_amount = "/steer-" in review_id and not content.lstrip().startswith("{")
            data, content = _raised_limit(client, review_id, content) if is_amount else json.loads(content), ""
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"editing this review needs JSON, by --text or --file: {error}") from error
    chosen: Action = action  # type: ignore[assignment] # checked above
    return client.decide(review_id, chosen, content, data)


def _raised_limit(client: "OrchestratorClient", review_id: str, text: str) -> Any:
    """Return the limit that an amount raises: a bare number is one of the limit that was reached."""
    from orchestrator.reviews.answering.limits import is_budget, typed_limit

    thread = review_id.rpartition("/")[0]
    known = client.has_thread(thread) if thread else False
    review = next((each for each in (client.reviews(thread) if known else ()) if each.id == review_id), None)
    # Otherwise the recording of the answer says what is open, or what an amount looks like.
    if review is None or not is_budget(review):
        return text.strip()
    try:
        limit = typed_limit(review, text)
    except ValueError:
        limit = None
    return text.strip() if limit is None else limit


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
