"""Statements that mean harm: nothing is changed, nothing that may not be seen is told, and the next question works.

Each is judged by its effect, not by how it was refused. The SQLite half needs nothing; the guard for servers is
tested here on its trees, and against a real server in `test_database_postgres`.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from langchain_core.tools import BaseTool, ToolException

from tools import database_sqlite
from tools.database import database_tools
from tools.database_sqlite import SqliteDatabase
from tools.sql_result import Limits

SECRET = "swordfish"

READING = {
    "changes rows": [
        "INSERT INTO orders VALUES (9, 'x', 1)",
        "UPDATE orders SET total = 0",
        "DELETE FROM orders",
        "REPLACE INTO orders VALUES (1, 'x', 0)",
        "WITH x AS (SELECT 1) DELETE FROM orders",
        "WITH x AS (SELECT 1) INSERT INTO orders SELECT 9, 'x', 1",
        "INSERT INTO orders VALUES (9, 'x', 1) RETURNING *",
        "EXPLAIN DELETE FROM orders",
    ],
    "changes structure": [
        "DROP TABLE orders",
        "CREATE TABLE more AS SELECT * FROM secret",
        "CREATE TEMP TABLE more AS SELECT * FROM secret",
        "CREATE TEMP VIEW more AS SELECT * FROM secret",
        "ALTER TABLE orders RENAME TO others",
        "CREATE TRIGGER t AFTER INSERT ON orders BEGIN DELETE FROM secret; END",
        "CREATE VIRTUAL TABLE f USING fts5(a)",
        "CREATE VIRTUAL TABLE temp.v USING fts5vocab(main, secret, row)",
        "CREATE INDEX i ON orders(total)",
        "REINDEX",
        "ANALYZE",
        "VACUUM",
    ],
    "several statements": [
        "SELECT 1; DELETE FROM orders",
        "SELECT 1; SELECT * FROM secret",
        "SELECT 1;;DROP TABLE orders",
        "SELECT 1 /* ; */ ; /* */ DROP TABLE orders --",
        "BEGIN; DELETE FROM orders; COMMIT",
        "COMMIT",
        "SAVEPOINT s",
    ],
    "other files": [
        "ATTACH '{other}' AS other",
        "ATTACH DATABASE 'file:{other}?mode=ro' AS other",
        "DETACH main",
        "VACUUM INTO '{new}'",
        "SELECT readfile('{canary}')",
        "SELECT writefile('{new}', 'x')",
        "SELECT load_extension('{canary}')",
        "SELECT edit('x', 'touch {new}')",
        "SELECT fts3_tokenizer('simple')",
        "SELECT hex(fts3_tokenizer('simple', x'4141414141414141'))",
        "SELECT * FROM fsdir('{folder}')",
        "SELECT * FROM csv('{canary}')",
    ],
    "settings": [
        "PRAGMA writable_schema = ON",
        "PRAGMA query_only = OFF",
        "PRAGMA database_list",
        "PRAGMA table_info(secret)",
        "PRAGMA temp_store_directory = '{folder}'",
        "PRAGMA journal_mode = DELETE",
        "SELECT * FROM pragma_database_list",
        "SELECT * FROM pragma_table_info('secret')",
        "SELECT count(*) FROM pragma_table_info('secret')",
        "SELECT * FROM pragma_compile_options",
        "SELECT count(*) FROM PRAGMA_table_xinfo('secret')",
        "SELECT sqlite_version()",
        "SELECT sqlite_compileoption_get(0)",
    ],
    "tables that are not allowed": [
        "SELECT * FROM secret",
        "SELECT count(*) FROM secret",
        "SELECT 1 FROM main.secret",
        "SELECT * FROM 'secret'",
        "SELECT * FROM [SECRET]",
        "SELECT count(*) FROM `Secret`",
        "SELECT (SELECT word FROM secret)",
        "SELECT * FROM orders UNION SELECT id, word, 1 FROM secret",
        "SELECT * FROM orders WHERE EXISTS (SELECT 1 FROM secret WHERE word LIKE 's%')",
        "SELECT * FROM orders ORDER BY (SELECT word FROM secret)",
        "SELECT name FROM orders JOIN secret USING (id)",
        "WITH secret AS (SELECT 1) SELECT * FROM main.secret",
        "WITH orders AS (SELECT * FROM secret) SELECT * FROM orders",
        "WITH report AS (SELECT * FROM secret) SELECT * FROM report",
        'WITH "report" AS MATERIALIZED (SELECT word FROM secret) SELECT * FROM "report"',
        "WITH noted AS (SELECT * FROM secret) SELECT * FROM noted",
        "SELECT * FROM (WITH report AS (SELECT word FROM secret) SELECT * FROM report)",
        "SELECT * FROM (SELECT word FROM secret) AS report",
        "SELECT * FROM hidden_view",
        "SELECT count(*) FROM hidden_view",
        "VALUES ((SELECT word FROM secret))",
        "SELECT group_concat(word) FILTER (WHERE id > 0) OVER () FROM secret",
        "SELECT word FROM secret, orders AS secret",
        "SELECT * FROM json_each((SELECT json_group_array(word) FROM secret))",
    ],
    "the schema's own tables": [
        "SELECT sql FROM sqlite_master",
        "SELECT * FROM sqlite_schema",
        "SELECT count(*) FROM sqlite_master",
        "SELECT * FROM sqlite_temp_master",
        "SELECT * FROM sqlite_sequence",
        "SELECT * FROM sqlite_stat1",
        "SELECT * FROM dbstat",
        "SELECT count(*) FROM sqlite_dbpage",
        "SELECT * FROM sqlite_stmt",
        "SELECT * FROM bytecode('SELECT 1')",
    ],
}
WRITING = [
    "INSERT INTO secret VALUES (2, 'forged')",
    "UPDATE secret SET word = 'forged'",
    "DELETE FROM secret",
    "INSERT INTO orders SELECT 9, word, 1 FROM secret",
    "UPDATE orders SET name = (SELECT word FROM secret)",
    "UPDATE orders SET name = word FROM secret",
    "INSERT INTO orders VALUES (9, 'x', 1) RETURNING (SELECT word FROM secret)",
    "WITH noted AS (SELECT * FROM secret) INSERT INTO orders SELECT id + 9, word, 1 FROM noted",
    "WITH report AS (SELECT * FROM secret) UPDATE orders SET name = (SELECT word FROM report)",
    "WITH secret AS (SELECT 1) DELETE FROM secret",
    "INSERT INTO sqlite_master VALUES ('table', 'x', 'x', 0, '')",
    "UPDATE sqlite_master SET sql = ''",
    "UPDATE sqlite_sequence SET seq = 0",
    "INSERT INTO audit VALUES ('forged')",
    "DROP TABLE orders",
    "DROP TRIGGER noted",
    "PRAGMA foreign_keys = OFF",
    "PRAGMA writable_schema = ON",
    "ATTACH '{other}' AS other",
    "VACUUM INTO '{new}'",
    "UPDATE orders SET total = 0; DELETE FROM orders",
    "UPDATE orders SET name = load_extension('{canary}')",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT s",
    "UPDATE OR IGNORE orders SET total = 0; COMMIT",
]
ENDLESS = [
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT i FROM n WHERE i = 2",
    "SELECT count(*) FROM " + ", ".join(f"orders AS o{number}" for number in range(27)),
    "SELECT sum(a.total) FROM "
    + ", ".join(f"orders AS {name}" for name in "abcdefghijklmnopqrs")
    + " WHERE a.id + s.id < 0",
]
TEN = "'xxxxxxxxxx'"
LONG = f"replace({TEN}, 'x', replace({TEN}, 'x', replace({TEN}, 'x', replace({TEN}, 'x', {TEN}))))"
"""Writes 100,000 characters."""

LARGE = [
    "SELECT printf('%.*c', 1000000000, 'x')",
    "SELECT zeroblob(1000000000)",
    "SELECT randomblob(1000000000)",
    f"SELECT replace({LONG}, 'x', {LONG})",
    f"SELECT trim({LONG}, {LONG})",
    "SELECT printf('%.1000000000c', 'x')",
    "SELECT format('%.*c', 1000000000, 'x')",
    "WITH RECURSIVE s(t) AS (SELECT 'x' UNION ALL SELECT t || t FROM s) SELECT length(t) FROM s WHERE length(t) < 0",
    "SELECT " + "(" * 3_000 + "1" + ")" * 3_000,
    "SELECT 1" + "+1" * 4_000,
    "SELECT 1" + " UNION ALL SELECT 1" * 500,
    "SELECT " + ",".join(["1"] * 4_000),
    "SELECT 'a' LIKE '" + "%a" * 2_000 + "'",
    "SELECT max(" + ",".join(["1"] * 120) + ")",
]


class Shop:
    """A database with a secret, files around it, and what was in all of them at first."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "shop.db"
        self.places = {name: str(folder / name) for name in ("other", "new", "canary")} | {"folder": str(folder)}
        (folder / "canary").write_text(SECRET)
        for path in (self.path, folder / "other"):
            with closing(sqlite3.connect(path)) as connection:
                connection.executescript(f"""
                    CREATE TABLE orders (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, total REAL);
                    CREATE TABLE secret (id INTEGER PRIMARY KEY, word TEXT);
                    CREATE TABLE audit (what TEXT);
                    CREATE INDEX by_name ON orders(name);
                    CREATE VIEW report AS SELECT count(*) AS secrets FROM secret;
                    CREATE VIEW hidden_view AS SELECT word FROM secret;
                    CREATE TRIGGER noted AFTER DELETE ON orders BEGIN INSERT INTO audit VALUES (old.name); END;
                    INSERT INTO orders VALUES (1, 'Ann', 10), (2, 'Bo', 5), (3, 'Cy', 1);
                    INSERT INTO secret VALUES (1, '{SECRET}');
                    ANALYZE;
                """)
        self.folder = folder
        self.at_first = self.state()
        self.tools: dict[str, BaseTool] = {
            tool.name: tool
            for tool in database_tools(self.path, tables=["orders", "report"], writable=True, time_limit_s=5)
        }

    def state(self) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in self.folder.iterdir()}

    def check(self, answer: str) -> None:
        assert SECRET not in answer
        assert SECRET.encode().hex() not in answer.lower()
        assert self.state() == self.at_first
        assert "| 3 | 16 |" in self.tools["query_database"].invoke({"sql": "SELECT count(*), sum(total) FROM orders"})


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("shop"))


@pytest.mark.parametrize(("kind", "sql"), [(kind, sql) for kind, all_sql in READING.items() for sql in all_sql])
def test_reading_neither_changes_nor_tells(shop: Shop, kind: str, sql: str) -> None:
    answer = shop.tools["query_database"].invoke({"sql": sql.format(**shop.places)})
    shop.check(answer)
    assert answer.startswith("error: "), kind


@pytest.mark.parametrize("sql", WRITING)
def test_writing_keeps_to_the_tables_that_are_allowed(shop: Shop, sql: str) -> None:
    answer = shop.tools["write_database"].invoke({"sql": sql.format(**shop.places)})
    shop.check(answer)
    assert answer.startswith("error: ")


@pytest.mark.parametrize("tool", ["query_database", "write_database"])
@pytest.mark.parametrize("sql", ENDLESS)
def test_what_has_no_end_is_ended(shop: Shop, monkeypatch: pytest.MonkeyPatch, sql: str, tool: str) -> None:
    looks = 0

    def clock() -> float:  # a second passes with each look at it
        nonlocal looks
        looks += 1
        return float(looks)

    monkeypatch.setattr(database_sqlite.time, "monotonic", clock)
    answer = shop.tools[tool].invoke({"sql": sql})
    assert "the time limit of 5 s is over" in answer
    monkeypatch.undo()
    shop.check(answer)


@pytest.mark.parametrize("sql", LARGE)
def test_what_is_too_large_is_an_error(shop: Shop, sql: str) -> None:
    answer = shop.tools["query_database"].invoke({"sql": sql})
    shop.check(answer)
    assert answer.startswith("error: ")
    assert len(answer) < 1_000


def test_a_cast_of_many_wide_cells_keeps_to_the_answers_length(shop: Shop) -> None:
    answer = shop.tools["query_database"].invoke({"sql": "SELECT " + ", ".join([LONG] * 60)})
    assert len(answer) <= 2_400


def test_searching_in_long_texts_takes_no_longer_than_reading_them(shop: Shop) -> None:
    sql = f"WITH t(a) AS (SELECT {LONG}) SELECT " + ", ".join(["instr(a, substr(a, 1, 50000) || 'y')"] * 50) + " FROM t"
    shop.check(answer := shop.tools["query_database"].invoke({"sql": sql}))
    assert "| 0 | 0 | 0 |" in answer


def test_the_file_is_opened_read_only_whatever_the_rules_say(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_sqlite._Rules, "__call__", lambda *_: sqlite3.SQLITE_OK)
    for sql in ("DELETE FROM orders", "DROP TABLE orders", "PRAGMA user_version = 7"):
        shop.tools["query_database"].invoke({"sql": sql})
    monkeypatch.undo()
    shop.check("")


def test_without_write_access_there_is_no_tool_that_writes(shop: Shop) -> None:
    assert [tool.name for tool in database_tools(shop.path)] == ["describe_database", "query_database"]


@pytest.mark.parametrize(
    "table", ["secret", "sqlite_master", "main.secret", "orders; DROP TABLE orders", '"', "x" * 9_999]
)
def test_describing_tells_nothing_of_other_tables(shop: Shop, table: str) -> None:
    answer = shop.tools["describe_database"].invoke({"table": table})
    assert answer.startswith("error: ")
    assert "word" not in answer
    shop.check(answer)
    assert "secret" not in shop.tools["describe_database"].invoke({}).replace("secrets", "")


def test_names_of_a_hostile_file_stay_names(tmp_path: Path) -> None:
    name = 'x" UNION SELECT 1; --'
    with closing(sqlite3.connect(tmp_path / "odd.db")) as connection:
        connection.execute(f'CREATE TABLE "{name.replace(chr(34), chr(34) * 2)}" ("a|b\nc" TEXT)')
    tools = {tool.name: tool for tool in database_tools(tmp_path / "odd.db")}
    assert "0 rows" in tools["describe_database"].invoke({"table": name})


WORDS = re.findall(
    r"\S+",
    "SELECT * FROM secret orders report sqlite_master WITH RECURSIVE AS ( ) , ; UNION ALL DELETE UPDATE SET total = 0 "
    "INSERT INTO VALUES 1 'x' word main . PRAGMA ATTACH load_extension DROP TABLE -- /* */ RETURNING JOIN ON NOT",
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join)))
@example("\ud800")
@example("SELECT '\0'")
def test_any_text_gets_an_answer_and_changes_nothing(shop: Shop, sql: str) -> None:
    database = SqliteDatabase(shop.path, tables=["orders", "report"], limits=Limits(time_s=5))
    try:
        said = database.read(sql).show(2_400)
    except ToolException as error:
        said = str(error)
        assert said.startswith("error: ")
    assert len(said) <= 2_400
    shop.check(said)


@pytest.fixture
def guard() -> Iterator[object]:
    pytest.importorskip("sqlglot", reason="the guard for servers needs sqlglot")
    from tools.sql_guard import Guard

    tables = {("public", "orders"): "orders", ("shop", "items"): "shop.items"}
    return Guard("postgres", tables, "public", folds=True)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("sql", "sent"),
    [
        ("select ID from Orders", 'SELECT ID FROM "public"."orders"'),
        ("select * from shop.items -- x", 'SELECT * FROM "shop"."items"'),
        ("with o as (select 1 as a) select a from o", "WITH o AS (SELECT 1 AS a) SELECT a FROM o"),
        (
            "with orders as (select 1 as a) select a from public.orders",
            'WITH orders AS (SELECT 1 AS a) SELECT a FROM "public"."orders"',
        ),
        (
            "with a as (select * from orders), orders as (select 1) select * from a",
            'WITH a AS (SELECT * FROM "public"."orders"), orders AS (SELECT 1) SELECT * FROM a',
        ),
        ("select 'it''s' /*! || x */", "SELECT 'it''s'"),
    ],
)
def test_what_is_sent_is_what_was_checked(guard: object, sql: str, sent: str) -> None:
    assert guard.reading(sql) == sent  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "sql",
    [
        "with secret as (select 1) select * from public.secret",
        "with a as (select * from secret), secret as (select 1) select * from a",
        "with secret as (select * from secret) select * from secret",
        "select * from (with secret as (select 1) select 1) x, secret",
        "select * from secret where exists (with secret as (select 1) select 1)",
        'with "SECRET" as (select 1) select * from secret',
        'with secret as (select 1) select * from "SECRET"',
        "with a as (with secret as (select 1) select 1) select * from secret",
        "select 1 union (with secret as (select 1) select 1) union select * from secret",
        "with orders as (select 1) select * from other.public.orders",
        "select * from items",
        "select * from pg_catalog.pg_authid",
        "select * from pg_authid",
        "select * from information_schema.tables",
        'select * from "public.orders"',
        "table secret",
        "select E'\\\\' || secret",
        "select $$x$$",
        "select " + "date(" * 25 + "1" + ")" * 25,
        "select " + "array[" * 25 + "1" + "]" * 25,
        "select " + "(" * 500 + "1" + ")" * 500,
        "select 1" + "+1" * 4_000,
        "select " + "not " * 2_400 + "true",
    ],
)
def test_the_guard_refuses(guard: object, sql: str) -> None:
    with pytest.raises(ToolException, match=r"^error: "):
        guard.reading(sql)  # type: ignore[attr-defined]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join)))
def test_the_guard_lets_nothing_through_that_names_the_secret_table(guard: object, sql: str) -> None:
    for check in (guard.reading, guard.writing):  # type: ignore[attr-defined]
        try:
            sent = check(sql)
        except ToolException:
            continue
        assert '"secret"' not in sent.replace('AS "secret"', "")
        assert "DROP" not in sent
