"""Results of a database, as text that a model with a small window can read."""

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from langchain_core.tools import ToolException

from orchestrator_tools.answers import listed

MAX_SQL: Final = 10_000
"""Most characters of one statement."""

_CELL: Final = 200
_STATEMENT: Final = 400


@dataclass(frozen=True)
class Limits:
    """Bounds of one call.

    Args:
        rows: Most rows of an answer.
        characters: Most characters of an answer.
        time_s: Longest time of one statement.
        changes: Most rows that one statement may change.
    """

    rows: int = 50
    characters: int = 2_400
    time_s: float = 10.0
    changes: int = 1_000


@dataclass(frozen=True)
class ColumnFacts:
    """A column of a table.

    Args:
        name: Its name.
        type: Its type, as the database writes it.
        key: True if it is (part of) the primary key.
        refers: The table and column that it refers to; empty for none.
    """

    name: str
    type: str = ""
    key: bool = False
    refers: str = ""

    def __str__(self) -> str:
        parts = [self.name, self.type, "key" if self.key else "", f"-> {self.refers}" if self.refers else ""]
        return " ".join(part for part in parts if part)


@dataclass(frozen=True)
class TableFacts:
    """A table or view that may be used.

    Args:
        name: Its name in statements.
        view: True if it is a view.
        columns: Its columns.
    """

    name: str
    view: bool = False
    columns: tuple[ColumnFacts, ...] = ()


@dataclass
class Result:
    """Rows as text, no more than the limits allow, and the statement that made them.

    Args:
        statement: The statement that was run.
        columns: Names of the columns; empty for a statement that returns no rows.
        rows: The cells.
        more: True if there were more rows.
        changed: Number of rows that a writing statement has changed; None for one that reads.
    """

    statement: str
    columns: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    more: bool = False
    changed: int | None = None

    def take(self, rows: Iterable[Sequence[Any]], limits: Limits) -> None:
        """Add rows until there are no more or a limit is reached. Rows beyond the limit are never fetched."""
        room = limits.characters
        for row in rows:
            if len(self.rows) >= limits.rows or (self.rows and room <= 0):
                self.more = True  # the rest may be endless, as of a recursive query
                return
            cells = [cell(value) for value in row]
            room -= sum(map(len, cells)) + 3 * len(cells) + 2
            self.rows.append(cells)

    def show(self, characters: int) -> str:
        """Return the result as a table, within a number of characters."""
        origin = f"Made by: {_cut(' '.join(self.statement.split()), min(_STATEMENT, characters // 3))}"
        changed = "" if self.changed is None else f"{_count(self.changed)} changed and saved.\n"
        if not self.columns:
            return f"{changed}{origin}"
        room = characters - len(origin) - len(changed) - 160  # for the line about rows and columns
        width, shown = self._fit(room)
        names = [_cut(_escaped(name), width) for name in self.columns[:shown]]
        lines = [_line(names), "|" + "---|" * shown]
        room -= sum(map(len, lines)) + 2
        fitting = 0
        for row in self.rows:
            line = _line([_cut(value, width) for value in row[:shown]])
            room -= len(line) + 1
            if room < 0 and fitting:  # one row is shown in any case
                break
            lines.append(line)
            fitting += 1
        if self.more or fitting < len(self.rows):
            lines.append(f"First {_count(fitting)} of more: add LIMIT, a condition or an aggregate (count, sum, avg).")
        else:
            lines.append(_count(fitting))
        if shown < len(self.columns):
            lines.append(f"First {shown} of {len(self.columns)} columns: name the columns that you need.")
        return f"{changed}" + "\n".join([*lines, origin])

    def _fit(self, room: int) -> tuple[int, int]:
        """Return the widest cell and the number of columns with which the head and one row fit."""
        sample = [self.columns, *self.rows[:1]]
        for width in (_CELL, 80, 40, 20):
            needed = sum(len(_line([_cut(value, width) for value in row])) + 4 for row in sample)
            if needed + 5 * len(self.columns) <= room:
                return width, len(self.columns)
        each = 2 * 23 + 5  # a cell of 20 with its bars, in the head and in one row, and its part of the line between
        return 20, max(1, min(len(self.columns), room // each))


def cell(value: Any) -> str:
    """Return a value as the text of a table's cell."""
    match value:
        case None:
            return "NULL"
        case bytes() | bytearray() | memoryview():
            return f"(blob, {len(bytes(value)):,} bytes)"
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat(" ") if isinstance(value, datetime.datetime) else value.isoformat()
        case float():
            return format(value, ".12g")  # shows 0.1 + 0.2 as 0.3
        case int() if value.bit_length() > 1_000:  # Python 3.11 refuses str() beyond 4,300 digits
            return "(a number too long to show)"
    return _cut(_escaped(str(value)), _CELL)


def checked(sql: str) -> str:
    """Return a statement that can be sent to a database, without the semicolon at its end.

    Raises:
        ToolException: The statement is empty, too long, or not a text that a database takes.
    """
    text = sql.strip().rstrip(";").strip()
    if not text:
        raise ToolException('error: there is no statement; write one, as in "SELECT count(*) FROM a_table"')
    if len(text) > MAX_SQL:
        raise ToolException(f"error: the statement is longer than {MAX_SQL:,} characters; write a shorter one")
    if "\0" in text or any("\ud800" <= sign <= "\udfff" for sign in text):
        raise ToolException("error: the statement has characters that no database takes; write it without them")
    return text


def unknown_table(tables: Iterable[TableFacts]) -> str:
    """Return a hint which tables there are, for a statement that names another one."""
    names = [table.name for table in tables]
    return f"the tables there are: {listed(names)}" if names else "there are no tables that may be used"


def unknown_column(sql: str, tables: Iterable[TableFacts]) -> str:
    """Return a hint for a statement that names an unknown column: the columns of the tables that it names."""
    named = [table for table in tables if table.name.split(".")[-1].lower() in sql.lower()]
    if not named:
        return "call describe_database to see the columns"
    hints = [f"{table.name} has {listed([column.name for column in table.columns])}" for table in named[:4]]
    return _cut("the columns there are: " + "; ".join(hints), 800)


def _escaped(text: str) -> str:
    # A cell is one line, and a bar would end it.
    # Shortened before the work, because a cell may hold a megabyte.
    return " ".join(text[: 4 * _CELL].split()).replace("|", "\\|")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: max(1, most - 1)] + "…"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _count(rows: int) -> str:
    return f"{rows:,} row{'' if rows == 1 else 's'}"
