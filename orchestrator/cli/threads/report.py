"""`orchestrator report`: a thread as one file that one would send to a colleague."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from orchestrator.cli.echo import echo
from orchestrator.cli.options import Db, Thread
from orchestrator.cli.threads.commands import open_client
from orchestrator.errors import ConfigError

if TYPE_CHECKING:
    from orchestrator.reports.report.report import Form

_ENDINGS: dict[str, "Form"] = {
    ".html": "html",
    ".htm": "html",
    ".md": "md",
    ".markdown": "md",
    ".json": "json",
}
_FORMS = ("html", "md", "json")


def report(
    thread: Thread,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The file to write: run.html, run.md or run.json.", show_default="stdout"),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option("--format", help="html, md or json.", show_default="by the file's ending, or md on stdout"),
    ] = None,
    task: Annotated[
        int | None,
        typer.Option("--task", min=1, help="The number of the task on the thread.", show_default="the newest"),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All tasks of the thread.")] = False,
    db: Db = None,
) -> None:
    """Write a thread as one file that one would send to a colleague.

    Task, answer and what it rests on, plan, decisions, results, tool calls, cost. HTML needs no network and no script.
    Known secrets are taken out.
    """
    if every and task is not None:
        raise ConfigError("--task and --all exclude each other")
    out = None if str(out) == "-" else out
    chosen = _form(out, form)
    if out is not None and not out.absolute().parent.is_dir():
        raise ConfigError(f"there is no folder '{out.absolute().parent}' to write '{out.name}' in")
    with open_client(db) as client:
        text = client.report(thread, chosen, "all" if every else task or "newest")
    if out is None:
        typer.echo(text, nl=False)
        return
    size = _write(out, text)
    echo(f"wrote {out} ({size:,} bytes)")


def _form(out: Path | None, form: str | None) -> "Form":
    if form is not None:
        if form not in _FORMS:
            raise ConfigError(f"--format '{form}' is no form of a report: use one of {', '.join(_FORMS)}")
        return cast("Form", form)
    if out is None:
        return "md"
    if (known := _ENDINGS.get(out.suffix.lower())) is None:
        raise ConfigError(f"'{out}' does not say which form it should have: end it with .html, .md or .json")
    return known


def _write(path: Path, text: str) -> int:
    """Write a file and return its size. A report that is there stays whole until the new one is."""
    data = text.encode("utf-8", "replace")
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)  # a device or a pipe takes what it is given
            return len(data)
        # In the same folder, since a file moves at once only within one file system.
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            draft.write_bytes(data)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot write '{path}': {error.strerror or error}") from error
    return len(data)
