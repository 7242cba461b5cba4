"""A database server that statements written by a model may read and, if its owner wants that, change.

The boundary is the role in the address. Make a role that may read its tables and nothing else, for PostgreSQL with
`CREATE ROLE reader LOGIN PASSWORD '…'; GRANT SELECT ON orders TO reader`. This module adds a second layer: it refuses a
superuser, runs each statement in a read-only transaction with a time limit, and sends only statements that
`sql_guard` has checked.

Costs: an aggregate can still make the server build one very long value. Settings of the role and the server bound
that memory, not this module.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from langchain_core.tools import ToolException

from orchestrator_tools.database.sql_guard import Guard
from orchestrator_tools.database.sql_result import (
    ColumnFacts,
    Limits,
    Result,
    TableFacts,
    checked,
    unknown_column,
    unknown_table,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, Inspector

_DRIVERS: Final = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
_PACKAGES: Final = {"psycopg": "psycopg[binary]", "MySQLdb": "mysqlclient", "pyodbc": "pyodbc"}
_SYSTEM: Final = ("information_schema", "pg_catalog", "mysql", "performance_schema", "sys")
_CONNECT_S: Final = 5  # Linux itself tries a silent host for two minutes
# The session's user counts too, since RESET ROLE leads back to it. A role that is not found counts as powerful.
_SUPERUSER: Final = """
SELECT coalesce(bool_or(mine.rolsuper OR mine.rolreplication OR pg_has_role(mine.oid, power.oid, 'MEMBER')), true)
FROM pg_roles AS mine, pg_roles AS power
WHERE mine.rolname IN (current_user, session_user) AND power.rolname IN
('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program', 'pg_read_all_data', 'pg_write_all_data')
"""
_MYSQL_POWERS: Final = re.compile(r"\b(ALL PRIVILEGES|SUPER|FILE|GRANT OPTION)\b.* ON \*\.\*", re.IGNORECASE)


class ServerDatabase:
    """A database behind a SQLAlchemy URL. Each call connects anew and disconnects, so several threads may call.

    Args:
        url: SQLAlchemy's URL.
        tables: The tables and views that may be used, with their schema if it is not the role's own; None for all in
            the role's own schema.
        limits: Bounds of one call.
        allow_superuser: Accept a role that may do everything.
        role_only_reads: The owner's word that the role can only read. Without it, a database that has no read-only
            transactions is refused.
    """

    def __init__(
        self,
        url: str,
        *,
        tables: Sequence[str] | None,
        limits: Limits,
        allow_superuser: bool = False,
        role_only_reads: bool = False,
    ) -> None:
        self._url = url
        self._named = tables
        self._limits = limits
        self._allow_superuser = allow_superuser
        self._role_only_reads = role_only_reads
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._role_passed = False
        self._secrets: list[str] = []

    @property
    def dialect(self) -> str:
        """Name of the SQL dialect, for the model."""
        return {"postgresql": "PostgreSQL", "mysql": "MySQL", "mariadb": "MariaDB"}.get(self._kind, self._kind)

    @property
    def _kind(self) -> str:
        kind = self._url.split("://")[0].split("+")[0].lower()
        return "postgresql" if kind == "postgres" else kind

    def tables(self) -> tuple[TableFacts, ...]:
        """Return the tables and views that may be used."""
        from sqlalchemy import inspect

        with self._transaction() as connection, self._clear(""):
            inspector = inspect(connection)
            own = inspector.default_schema_name or ""
            return tuple(
                TableFacts(_shown(schema, name, own), view, _columns(inspector, name, schema))
                for schema, name, view in self._names(inspector)
            )

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
        with self._transaction() as connection:
            statement = self._guard(connection).reading(text)
            with self._clear(text):
                # Most drivers fetch all rows of a result at once, however many there are.
                connection.execution_options(stream_results=True, max_row_buffer=50)
                return self._run(connection, statement, limits)

    def write(self, sql: str) -> Result:
        """Run one INSERT, UPDATE or DELETE, wholly or not at all.

        Raises:
            ToolException: The statement is not allowed, wrong, takes too long or changes too many rows. Then no row
                has been changed.
        """
        text = checked(sql)
        with self._transaction(writing=True) as connection:
            statement = self._guard(connection).writing(text)
            with self._clear(text):
                result = self._run(connection, statement, self._limits, writing=True)
                changed = -1 if result.changed is None else result.changed
                if changed < 0:  # PEP 249: -1 where the driver cannot tell
                    raise ToolException("error: nothing was changed: the driver does not say how many rows; do without")
                if changed > self._limits.changes:
                    raise ToolException(
                        f"error: nothing was changed: the statement would change {changed:,} rows and the limit is "
                        f"{self._limits.changes:,}; narrow its WHERE"
                    )
                connection.commit()
                return result

    def _run(self, connection: "Connection", statement: str, limits: Limits, *, writing: bool = False) -> Result:
        deadline = time.monotonic() + limits.time_s
        # Without parameters, a '%' or ':name' in the statement has no meaning for the driver. `preserve_rowcount` keeps
        # the number of changed rows of a statement that also returns rows.
        connection.execution_options(no_parameters=True, preserve_rowcount=writing)
        answer = connection.exec_driver_sql(statement)
        try:
            result = Result(statement)
            if answer.returns_rows:
                result.columns = list(answer.keys())
                result.take(self._until(deadline, answer), limits)
            result.changed = answer.rowcount if writing else None
            return result
        finally:
            answer.close()

    def _until(self, deadline: float, rows: Any) -> Iterator[Sequence[Any]]:
        for row in rows:
            if time.monotonic() > deadline:  # the server's own time limit begins anew with each portion of rows
                raise ToolException(self._too_slow())
            yield row

    def _too_slow(self) -> str:
        return f"error: the time limit of {self._limits.time_s:g} s is over; ask for less"

    @contextmanager
    def _transaction(self, *, writing: bool = False) -> Iterator["Connection"]:
        """Open a transaction that is rolled back unless it was committed, and close the connection after it."""
        with self._lock:
            engine = self._engine = self._engine or self._make_engine()
        with self._clear(""):
            connection = engine.connect()
        with connection:
            with self._clear(""):
                self._prepare(connection, writing)
            yield connection

    def _prepare(self, connection: "Connection", writing: bool) -> None:
        milliseconds = max(1, int(self._limits.time_s * 1_000))
        mode = "READ WRITE" if writing else "READ ONLY"
        match self._kind:
            case "postgresql":
                commands = [
                    f"SET TRANSACTION {mode}",
                    f"SET LOCAL statement_timeout = {milliseconds}",
                    f"SET LOCAL lock_timeout = {milliseconds}",
                    # When it is off, a backslash in a string is an escape, and the guard wrote it as a character.
                    "SET LOCAL standard_conforming_strings = on",
                ]
            case "mysql" | "mariadb":
                seconds = self._limits.time_s
                limit = f"max_statement_time = {seconds}"
                if self._kind == "mysql":
                    limit = f"max_execution_time = {milliseconds}"
                # A server with NO_BACKSLASH_ESCAPES would read strings otherwise than the guard wrote them.
                commands = [f"SET SESSION {limit}", "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'"]
                commands += [f"START TRANSACTION {mode}"]
            case _ if self._role_only_reads and not writing:
                commands = []
            case kind:
                raise ToolException(
                    f"error: '{kind}' has no read-only transactions that are known here; a person must make a role "
                    "that can only read and say so with role_only_reads=True"
                )
        for command in commands:
            connection.exec_driver_sql(command)
        if not self._role_passed and not self._allow_superuser:
            self._check_role(connection)
            self._role_passed = True

    def _check_role(self, connection: "Connection") -> None:
        if self._kind == "postgresql":
            powerful = bool(connection.exec_driver_sql(_SUPERUSER).scalar())
        elif self._kind in ("mysql", "mariadb"):
            grants = [str(row[0]) for row in connection.exec_driver_sql("SHOW GRANTS")]
            powerful = any(_MYSQL_POWERS.search(grant) for grant in grants)
        else:
            powerful = False  # `role_only_reads` vouches for the role
        if powerful:
            raise ToolException(
                "error: the database's role may do everything on the server; a person must make a role that can "
                "only read the tables it is meant to, and put that into the address"
            )

    def _names(self, inspector: "Inspector") -> list[tuple[str, str, bool]]:
        """Return (schema, name, True for a view) of each table and view that may be used."""
        own = inspector.default_schema_name or ""
        named: set[tuple[str, str]] | None = None
        if self._named is not None:
            named = {(schema or own, name) for schema, _, name in (each.rpartition(".") for each in self._named)}
        names = []
        for schema in sorted({own} if named is None else {schema for schema, _ in named}):
            if schema.lower() in _SYSTEM or schema.startswith("pg_"):
                continue
            views = set(inspector.get_view_names(schema or None))
            for name in sorted({*inspector.get_table_names(schema or None), *views}):
                if named is None or (schema, name) in named:
                    names.append((schema, name, name in views))
        return names

    def _guard(self, connection: "Connection") -> Guard:
        from sqlalchemy import inspect

        with self._clear(""):
            inspector = inspect(connection)
            own = inspector.default_schema_name or ""
            names = self._names(inspector)
        tables = {(schema, name): _shown(schema, name, own) for schema, name, _ in names}
        kind = {"mariadb": "mysql", "postgresql": "postgres", "mssql": "tsql"}.get(self._kind, self._kind)
        return Guard(kind, tables, own, folds=self._kind == "postgresql")

    def _make_engine(self) -> "Engine":
        try:
            from sqlalchemy import create_engine
            from sqlalchemy.engine import make_url
            from sqlalchemy.exc import ArgumentError, NoSuchModuleError
            from sqlalchemy.pool import NullPool
        except ModuleNotFoundError:
            raise ToolException(_missing("sqlalchemy>=2")) from None
        try:
            import sqlglot as sqlglot
        except ModuleNotFoundError:
            raise ToolException(_missing("sqlglot")) from None
        try:
            url = make_url(self._url)
            url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
            # libpq takes a password from the query of the address too.
            secret = [str(value) for name, value in url.query.items() if "pass" in name.lower()]
            self._secrets = [text for text in [str(url.password or ""), *secret] if text]
            # NullPool closes each connection with its call, and `hide_parameters` keeps values out of error messages.
            waits = {"connect_timeout": _CONNECT_S} if self._kind in ("postgresql", "mysql", "mariadb") else {}
            return create_engine(url, poolclass=NullPool, connect_args=waits, hide_parameters=True)
        except ModuleNotFoundError as error:
            package = _PACKAGES.get(error.name or "", error.name or "a driver")
            raise ToolException(_missing(package)) from None
        except NoSuchModuleError:
            raise ToolException(_missing(f"a SQLAlchemy dialect for '{self._kind[:40]}'")) from None
        except (ArgumentError, ValueError, TypeError):  # their messages may hold the whole address
            raise ToolException(
                "error: the database's address cannot be understood; a person must write it like "
                "postgresql://role:password@host:5432/name"
            ) from None

    @contextmanager
    def _clear(self, sql: str) -> Iterator[None]:
        """Turn any error of the database into one clear line for the model, without passwords."""
        from sqlalchemy.exc import DBAPIError, SQLAlchemyError

        try:
            yield
        except DBAPIError as error:
            # `from None`: a log of the original error would show the password.
            raise ToolException(self._hidden(self._reason(error.orig or error, sql))) from None
        except (SQLAlchemyError, OSError, UnicodeError, ValueError, OverflowError) as error:
            raise ToolException(self._hidden(self._reason(error, sql))) from None

    def _reason(self, error: BaseException, sql: str) -> str:
        message = " ".join(str(error).split())[:300] or type(error).__name__
        state = str(getattr(error, "sqlstate", "") or "")
        low = message.lower()
        # PostgreSQL's states: 57014 query_canceled, 42P01 undefined_table, 42703 undefined_column,
        # 55P03 lock_not_available, 42501 insufficient_privilege.
        reasons: list[tuple[bool, Callable[[], str]]] = [
            (state == "57014" or "statement timeout" in low or "maximum statement execution" in low, self._too_slow),
            (state == "42P01" or "doesn't exist" in low, lambda: f"error: {message}; {unknown_table(self.tables())}"),
            (
                state == "42703" or "unknown column" in low,
                lambda: f"error: {message}; {unknown_column(sql, self.tables())}",
            ),
            (state == "55P03", lambda: "error: another program has locked this; try again later"),
            (state == "42501" or "denied" in low, lambda: f"error: {message}; the role may not do that, do without it"),
            (not sql, lambda: f"error: the database cannot be used ({message}); a person must correct this"),
        ]
        for fits, reason in reasons:
            if fits:
                return reason()
        return f"error: {message}; correct the statement ({self.dialect})"

    def _hidden(self, text: str) -> str:
        from urllib.parse import quote_plus

        for secret in self._secrets:
            for shape in (secret, quote_plus(secret)):  # an error that quotes the address has it escaped
                text = text.replace(shape, "***")
        return text


def _shown(schema: str, name: str, own: str) -> str:
    return name if schema == own else f"{schema}.{name}"


def _columns(inspector: "Inspector", table: str, schema: str) -> tuple[ColumnFacts, ...]:
    keys = inspector.get_pk_constraint(table, schema or None)["constrained_columns"]
    refers = {}
    for link in inspector.get_foreign_keys(table, schema or None):
        for column, other in zip(link["constrained_columns"], link["referred_columns"], strict=False):
            refers[column] = f"{link['referred_table']}.{other}"
    return tuple(
        ColumnFacts(column["name"], str(column["type"]), column["name"] in keys, refers.get(column["name"], ""))
        for column in inspector.get_columns(table, schema or None)
    )


def _missing(package: str) -> str:
    return f"error: the package '{package}' is not installed; a person must install it before this database can be read"
