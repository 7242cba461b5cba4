"""`orchestrator log`: the journal of a thread, one line a record."""

import difflib
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from orchestrator.cli.echo import command, echo, echo_json
from orchestrator.cli.interruption import CTRL_C
from orchestrator.cli.options import Db, Thread
from orchestrator.cli.threads.commands import open_client
from orchestrator.errors import ConfigError

if TYPE_CHECKING:
    from orchestrator.journal.record import JournalRecord


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
    db: Db = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print each record as one JSON line.")] = False,
) -> None:
    """Print all that happened on a thread.

    Each record of its journal is one line.
    """
    kinds, sub_tasks = _kinds(kind or []), set(sub_task or [])
    print_record = _json_printer() if as_json else _line_printer()
    with open_client(db) as client:
        records: Iterable[JournalRecord]
        if follow:
            CTRL_C.way_on = lambda: f"the thread is as it was; follow it again with: {_again(thread, db)}"
            records = client.follow(thread, since)
        else:
            records = client.journal(thread, since)
        # An empty answer could mean two things, and a person wants to know which.
        is_empty = True
        for record in _chosen(records, kinds, sub_tasks):
            print_record(record)
            is_empty = False
        if is_empty and not as_json:
            echo(
                "no record is like that" if client.journal(thread) else "recorded before there was a journal", err=True
            )


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
