"""The database tools against a real PostgreSQL: ordinary questions, and statements that mean harm."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from langchain_core.tools import ToolException

from tests.tools.hostile.hostile_postgres import READING_CASES, WRITING_CASES
from tests.tools.hostile.hostile_sql import Statement

pytest.importorskip("sqlalchemy", reason="databases other than SQLite need SQLAlchemy")
pytest.importorskip("psycopg", reason="PostgreSQL needs the package psycopg")
pytest.importorskip("sqlglot", reason="the guard needs the package sqlglot")

from orchestrator_tools.database.server import ServerDatabase
from orchestrator_tools.database.sql_guard import Guard
from orchestrator_tools.database.sql_result import Limits

from tests.tools.database.postgres_shop import ALLOWED, PostgresMissingError, PostgresShop, made, postgres_shop


@pytest.fixture(scope="module")
def shop() -> Iterator[PostgresShop]:
    try:
        with postgres_shop() as found:
            yield found
    except PostgresMissingError as error:
        pytest.skip(str(error))


def rows_of(answer: str) -> list[str]:
    return [line for line in answer.splitlines() if line.startswith("|")][2:]


@pytest.mark.parametrize("role", ["reader", "writer"])
def test_the_database_is_described(shop: PostgresShop, role: str) -> None:
    describe = made(shop.address(role), tables=ALLOWED)["describe_database"]
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
def test_ordinary_questions_are_answered(shop: PostgresShop, sql: str, rows: list[str] | None) -> None:
    answer = shop.tools["query_database"].invoke({"sql": sql})
    if rows is None:  # wrong, but said in one line
        assert answer.startswith("error: ")
        assert "\n" not in answer
        return
    assert rows_of(answer) == rows
    assert f"{len(rows)} row" in answer


def test_a_wrong_name_is_answered_with_the_right_ones(shop: PostgresShop) -> None:
    query = shop.tools["query_database"]
    assert "the tables there are: customers, orders, totals, shop.items" in query.invoke(
        {"sql": "SELECT * FROM client"}
    )
    assert "customers has id, name, city" in query.invoke({"sql": "SELECT nam FROM customers"})


def test_only_the_first_rows_are_fetched(shop: PostgresShop) -> None:
    query = made(shop.address(), max_rows=5)["query_database"]
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
def test_what_takes_too_long_is_ended(shop: PostgresShop, sql: str) -> None:
    query = made(shop.address(), time_limit_s=0.3)["query_database"]
    assert "the time limit of 0.3 s is over" in query.invoke({"sql": sql})
    assert "3 rows" in shop.tools["query_database"].invoke({"sql": "SELECT id FROM orders"})


def test_a_change_is_saved_once_and_a_wrong_one_not_at_all(shop: PostgresShop) -> None:
    write = shop.tools["write_database"]
    before = shop.state()
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
        assert shop.state() == before
    answer = write.invoke({"sql": "INSERT INTO customers (id, name) VALUES (50, 'Di'), (51, 'Ed') RETURNING id, name"})
    assert answer.startswith("2 rows changed and saved")
    assert rows_of(answer) == ["| 50 | Di |", "| 51 | Ed |"]
    assert write.invoke({"sql": "UPDATE customers SET city = 'X' WHERE id >= 50"}).startswith("2 rows changed")
    assert "2 rows changed" in write.invoke(
        {"sql": "WITH x AS (SELECT 50 AS i) DELETE FROM customers WHERE id >= (SELECT i FROM x)"}
    )
    assert shop.state() == before


def test_a_role_that_only_reads_cannot_write_even_when_the_tool_is_there(shop: PostgresShop) -> None:
    write = made(shop.address("reader"), tables=ALLOWED, writable=True)["write_database"]
    assert "permission denied" in write.invoke({"sql": "DELETE FROM orders"})


def title(case: Statement) -> str:
    return f"{case.kind}: {case.sql[:60]}"


@pytest.mark.parametrize("case", READING_CASES, ids=title)
def test_reading_neither_changes_nor_tells(shop: PostgresShop, case: Statement) -> None:
    assert shop.attempt(case)[1] == []


@pytest.mark.parametrize("case", WRITING_CASES, ids=title)
def test_writing_keeps_to_the_tables_that_are_allowed(shop: PostgresShop, case: Statement) -> None:
    assert shop.attempt(case)[1] == []


@pytest.mark.parametrize(
    "sql",
    ["DELETE FROM orders", "CREATE TABLE more (id int)", "SELECT nextval('orders_id_seq')", "SELECT lo_create(7)"],
)
def test_the_transaction_is_read_only_whatever_the_guard_says(
    shop: PostgresShop, monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    monkeypatch.setattr(Guard, "reading", lambda _, text: text)
    before = shop.state()
    answer = made(shop.address())["query_database"].invoke({"sql": sql})
    # What is no SELECT fails already as the body of a cursor.
    assert "read-only transaction" in answer or "syntax error" in answer
    assert sql.startswith("SELECT") == ("read-only transaction" in answer)
    assert shop.state() == before


def test_a_superuser_is_refused_unless_that_is_wanted(shop: PostgresShop) -> None:
    url = shop.url.render_as_string(hide_password=False)
    for tool, arguments in (("query_database", {"sql": "SELECT 1"}), ("describe_database", {})):
        assert "a person must make a role" in made(url)[tool].invoke(arguments)
    assert "| 1 |" in made(url, allow_superuser=True)["query_database"].invoke({"sql": "SELECT 1"})


def test_a_wrong_password_is_one_clear_error_and_never_told(
    shop: PostgresShop, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = shop.url.set(username="test_reader", password="hunter2/%").render_as_string(hide_password=False)
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


def test_several_threads_query_at_once_and_every_connection_is_closed(shop: PostgresShop) -> None:
    query = shop.tools["query_database"]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda number: query.invoke({"sql": f"SELECT {number} + 1"}), range(8)))
    assert [rows_of(answer) for answer in answers] == [[f"| {number + 1} |"] for number in range(8)]
    # The server notes a moment later that a client has gone; asking it waits for that.
    left = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'test_writer'"
    assert any(shop.execute(left) == [(0,)] for _ in range(200))


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
