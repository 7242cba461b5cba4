"""Tools that read a database with SQL and, only if its owner enables that, change its rows.

SQLite needs nothing but Python. Other databases need SQLAlchemy, sqlglot, a driver, and a role that can only read.
The role is the boundary; the checks in `database.server` are a second layer.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

from langchain_core.tools import BaseTool, StructuredTool, ToolException

from orchestrator_tools.answers import bad_arguments, instead
from orchestrator_tools.database.server import ServerDatabase
from orchestrator_tools.database.sql_result import Limits, Result, TableFacts
from orchestrator_tools.database.sqlite import SqliteDatabase

_SQLITE: Final = re.compile(r"sqlite(?:\+pysqlite)?://(?P<host>[^/]*)(?:/(?P<path>.*))?", re.IGNORECASE | re.DOTALL)
_COUNTED: Final = 10_000
_SAMPLES: Final = 3
_EXAMPLE: Final = """Example. Sub-task: Which river carries the most water for each kilometre of its length?
Step: {"tool": "describe_database", "args": {}}
Result: rivers: name TEXT, length_km REAL, flow REAL; lakes: name TEXT, river TEXT, flow REAL
Step: {"tool": "query_database", "args": {"sql": "SELECT name, flow / length_km AS flow_per_km FROM rivers ORDER BY \
flow_per_km DESC LIMIT 1"}}
Result: name | flow_per_km: Rhine | 1.86
Step: {"tool": "answer", "text": "The Rhine carries the most, 1.86 per km: SELECT name, flow / length_km …"}"""


class Database(Protocol):
    """A database as the tools use it."""

    @property
    def dialect(self) -> str:
        """Name of the SQL dialect of its statements."""

    def tables(self) -> tuple[TableFacts, ...]:
        """Return the tables and views that may be used."""

    def read(self, sql: str, *, rows: int | None = None) -> Result:
        """Return the rows of one SELECT."""

    def write(self, sql: str) -> Result:
        """Run one INSERT, UPDATE or DELETE, wholly or not at all."""


def database_tools(
    url: str | Path,
    *,
    writable: bool = False,
    tables: Sequence[str] | None = None,
    max_rows: int = 50,
    max_characters: int = 2_400,
    time_limit_s: float = 10.0,
    max_changes: int = 1_000,
    allow_superuser: bool = False,
    role_only_reads: bool = False,
) -> list[BaseTool]:
    """Return the tools `describe_database` and `query_database`; with `writable` also `write_database`.

    No database is opened here. A database that cannot be used is an error of the first call of a tool.

    Args:
        url: SQLAlchemy's URL, or the path of a SQLite file. Give a server's URL a role that can only read: no
            check of statements is as sure as a right that is not there.
        writable: True for a tool that changes rows. A human is asked before each of its calls.
        tables: The tables and views that may be used; all when None. A view among them may be used without the
            tables that it reads (on SQLite only by statements without WITH). For changes, also name the tables that
            foreign keys connect with them.
        max_rows: Most rows of one answer.
        max_characters: Most characters of one answer. The default fits a fifth of a window of 4,096 tokens.
        time_limit_s: Longest time of one statement.
        max_changes: Most rows that one statement may change.
        allow_superuser: Accept a role that may do everything on the server.
        role_only_reads: Your word that the role can only read. Needed for databases other than SQLite, PostgreSQL,
            MySQL and MariaDB: their transactions cannot be made read-only from here.
    """
    limits = Limits(max_rows, max_characters, time_limit_s, max_changes)
    database = open_database(
        url, tables=tables, limits=limits, allow_superuser=allow_superuser, role_only_reads=role_only_reads
    )
    functions = [_describe(database, limits), _query(database, limits)]
    tools = [_tool(function, "read", "none", limits) for function in functions]
    # A worked example does for a small model what a description cannot.
    tools[-1].metadata = {**(tools[-1].metadata or {}), "example": _EXAMPLE}
    if writable:
        tools.append(_tool(_write(database, limits), "write", "once", limits))
    return tools


def open_database(
    url: str | Path,
    *,
    tables: Sequence[str] | None = None,
    limits: Limits,
    allow_superuser: bool = False,
    role_only_reads: bool = False,
) -> Database:
    """Return the database behind the tools, for other tools that read it. It is not opened yet.

    Args:
        url: As for `database_tools`.
        tables: As for `database_tools`.
        limits: Bounds of one call.
        allow_superuser: As for `database_tools`.
        role_only_reads: As for `database_tools`.
    """
    if (path := _sqlite_path(str(url))) is not None:
        return SqliteDatabase(path, tables=tables, limits=limits)
    return ServerDatabase(
        str(url), tables=tables, limits=limits, allow_superuser=allow_superuser, role_only_reads=role_only_reads
    )


def _sqlite_path(url: str) -> str | None:
    """Return the path of a SQLite file, or None when the URL names a server."""
    if match := _SQLITE.fullmatch(url):
        return match["path"] if match["path"] and not match["host"] else ""
    # Without "://" it is a path, also "C:\data.db".
    return None if re.match(r"[A-Za-z][\w+.-]*://", url) else url


def _tool(function: Callable[..., str], risk: str, effect: str, limits: Limits) -> BaseTool:
    return StructuredTool.from_function(
        func=function,
        parse_docstring=True,
        handle_tool_error=True,
        handle_validation_error=bad_arguments,
        metadata={
            "risk": risk,
            "effect": effect,
            "trust": "untrusted",
            # A call connects and reads the schema before its statement, and a description runs a few statements.
            "time_limit_s": 3 * limits.time_s + 15,
            "output_limit": limits.characters,
        },
    )


def _describe(database: Database, limits: Limits) -> Callable[..., str]:
    def describe_database(table: str = "") -> str:
        """Lists the tables of the database with their columns, or describes one table with sample rows.

        Use it first, before you write SQL.

        For example: describe_database() or describe_database(table="orders")

        Args:
            table: A table to describe; leave it out to list all tables.
        """
        tables = database.tables()
        if not tables:
            raise ToolException("error: the database has no tables that may be used; do without it")
        if not table.strip():
            return _overview(database.dialect, tables, limits.characters)
        return _detail(database, _table_named(table, tables), limits)

    return describe_database


def _query(database: Database, limits: Limits) -> Callable[..., str]:
    def query_database(sql: str) -> str:
        """Runs one SELECT on the database and returns its rows as a table. It cannot change anything.

        Let the database count, sum, group and sort: only the first rows are returned. Call describe_database
        first for the names of tables and columns.

        For example: query_database(sql="SELECT city, count(*) FROM customers GROUP BY city ORDER BY 2 DESC LIMIT 5")

        Args:
            sql: One SELECT statement.
        """
        return database.read(sql).show(limits.characters)

    return query_database


def _write(database: Database, limits: Limits) -> Callable[..., str]:
    def write_database(sql: str) -> str:
        """Changes rows of the database with one INSERT, UPDATE or DELETE. A human is asked before.

        The statement is done wholly or, after an error, not at all. Do not repeat a call that has succeeded.

        For example: write_database(sql="UPDATE orders SET state = 'sent' WHERE id = 17")

        Args:
            sql: One INSERT, UPDATE or DELETE statement.
        """
        return database.write(sql).show(limits.characters)

    return write_database


def _table_named(asked: str, tables: Sequence[TableFacts]) -> TableFacts:
    # A model may quote the name, write it in other letters, or leave out its schema.
    name = asked.strip().strip('"`[]').lower()
    for table in tables:
        if name in (table.name.lower(), table.name.lower().split(".")[-1]):
            return table
    hint = instead(asked[:100], [table.name for table in tables])
    raise ToolException(f"error: there is no table '{asked.strip()[:100]}'; {hint}")


def _overview(dialect: str, tables: Sequence[TableFacts], characters: int) -> str:
    """Return all tables, in as much detail as there is room for."""
    head = f"{dialect}. Tables (call describe_database with a table's name for sample rows):\n"
    short = f"{dialect}. Tables; call describe_database with a table's name for its columns:\n"
    full = [f"{_title(table)}: {', '.join(map(str, table.columns))}" for table in tables]
    names = [f"{_title(table)}: {', '.join(column.name for column in table.columns)}" for table in tables]
    for start, lines in ((head, full), (head, names), (short, [_title(table) for table in tables])):
        text = start + "\n".join(lines)
        if len(text) <= characters:
            return text
    return text[: characters - 30].rsplit("\n", 1)[0] + "\n[… and more tables]"


def _title(table: TableFacts) -> str:
    return f"{table.name} (view)" if table.view else table.name


def _detail(database: Database, table: TableFacts, limits: Limits) -> str:
    """Return the columns of a table, its number of rows if that is quick to count, and sample rows."""
    quote = "`" if database.dialect in ("MySQL", "MariaDB") else '"'
    name = ".".join(quote + part.replace(quote, 2 * quote) + quote for part in _parts(database, table.name))
    lines = [f"{_title(table)} ({database.dialect})", *(f"- {column}" for column in table.columns)]
    if not table.view:  # to count the rows of a view, the database may have to run its whole query
        # The LIMIT keeps a table of millions of rows from being read to its end.
        counted = database.read(f"SELECT count(*) FROM (SELECT 1 FROM {name} LIMIT {_COUNTED + 1}) AS counted")
        rows = int(counted.rows[0][0])
        lines[0] += f": more than {_COUNTED:,} rows" if rows > _COUNTED else f": {rows:,} row{'' if rows == 1 else 's'}"
    text = "\n".join(lines)
    if len(text) > limits.characters - 300:
        return text[: limits.characters - 30].rsplit("\n", 1)[0] + "\n[… and more columns]"
    samples = database.read(f"SELECT * FROM {name} LIMIT {_SAMPLES}", rows=_SAMPLES)
    return f"{text}\nSample rows:\n" + samples.show(limits.characters - len(text) - 15)


def _parts(database: Database, name: str) -> list[str]:
    # A SQLite file has no schemas, so a dot is part of a table's name.
    return [name] if isinstance(database, SqliteDatabase) else name.split(".")
