"""Statements that mean harm: nothing is changed, nothing that may not be seen is told, and the next question works.

Each is judged by its effect, not by how it was refused. The SQLite half needs nothing; the guard for servers is
tested here on its trees, and against a real server in `test_database_postgres`.
"""

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from langchain_core.tools import ToolException
from orchestrator_tools.database import sqlite as database_sqlite
from orchestrator_tools.database.sql_result import Limits
from orchestrator_tools.database.sqlite import SqliteDatabase
from orchestrator_tools.database.tools import database_tools

from tests.tools.hostile.hostile_sql import (
    ENDLESS_CASES,
    LARGE_CASES,
    LONG,
    READING_CASES,
    WRITING_CASES,
    Shop,
    Statement,
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("shop"))


def title(case: Statement) -> str:
    return f"{case.kind}: {case.sql[:60]}"


@pytest.mark.parametrize("case", [*READING_CASES, *LARGE_CASES], ids=title)
def test_reading_neither_changes_nor_tells_nor_floods(shop: Shop, case: Statement) -> None:
    assert shop.attempt(case)[1] == []


@pytest.mark.parametrize("case", WRITING_CASES, ids=title)
def test_writing_keeps_to_the_tables_that_are_allowed(shop: Shop, case: Statement) -> None:
    assert shop.attempt(case)[1] == []


@pytest.mark.parametrize("case", ENDLESS_CASES, ids=title)
def test_what_has_no_end_is_ended(shop: Shop, monkeypatch: pytest.MonkeyPatch, case: Statement) -> None:
    real, looks = time.monotonic, 0

    def clock() -> float:  # a second passes with each look at it
        nonlocal looks
        looks += 1
        return real() + looks

    monkeypatch.setattr(database_sqlite.time, "monotonic", clock)
    answer, problems = shop.attempt(case)
    assert "the time limit of 5 s is over" in answer
    assert problems == []


def test_a_cast_of_many_wide_cells_keeps_to_the_answers_length(shop: Shop) -> None:
    answer = shop.tools["query_database"].invoke({"sql": "SELECT " + ", ".join([LONG] * 60)})
    assert len(answer) <= 2_400


def test_searching_in_long_texts_takes_no_longer_than_reading_them(shop: Shop) -> None:
    sql = f"WITH t(a) AS (SELECT {LONG}) SELECT " + ", ".join(["instr(a, substr(a, 1, 50000) || 'y')"] * 50) + " FROM t"
    answer = str(shop.tools["query_database"].invoke({"sql": sql}))
    assert shop.problems(answer) == []
    assert "| 0 | 0 | 0 |" in answer


def test_the_file_is_opened_read_only_whatever_the_rules_say(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_sqlite._Rules, "__call__", lambda *_: sqlite3.SQLITE_OK)
    for sql in ("DELETE FROM orders", "DROP TABLE orders", "PRAGMA user_version = 7"):
        shop.tools["query_database"].invoke({"sql": sql})
    monkeypatch.undo()
    assert shop.problems("") == []


def test_without_write_access_there_is_no_tool_that_writes(shop: Shop) -> None:
    assert [tool.name for tool in database_tools(shop.path)] == ["describe_database", "query_database"]


@pytest.mark.parametrize(
    "table", ["secret", "sqlite_master", "main.secret", "orders; DROP TABLE orders", '"', "x" * 9_999]
)
def test_describing_tells_nothing_of_other_tables(shop: Shop, table: str) -> None:
    answer = shop.tools["describe_database"].invoke({"table": table})
    assert answer.startswith("error: ")
    assert "word" not in answer
    assert shop.problems(answer) == []
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
    assert shop.problems(said) == []


@pytest.fixture
def guard() -> Iterator[object]:
    pytest.importorskip("sqlglot", reason="the guard for servers needs sqlglot")
    from orchestrator_tools.database.sql_guard import Guard

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
