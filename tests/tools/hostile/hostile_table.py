"""Runs the hostile cases of the tests and prints what became of each: python -m tests.tools.hostile.hostile_table

The cases and the check are those of `test_python_hostile`, `test_database_hostile` and `test_database_postgres`. It
ends with 1 when anything was not contained. All of it, in every sandbox that is here, takes a few minutes.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator_tools.python.sandbox import SandboxUnavailableError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.tools.database.postgres_shop import PostgresMissingError, postgres_shop
from tests.tools.hostile import hostile_cases, hostile_postgres
from tests.tools.hostile.hostile_python import SECRET, problems_of, surroundings, tool_for
from tests.tools.hostile.hostile_sql import ENDLESS_CASES, LARGE_CASES, READING_CASES, WRITING_CASES, Shop

BACKENDS = ("monty", "bubblewrap", "sqlite", "postgres")
_TIME_LIMIT_S = 1.0
"""Of a statement without end: there are eight of them."""
_SHOWN = 70


@dataclass(frozen=True)
class Line:
    """What became of one case.

    Args:
        case: What was tried.
        backend: Where.
        answer: What the worker was told.
        problems: What was not contained; None when the backend is not here.
    """

    case: str
    backend: str
    answer: str
    problems: list[str] | None


def python_lines(backend: str, like: str) -> Iterator[Line]:
    """The Python cases in one sandbox.

    Args:
        backend: The sandbox.
        like: Only the cases whose name has this in it.
    """
    cases = [case for case in hostile_cases.CASES if like in case.name]
    os.environ["A_SECRET"] = SECRET
    with tempfile.TemporaryDirectory() as place, tempfile.TemporaryDirectory() as workspace:
        try:
            tool = tool_for(backend)
            tool.invoke({"code": "6 * 7"})
        except SandboxUnavailableError as error:
            yield Line(f"({len(cases)} cases)", backend, str(error), None)
            return
        with surroundings(Path(place)) as around:
            for case in cases:
                answer, problems = problems_of(case, tool, around, Path(workspace))
                yield Line(case.name, backend, answer, problems)
        tool.end_sub_task("hostile")


def sqlite_lines(like: str) -> Iterator[Line]:
    """The SQL cases on SQLite.

    Args:
        like: Only the cases whose kind or statement has this in it.
    """
    with tempfile.TemporaryDirectory() as place:
        shop = Shop(Path(place), _TIME_LIMIT_S)
        for case in (*READING_CASES, *LARGE_CASES, *WRITING_CASES, *ENDLESS_CASES):
            if like in case.title:
                answer, problems = shop.attempt(case)
                yield Line(case.title, f"sqlite {case.tool.partition('_')[0]}", answer, problems)


def postgres_lines(like: str) -> Iterator[Line]:
    """The SQL cases on PostgreSQL.

    Args:
        like: Only the cases whose kind or statement has this in it.
    """
    cases = [case for case in (*hostile_postgres.READING_CASES, *hostile_postgres.WRITING_CASES) if like in case.title]
    try:
        with postgres_shop() as shop:
            for case in cases:
                answer, problems = shop.attempt(case)
                yield Line(case.title, f"postgres {case.tool.partition('_')[0]}", answer, problems)
    except PostgresMissingError as error:
        yield Line(f"({len(cases)} cases)", "postgres", str(error), None)


def lines_of(backend: str, like: str) -> Iterator[Line]:
    """The cases for one backend.

    Args:
        backend: One of `BACKENDS`.
        like: Only the cases that have this in their name.
    """
    if backend == "sqlite":
        return sqlite_lines(like)
    return postgres_lines(like) if backend == "postgres" else python_lines(backend, like)


def table_of(lines: Sequence[Line]) -> Table:
    """The lines for a terminal."""
    table = Table(show_edge=False, pad_edge=False)
    for heading in ("case", "backend", "outcome", "answer"):
        table.add_column(heading, overflow="ellipsis", no_wrap=heading in ("case", "backend"))
    for line in lines:
        if line.problems is None:
            outcome = "[yellow]not here[/yellow]"
        elif line.problems:
            outcome = f"[red]NOT CONTAINED: {escape('; '.join(line.problems))}[/red]"
        else:
            outcome = "[green]contained[/green]"
        table.add_row(_short(line.case), line.backend, outcome, _short(line.answer))
    return table


def _short(text: str) -> str:
    last = "".join(sign if sign.isprintable() else " " for sign in (text.strip().splitlines() or [""])[-1])
    return escape(last if len(last) <= _SHOWN else last[: _SHOWN - 1] + "…")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the cases and prints the table; the exit code.

    Args:
        arguments: Of the command line.
    """
    parser = argparse.ArgumentParser(description="what becomes of hostile Python and SQL here")
    parser.add_argument("--backend", action="append", choices=BACKENDS, help="by default all")
    parser.add_argument("--like", default="", help="only the cases that have this in their name")
    chosen = parser.parse_args(arguments)
    lines: list[Line] = []
    progress, out = Console(stderr=True), Console()
    for backend in chosen.backend or BACKENDS:
        with progress.status(f"{backend} …") as status:
            for line in lines_of(backend, chosen.like):
                lines.append(line)
                status.update(escape(f"{backend}: {len(lines)} cases, last: {line.case[:_SHOWN]}"))
    out.print(table_of(lines))
    ran = [line for line in lines if line.problems is not None]
    harmful = [line for line in ran if line.problems]
    out.print(f"{len(ran)} cases, {len(harmful)} not contained")
    return 1 if harmful or not ran else 0


if __name__ == "__main__":
    sys.exit(main())
