"""`orchestrator log`: the journal of a thread, one line a record."""

import difflib
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from orchestrator.cli.echo import command, echo, echo_json
from orchestrator.cli.interruption import CTRL_C
from orchestrator.cli.options import Db, Thread
from orchestrator.cli.threads.commands import open_reader
from orchestrator.errors import ConfigError

if TYPE_CHECKING:
    from orchestrator.journal.record import JournalRecord

_PIPE_WIDTH = 100


def log(
    thread: Thread,
    since: Annotated[int, typer.Option("--since", min=0, help="Only the records after the one with this number.")] = 0,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on while the thread is at work.")] = False,
    kind: Annotated[
        list[str] | None, typer.Option("--kind", help="Only records of this kind. Repeat it for more.")
    ] = None,
    sub_task: Annotated[
        list[str] | None, typer.Option("--sub-task", help="Only records of this sub-task. Repeat it for more.")
    ] = None,
    waterfall: Annotated[
        bool, typer.Option("--waterfall", help="Draw when each sub-task of the newest task waited and worked.")
    ] = False,
    db: Db = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print each record as one JSON line.")] = False,
) -> None:
    """Print all that happened on a thread.

    Each record of its journal is one line.
    """
    if waterfall:
        if as_json or follow or kind or sub_task or since:
            raise ConfigError("--waterfall draws a whole task: it goes with no other option")
        _draw(thread, db)
        return
    kinds, sub_tasks = _kinds(kind or []), set(sub_task or [])
    print_record = _json_printer() if as_json else _line_printer()
    with open_reader(db) as threads:
        records: Iterable[JournalRecord]
        if follow:
            CTRL_C.way_on = lambda: f"the thread is as it was; follow it again with: {_again(thread, db)}"
            records = threads.follow(thread, since)
        else:
            records = threads.journal(thread, since)
        # An empty answer could mean two things, and a person wants to know which.
        is_empty = True
        for record in _chosen(records, kinds, sub_tasks):
            print_record(record)
            is_empty = False
        if is_empty and not as_json:
            echo(
                "no record is like that" if threads.journal(thread) else "recorded before there was a journal", err=True
            )


def _draw(thread: str, db: str | None) -> None:
    """Draw the newest task of a thread as a waterfall."""
    from datetime import UTC, datetime

    from orchestrator.cli.console import out
    from orchestrator.cli.progress.glyphs import Glyphs
    from orchestrator.cli.progress.waterfall import waterfall
    from orchestrator.reports.history.reading import histories

    with open_reader(db) as threads:
        tasks = histories(threads.journal(thread))
        is_running = threads.is_running(thread)
    if not tasks:
        echo("recorded before there was a journal", err=True)
        return
    width = out.width - 1 if out.is_terminal else _PIPE_WIDTH
    now = datetime.now(UTC) if is_running and tasks[-1].ended is None else None
    for line in waterfall(tasks[-1], width, Glyphs.of(out), now=now):
        out.print(line, no_wrap=True, soft_wrap=True)


def _again(thread: str, db: str | None) -> str:
    return command("log", thread, "--follow", db=db)


def _kinds(names: list[str]) -> set[str]:
    from orchestrator.journal.record import Kind

    known = get_args(Kind)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1, 0.5)
            hint = f"did you mean '{near[0]}'?" if near else f"use one of {', '.join(known)}"
            raise ConfigError(f"--kind '{name}' is no kind of record: {hint}")
    return set(names)


def _chosen(records: "Iterable[JournalRecord]", kinds: set[str], sub_tasks: set[str]) -> "Iterator[JournalRecord]":
    for record in records:
        if (not kinds or record.kind in kinds) and (not sub_tasks or record.sub_task in sub_tasks):
            yield record


def _json_printer() -> "Callable[[JournalRecord], None]":
    def print_json(record: "JournalRecord") -> None:
        echo_json(record.to_dict())
        sys.stdout.flush()  # a pipe would keep lines back

    return print_json


def _line_printer() -> "Callable[[JournalRecord], None]":
    # Not loaded for JSON, which a script may read thousands of times.
    from orchestrator.cli.threads.record_line import record_line

    def print_line(record: "JournalRecord") -> None:
        echo(record_line(record))
        sys.stdout.flush()

    return print_line
