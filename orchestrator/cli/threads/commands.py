"""`orchestrator cancel`, `steer`, `trace` and `delete`: a thread of a database, without its team."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.echo import command, echo, echo_json
from orchestrator.cli.options import Db, Json, Thread
from orchestrator.errors import EXIT_FAILED, ConfigError, UnknownThreadError

if TYPE_CHECKING:
    from orchestrator.runs.client import OrchestratorClient
    from orchestrator.runs.threads.reader import ThreadReader

LAST = "last"


def open_client(db: str | None) -> "OrchestratorClient":
    """Open the threads of a database."""
    from orchestrator.persistence.database import Persistence
    from orchestrator.runs.client import OrchestratorClient

    return OrchestratorClient(Persistence(db))


def open_reader(db: str | None) -> "ThreadReader":
    """Open the threads of a database for looking at them only, which loads no LangGraph as a rule."""
    from orchestrator.runs.threads.reader import ThreadReader

    return ThreadReader(db)


def cancel(thread: Thread, db: Db = None, as_json: Json = False) -> None:
    """End the run of a thread, in whichever process it is. The thread can be resumed."""
    with open_client(db) as client:
        result = client.cancel(thread)
    go_on = f"go on with: {command('resume', thread, db=db)}"
    lines = {
        "cancelled": f"cancelled {thread}\n{go_on}",
        "not running": f"{thread} is not running",
        "asked": f"asked {thread} to end, and it has not yet; it ends as soon as it can",
    }
    if as_json:
        echo_json({"thread_id": thread, "result": result})
    else:
        echo(lines[result])
    if result == "asked":
        raise typer.Exit(EXIT_FAILED)


def steer(
    thread: Thread,
    text: Annotated[str, typer.Argument(help="The instruction. '-' reads it from standard input.")],
    db: Db = None,
    as_json: Json = False,
) -> None:
    """Give an instruction to a run that goes on or is to be resumed. Every later step and the supervisor see it."""
    with open_client(db) as client:
        instruction = client.steer(thread, sys.stdin.read() if text == "-" else text)
        is_running = client.persistence.is_leased(thread)
    if as_json:
        echo_json({"thread_id": thread, **instruction.plain(), "running": is_running})
    elif is_running:
        echo(f"recorded: every later step of {thread} sees it")
    else:
        echo(f"recorded: {thread} sees it when it goes on, with: {command('resume', thread, db=db)}")


def trace(
    thread: Thread,
    to: Annotated[
        str | None, typer.Option("--to", help="The collector; default ORCHESTRATOR_TRACES, or OTEL_… variables.")
    ] = None,
    db: Db = None,
    as_json: Json = False,
) -> None:
    """Send a thread as OpenTelemetry spans to a collector. Needs the extra 'otel'."""
    with open_client(db) as client:
        traces = client.export_trace(thread, to)
    if as_json:
        echo_json({"thread_id": thread, "traces": traces})
    elif traces:
        echo("\n".join(f"sent trace {each}" for each in traces))
    else:
        echo(f"{thread} has nothing in its journal")


def delete(
    thread: Thread,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete without asking.")] = False,
    db: Db = None,
) -> None:
    """Delete a thread with its memory, its decisions and its files."""
    with open_client(db) as client:
        if not client.has_thread(thread):
            client.delete(thread)  # says that there is no such thread, before anybody is asked
        if not yes and not sys.stdin.isatty():
            raise ConfigError(f"deleting '{thread}' needs --yes where nobody can be asked")
        if not yes and not typer.confirm(f"Delete thread {thread} for good?"):
            raise typer.Exit(EXIT_FAILED)
        client.delete(thread)
        client.persistence.vacuum()  # SQLite keeps the space of deleted rows otherwise
    echo(f"deleted {thread}")


def continued_thread(db: str | None, name: str) -> str:
    """Return the id of the thread to continue.

    Args:
        db: The database.
        name: The id, or `last` for the thread that changed last.

    Raises:
        UnknownThreadError: There is no such thread, or none at all.
    """
    from orchestrator.runs.threads.listing import list_threads

    if name != LAST:
        return name
    records = list_threads(db)
    if any(record.id == LAST for record in records):
        return name
    if not records:
        raise UnknownThreadError("there is no thread to continue yet")
    return max(records, key=lambda record: record.updated).id


def stated(context: typer.Context, about: dict[str, Any]) -> dict[str, Any]:
    """Return the facts about a thread that a person stated; defaults and settings of a file are not.

    Args:
        context: The command's context.
        about: The values of its options.
    """
    return {name: value for name, value in about.items() if value and _is_stated(context, name)}


def _is_stated(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source("fallback_model" if name == "fallback_models" else name)
    return source is None or source.name not in ("DEFAULT", "DEFAULT_MAP")
