"""A SQLite file that statements written by a model may read and, if its owner wants that, change.

Invariants:
- The text of a statement is never searched for what it may do. While SQLite compiles a statement, it names each table,
  column and function that the statement would touch, and `_Rules` answers from lists of what is allowed.
- For reading, the file is opened read only, so that a gap in the rules still changes nothing.
- The time limit holds between the steps of SQLite's machine, not inside a function. So no function may take long.

Costs: a value longer than 1 MB cannot be read. A statement that sorts may fill the folder for temporary files until its
time limit ends it.
"""

import os
import re
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from langchain_core.tools import ToolException

from orchestrator_tools.database.sql_result import (
    ColumnFacts,
    Limits,
    Result,
    TableFacts,
    checked,
    unknown_column,
    unknown_table,
)

FUNCTIONS: Final = frozenset({"->", "->>"}).union(
    re.findall(
        r"\w+",
        "abs acos asin atan atan2 avg ceil ceiling changes char coalesce concat concat_ws cos count cume_dist "
        "current_date current_time current_timestamp date datetime degrees dense_rank exp first_value floor "
        "glob group_concat hex ifnull iif instr json json_array json_array_length json_extract "
        "json_group_array json_group_object json_object json_quote json_type json_valid julianday lag "
        "last_value lead length like ln log log10 log2 lower ltrim match max min mod nth_value ntile nullif "
        "percent_rank pi pow power quote radians random rank replace round row_number rtrim sign sin "
        "snippet bm25 highlight sqrt strftime string_agg substr substring sum tan time timediff total trim "
        "trunc typeof unicode unixepoch upper",
    )
)
"""The functions that a statement may call.

`printf` is not among them: with a precision of 1e9 it takes ten seconds.
"""

_LENGTH: Final = 1_000_000
_STEPS: Final = 100
"""Steps of SQLite's machine between two looks at the clock."""

_TABLE_FUNCTIONS: Final = ("json_each", "json_tree")
_CHANGES: Final = {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE}
_ONLY_ROWS: Final = "only INSERT, UPDATE and DELETE are allowed, not changes to the database's structure or settings"
_WITH: Final = re.compile(r"\bwith\b", re.IGNORECASE)
_UNKNOWN_TABLE: Final = re.compile(r"no such table: (\S+)")
_UNKNOWN_COLUMN: Final = re.compile(r"no such column: (\S+)|has no column named (\S+)")


@dataclass(frozen=True)
class _Schema:
    """The names in a file, in small letters, and those that may be used."""

    tables: tuple[TableFacts, ...]
    allowed: frozenset[str]
    taken: frozenset[str]
    views: frozenset[str]
    triggers: frozenset[str]


class _Rules:
    """SQLite's authorizer: allows or denies each action of a statement.

    Args:
        schema: The names in the file.
        writing: True if rows may be changed.
        sql: The statement.
    """

    def __init__(self, schema: _Schema, *, writing: bool, sql: str) -> None:
        self.refused = ""
        """The first denied action, in words; empty when all were allowed."""
        self.wrote = False
        """True once the statement has asked to change rows."""
        self._schema = schema
        self._writing = writing
        # SQLite names the view or trigger on whose behalf a table is read, but names a common table expression in
        # the same way. Only in a statement that has none can that name be believed.
        self._vouched = frozenset() if _WITH.search(sql) else (schema.views & schema.allowed) | schema.triggers

    def __call__(self, action: int, one: str | None, two: str | None, database: str | None, context: str | None) -> int:
        problem = self._problem(action, one or "", two or "", database, (context or "").lower())
        if problem:
            self.refused = self.refused or problem
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK

    def _problem(self, action: int, one: str, two: str, database: str | None, context: str) -> str:
        if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE):
            return ""
        if action == sqlite3.SQLITE_FUNCTION:
            # SQLite passes the name of a function second.
            return "" if two.lower() in FUNCTIONS else f"the function '{two[:60]}' may not be used"
        if action == sqlite3.SQLITE_READ:
            return self._table(one.lower(), database, context, counted=not two)
        if action in _CHANGES:
            if not self._writing:
                return "this tool only reads; write a SELECT"
            if one.lower().startswith("sqlite_"):  # rows of sqlite_master are the structure
                return _ONLY_ROWS
            self.wrote = True
            return self._table(one.lower(), database, context, counted=False)
        if action == sqlite3.SQLITE_PRAGMA and one.lower() == "data_version":
            return ""  # full-text search reads it, and it is only a counter
        if self._writing:
            return _ONLY_ROWS
        return "only SELECT is allowed"

    def _table(self, name: str, database: str | None, context: str, *, counted: bool) -> str:
        if name in self._schema.allowed and database in (None, "main"):
            return ""
        if context in self._vouched and name in self._schema.taken and not name.startswith("sqlite_"):
            return ""
        # When a statement reads no column of a table, as in count(*), SQLite passes the name as it was written. That
        # may be the name of a common table expression, but not when a table of that name exists.
        own = counted and database is None and not name.startswith(("sqlite_", "pragma_"))
        if own and name not in self._schema.taken:
            return ""
        return f"the table '{name[:60]}' may not be used; {unknown_table(self._schema.tables)}"


class SqliteDatabase:
    """A SQLite file. Each call opens the file anew and closes it, so several threads may call at once.

    Args:
        path: The file.
        tables: The tables and views that may be used; all of the file when None.
        limits: Bounds of one call.
    """

    dialect = "SQLite"

    def __init__(self, path: str | Path, *, tables: Sequence[str] | None, limits: Limits) -> None:
        self._path = Path(path)
        self._named = None if tables is None else frozenset(name.lower() for name in tables)
        self._limits = limits

    def tables(self) -> tuple[TableFacts, ...]:
        """Return the tables and views that may be used."""
        with self._open() as connection, self._clear("", ()):
            return self._schema(connection).tables

    def read(self, sql: str, *, rows: int | None = None) -> Result:
        """Return the rows of one SELECT.

        Args:
            sql: The statement.
            rows: Most rows, if less than the limits allow.

        Raises:
            ToolException: The statement is not allowed, wrong, or takes too long.
        """
        text = checked(sql)
        limits = self._limits if rows is None else Limits(rows, self._limits.characters, self._limits.time_s)
        with self._open() as connection:
            with self._clear("", ()):
                schema = self._schema(connection)
            rules = _Rules(schema, writing=False, sql=text)
            with self._clear(text, schema.tables, rules):
                connection.set_authorizer(rules)
                result = _run(connection, text, limits)
                if not result.columns:
                    raise ToolException("error: only SELECT is allowed; this statement returns nothing")
                return result

    def write(self, sql: str) -> Result:
        """Run one INSERT, UPDATE or DELETE, wholly or not at all.

        Raises:
            ToolException: The statement is not allowed, wrong, takes too long or changes too many rows. Then no row
                has been changed.
        """
        text = checked(sql)
        with self._open(writing=True) as connection:
            with self._clear("", ()):
                schema = self._schema(connection)
            rules = _Rules(schema, writing=True, sql=text)
            with self._clear(text, schema.tables, rules):
                connection.execute("PRAGMA foreign_keys = ON")  # SQLite does not enforce them by default
                connection.execute("BEGIN IMMEDIATE")  # a connection closed without COMMIT rolls back
                before = connection.total_changes  # with rows that triggers and foreign keys change
                connection.set_authorizer(rules)
                result = _run(connection, text, self._limits)
                connection.set_authorizer(None)  # it refuses COMMIT, as it must for the model
                result.changed = connection.total_changes - before
                if not rules.wrote:
                    raise ToolException("error: this statement changes nothing; use query_database to read")
                if result.changed > self._limits.changes:
                    raise ToolException(
                        f"error: nothing was changed: the statement would change {result.changed:,} rows and the "
                        f"limit is {self._limits.changes:,}; narrow its WHERE"
                    )
                connection.execute("COMMIT")
                return result

    @contextmanager
    def _open(self, *, writing: bool = False) -> Iterator[sqlite3.Connection]:
        if sqlite3.sqlite_version_info < (3, 37):  # the first with pragma_table_list
            raise ToolException(
                f"error: SQLite {sqlite3.sqlite_version} is too old; a person must install 3.37 or newer"
            )
        name = self._path.name
        try:
            # To open a pipe or a device could wait without end.
            if not stat.S_ISREG(os.stat(self._path).st_mode):
                raise ToolException(f"error: '{name}' is not a file; a person must correct the database's address")
            # `as_uri` escapes a '?' or '%' in the name of the file, which would be special in an address.
            address = f"{self._path.absolute().as_uri()}?mode={'rw' if writing else 'ro'}"
            wait = min(5.0, self._limits.time_s)
            # Without an isolation level, Python begins no transactions of its own.
            connection = sqlite3.connect(address, uri=True, isolation_level=None, timeout=wait)
        except (OSError, ValueError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ToolException(
                f"error: the database '{name[:100]}' cannot be opened ({reason}); nothing can be read until a "
                "person corrects this"
            ) from error
        with closing(connection):
            # A file may hold text that is not UTF-8.
            connection.text_factory = lambda raw: raw.decode("utf-8", errors="replace")
            deadline = time.monotonic() + self._limits.time_s
            connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
            yield connection

    def _schema(self, connection: sqlite3.Connection) -> _Schema:
        """Read the names in the file, before any rule applies, and lower the connection's limits."""
        # A hostile file may call functions in its views and triggers, and hold cells of false sizes.
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        listing = connection.execute("SELECT name, type FROM pragma_table_list WHERE schema = 'main'").fetchall()
        modules = {name.lower() for (name,) in connection.execute("SELECT name FROM pragma_module_list")}
        triggers = connection.execute("SELECT lower(name) FROM sqlite_master WHERE type = 'trigger'").fetchall()
        names = {name.lower() for name, _ in listing}
        usable = names if self._named is None else self._named
        allowed: set[str] = set()
        facts: list[TableFacts] = []
        for name, kind in sorted(listing):
            if name.lower() in usable and kind != "shadow" and not name.lower().startswith("sqlite_"):
                if kind == "virtual" and not _connected(connection, name):
                    continue
                # Full-text search reads its own shadow tables on behalf of the statement.
                shadows = {n.lower() for n, k in listing if k == "shadow" and n.lower().startswith(f"{name.lower()}_")}
                allowed |= {name.lower()} | (shadows if kind == "virtual" else set())
                facts.append(TableFacts(name, kind == "view", _columns(connection, name)))
        allowed |= {name for name in _TABLE_FUNCTIONS if name not in names and _connected(connection, name)}
        # SQLite's own compare each position of one long text with another long text, and no time limit interrupts them.
        for function, implemented in _SEARCHING.items():
            arguments = 3 if function == "replace" else 2
            connection.create_function(function, arguments, implemented, deterministic=True)
        self._narrow(connection, max([len(table.columns) for table in facts], default=0))
        return _Schema(
            tables=tuple(facts),
            allowed=frozenset(allowed),
            taken=frozenset(names | modules),
            views=frozenset(name.lower() for name, kind in listing if kind == "view"),
            triggers=frozenset(name for (name,) in triggers),
        )

    def _narrow(self, connection: sqlite3.Connection, widest: int) -> None:
        for limit, most in {
            sqlite3.SQLITE_LIMIT_LENGTH: _LENGTH,
            sqlite3.SQLITE_LIMIT_SQL_LENGTH: 50_000,
            sqlite3.SQLITE_LIMIT_COLUMN: max(100, widest),  # SELECT * of every table must work
            sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 100,
            sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 20,
            sqlite3.SQLITE_LIMIT_VDBE_OP: 250_000,
            sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 64,
            sqlite3.SQLITE_LIMIT_ATTACHED: 0,
            sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 200,  # LIKE '%a%a…' runs within one step, past the clock
            sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 10,
            sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
        }.items():
            connection.setlimit(limit, most)

    @contextmanager
    def _clear(self, sql: str, tables: Sequence[TableFacts], rules: _Rules | None = None) -> Iterator[None]:
        """Turn any error of SQLite into one clear line for the model."""
        try:
            yield
        except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError, MemoryError) as error:
            if rules and rules.refused:
                hint = "" if ";" in rules.refused else "; write it without that"
                raise ToolException(f"error: {rules.refused}{hint}") from error
            raise ToolException(f"error: {self._reason(str(error) or type(error).__name__, sql, tables)}") from error

    def _reason(self, message: str, sql: str, tables: Sequence[TableFacts]) -> str:
        reasons: list[tuple[str, Callable[[], str]]] = [
            ("interrupted", lambda: f"the time limit of {self._limits.time_s:g} s is over; ask for less"),
            ("one statement", lambda: "one statement a call; send the others in further calls"),
            ("locked", lambda: f"'{self._path.name}' is in use by another program; try again later"),
            ("too big", lambda: f"a value is longer than {_LENGTH:,} bytes; leave that column out or use length()"),
            ("not a database", lambda: f"'{self._path.name}' is no SQLite database; a person must correct this"),
            ("number of bindings", lambda: "write the values into the statement, without ? or :names"),
        ]
        for sign, reason in reasons:
            if sign in message:
                return reason()
        if _UNKNOWN_TABLE.search(message):
            return f"{message}; {unknown_table(tables)}"
        if _UNKNOWN_COLUMN.search(message):
            return f"{message}; {unknown_column(sql, tables)}"
        if not sql:
            return f"the database cannot be read ({message[:200]})"
        return f"{message[:300]}; correct the statement (SQLite)"


def _run(connection: sqlite3.Connection, sql: str, limits: Limits) -> Result:
    with closing(connection.execute(sql)) as cursor:
        result = Result(sql, [head[0] for head in cursor.description or ()])
        result.take(cursor, limits)
        return result


def _position(text: Any, part: Any) -> int | None:
    if text is None or part is None:
        return None
    if isinstance(text, bytes) and isinstance(part, bytes):
        return text.find(part) + 1
    return _text(text).find(_text(part)) + 1


def _replaced(text: Any, old: Any, new: Any) -> str | None:
    if text is None or old is None or new is None:
        return None
    whole, part, other = _text(text), _text(old), _text(new)
    if not part:
        return whole
    if len(whole) + whole.count(part) * (len(other) - len(part)) > _LENGTH:
        raise ValueError("too big")
    return whole.replace(part, other)


def _trimmed(strip: Callable[[str, str], str]) -> Callable[[Any, Any], str | None]:
    def trim(text: Any, signs: Any) -> str | None:
        if text is None or signs is None:
            return None
        if len(_text(signs)) > 100:
            raise ValueError("too many characters to trim")
        return strip(_text(text), _text(signs)) if _text(signs) else _text(text)

    return trim


def _text(value: Any) -> str:
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)


_SEARCHING: Final[dict[str, Callable[..., Any]]] = {
    "instr": _position,
    "replace": _replaced,
    "trim": _trimmed(str.strip),
    "ltrim": _trimmed(str.lstrip),
    "rtrim": _trimmed(str.rstrip),
}


def _connected(connection: sqlite3.Connection, name: str) -> bool:
    """True if a virtual table works. Connect to it here, where no rule of a statement applies."""
    try:
        connection.execute(f"SELECT 1 FROM {quoted(name)} LIMIT 0").close()
    except sqlite3.Error:
        return False
    return True


def _columns(connection: sqlite3.Connection, table: str) -> tuple[ColumnFacts, ...]:
    def pragma(name: str) -> list[Any]:
        return connection.execute(f"SELECT * FROM pragma_{name}(?)", (table,)).fetchall()

    try:
        refers = {row[3]: f"{row[2]}.{row[4] or 'key'}" for row in pragma("foreign_key_list")}
        rows = pragma("table_info")
    except sqlite3.Error:  # a view whose table is gone has no columns that SQLite could list
        return ()
    return tuple(ColumnFacts(row[1], row[2], bool(row[5]), refers.get(row[1], "")) for row in rows)


def quoted(name: str) -> str:
    """Return a name as it can stand in a statement, whatever characters it has."""
    return '"' + name.replace('"', '""') + '"'
