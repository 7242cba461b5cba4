"""A model can look at a SQLite database and ask it questions, and change it only where its owner enabled that."""

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from langchain_core.tools import BaseTool
from orchestrator_tools.database.tools import database_tools

Tools = dict[str, BaseTool]


def named(tools: list[BaseTool]) -> Tools:
    return {tool.name: tool for tool in tools}


def rows_of(answer: str) -> list[str]:
    """The rows of a table, without its head."""
    return [line for line in answer.splitlines() if line.startswith("|")][2:]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "shop.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript("""
            CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT);
            CREATE TABLE orders (
                id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers(id), total REAL, day DATE, scan BLOB
            );
            CREATE VIEW totals AS SELECT name, sum(total) AS total FROM customers JOIN orders
                ON customers.id = customer_id GROUP BY name;
            INSERT INTO customers VALUES (1, 'Ann', 'Oslo'), (2, 'Bo', NULL), (3, 'Søren 雪 | x', 'Århus');
            INSERT INTO orders VALUES (1, 1, 10.5, '2024-01-31', x'00ff'), (2, 1, 4.5, '2024-02-01', NULL),
                (3, 2, 7.0, '2024-02-29', NULL);
        """)
    return file


@pytest.fixture
def tools(path: Path) -> Tools:
    return named(database_tools(path, writable=True))


def contents(path: Path, table: str = "customers") -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT * FROM {table}").fetchall()


def test_the_overview_has_tables_columns_types_and_keys(tools: Tools) -> None:
    answer = tools["describe_database"].invoke({})
    assert "customers: id INTEGER key, name TEXT, city TEXT" in answer
    assert "customer_id INTEGER -> customers.id" in answer
    assert "totals (view): name TEXT, total" in answer


def test_one_table_is_described_with_its_number_of_rows_and_samples(tools: Tools) -> None:
    answer = tools["describe_database"].invoke({"table": "Orders"})
    assert answer.startswith("orders (SQLite): 3 rows\n- id INTEGER key\n")
    assert "| 1 | 1 | 10.5 | 2024-01-31 | (blob, 2 bytes) |" in answer


def test_many_tables_are_described_within_the_limit(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "wide.db")) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        columns = ", ".join(f"column_number_{number} TEXT" for number in range(60))
        for number in range(100):
            connection.execute(f"CREATE TABLE table_number_{number} ({columns})")
    tools = named(database_tools(tmp_path / "wide.db"))
    for table in ("", "table_number_7"):
        answer = tools["describe_database"].invoke({"table": table})
        assert len(answer) <= 2_400
        assert "table_number_" in answer


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT name FROM customers WHERE id = 1", ["| Ann |"]),
        ("SELECT name FROM customers WHERE id = 1;", ["| Ann |"]),
        ("SELECT name, total FROM customers c JOIN orders o ON c.id = o.customer_id WHERE o.id = 3", ["| Bo | 7 |"]),
        ("SELECT count(*), sum(total), round(avg(total), 2) FROM orders", ["| 3 | 22 | 7.33 |"]),
        ("SELECT city FROM customers WHERE id = 2", ["| NULL |"]),
        ("SELECT name FROM customers WHERE id = 3", ["| Søren 雪 \\| x |"]),
        (
            "SELECT strftime('%m', day) AS month, count(*) FROM orders GROUP BY 1 ORDER BY 1",
            ["| 01 | 1 |", "| 02 | 2 |"],
        ),
        ("WITH big AS (SELECT * FROM orders WHERE total > 5) SELECT count(*) FROM big", ["| 2 |"]),
        ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT sum(i) FROM n", ["| 6 |"]),
        ("SELECT id, sum(total) OVER (ORDER BY id) FROM orders", ["| 1 | 10.5 |", "| 2 | 15 |", "| 3 | 22 |"]),
        ("SELECT total FROM totals WHERE name = 'Ann'", ["| 15 |"]),
        ("SELECT value FROM json_each('[1, 2]')", ["| 1 |", "| 2 |"]),
        ("SELECT '{\"a\": 5}' ->> 'a'", ["| 5 |"]),
        ("SELECT instr('abc', 'c'), instr(123, 2), instr(NULL, 'a'), instr('a', '')", ["| 3 | 2 | NULL | 1 |"]),
        ("SELECT replace('abab', 'b', 'x'), replace('a', '', 'x'), replace(NULL, 'a', 'b')", ["| axax | a | NULL |"]),
        ("SELECT trim('xaxx', 'x'), ltrim('xax', 'x'), rtrim('xax', 'x'), trim(' a ')", ["| a | ax | xa | a |"]),
        ("VALUES (1, 'with'), (2, '; DROP TABLE orders')", ["| 1 | with |", "| 2 | ; DROP TABLE orders |"]),
        (
            "SELECT name FROM customers WHERE name LIKE '%n%' AND 5 % 2 = 1 -- a comment; with a semicolon",
            ["| Ann |", "| Søren 雪 \\| x |"],
        ),
        ("SELECT scan FROM orders WHERE id = 1", ["| (blob, 2 bytes) |"]),
        ("SELECT name FROM customers WHERE 0", []),
    ],
)
def test_ordinary_questions_are_answered(tools: Tools, sql: str, rows: list[str]) -> None:
    answer = tools["query_database"].invoke({"sql": sql})
    assert rows_of(answer) == rows
    assert f"{len(rows)} row" in answer


def test_the_answer_ends_with_the_statement_that_made_it(tools: Tools) -> None:
    answer = tools["query_database"].invoke({"sql": "SELECT id\n  FROM orders"})
    assert answer.endswith("3 rows\nMade by: SELECT id FROM orders")


NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "


def test_only_the_first_rows_are_fetched(path: Path) -> None:
    query = named(database_tools(path, max_rows=5))["query_database"]
    answer = query.invoke({"sql": NUMBERS + "SELECT i FROM n"})  # has no end
    assert rows_of(answer) == [f"| {number} |" for number in range(1, 6)]
    assert "First 5 rows of more" in answer


@pytest.mark.parametrize(
    "cell",
    [
        "i",
        "replace('xxxxxxxxxx', 'x', replace('xxxxxxxxxx', 'x', 'xxxxxxxxxx'))",
        "char(10, 124, 10)",
        "'" + "雪" * 300 + "'",
    ],
)
@pytest.mark.parametrize("columns", [1, 7, 90])
def test_an_answer_keeps_to_its_length(path: Path, cell: str, columns: int) -> None:
    query = named(database_tools(path, max_characters=1_000))["query_database"]
    row = ", ".join([cell if columns == 1 else "i"] * columns)
    answer = query.invoke({"sql": f"{NUMBERS} SELECT {row} FROM n"})
    assert "of more" in answer
    assert len(answer) <= 1_000


def test_an_unknown_table_or_column_is_answered_with_those_there_are(tools: Tools) -> None:
    query = tools["query_database"]
    assert "the tables there are: customers, orders, totals" in query.invoke({"sql": "SELECT * FROM client"})
    assert "customers has id, name, city" in query.invoke({"sql": "SELECT nam FROM customers"})
    assert "did you mean 'orders'?" in tools["describe_database"].invoke({"table": "order"})


@pytest.mark.parametrize(
    "sql", ["", " ; ", "SELEC 1", "SELECT", "SELECT 'a", "SELECT ?", "SELECT :a", "x" * 20_000, "SELECT 1\0"]
)
def test_what_is_no_statement_is_one_clear_line(tools: Tools, sql: str) -> None:
    for tool in ("query_database", "write_database"):
        answer = tools[tool].invoke({"sql": sql})
        assert answer.startswith("error: ")
        assert "\n" not in answer
        assert len(answer) < 1_000


def test_wrong_arguments_are_answered(tools: Tools) -> None:
    assert tools["query_database"].invoke({"query": "SELECT 1"}).startswith("error: wrong arguments (sql")


@pytest.mark.parametrize("address", ["{path}", "sqlite:///{path}", "sqlite+pysqlite:///{path}"])
def test_a_file_is_named_by_path_or_url(path: Path, address: str) -> None:
    tools = named(database_tools(address.format(path=path)))
    assert "Ann" in tools["query_database"].invoke({"sql": "SELECT * FROM customers"})


def test_a_relative_path_and_odd_characters_work(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    odd = "we?mode=rwc#100%25 'ü.db"
    path.rename(path.parent / odd)
    for address in (odd, f"sqlite:///{odd}"):
        assert "Ann" in named(database_tools(address))["query_database"].invoke({"sql": "SELECT * FROM customers"})
    assert sorted(file.name for file in path.parent.glob("*.db*")) == [odd]


def test_a_database_in_wal_mode_is_read(path: Path) -> None:
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("INSERT INTO customers VALUES (9, 'Wal', NULL)")
        writer.commit()
        assert "Wal" in named(database_tools(path))["query_database"].invoke({"sql": "SELECT * FROM customers"})


def test_full_text_search_is_read(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE VIRTUAL TABLE notes USING fts5(body); INSERT INTO notes VALUES ('red fox');")
    for tables in (None, ["notes"]):
        tools = named(database_tools(path, tables=tables))
        answer = tools["query_database"].invoke(
            {"sql": "SELECT body, bm25(notes) < 0 FROM notes WHERE notes MATCH 'fox'"}
        )
        assert rows_of(answer) == ["| red fox | 1 |"]
        assert "notes_data" not in tools["describe_database"].invoke({})


def test_only_the_tables_named_are_there(path: Path) -> None:
    tools = named(database_tools(path, tables=["Orders"]))
    assert "customers:" not in tools["describe_database"].invoke({})
    assert "may not be used; the tables there are: orders" in tools["query_database"].invoke(
        {"sql": "SELECT * FROM customers"}
    )


def test_a_view_may_be_used_without_the_tables_it_reads(path: Path) -> None:
    query = named(database_tools(path, tables=["totals"]))["query_database"]
    assert rows_of(query.invoke({"sql": "SELECT * FROM totals WHERE name = 'Bo'"})) == ["| Bo | 7 |"]


@pytest.mark.parametrize("kind", ["missing", "folder", "text", "empty address", "memory", "pipe"])
def test_what_is_no_database_is_one_clear_error(tmp_path: Path, kind: str) -> None:
    import os

    (tmp_path / "text.db").write_text("nothing but text, and more than a header's worth of it " * 20)
    os.mkfifo(tmp_path / "pipe.db")
    addresses = {
        "missing": str(tmp_path / "none.db"),
        "folder": str(tmp_path),
        "text": str(tmp_path / "text.db"),
        "empty address": "sqlite:///",
        "memory": "sqlite://",
        "pipe": str(tmp_path / "pipe.db"),
    }
    tools = named(database_tools(addresses[kind], writable=True))
    for answer in (
        tools["describe_database"].invoke({}),
        *(tools[f"{verb}_database"].invoke({"sql": "SELECT 1"}) for verb in ("query", "write")),
    ):
        assert answer.startswith("error: ")
        assert "a person" in answer
        assert "\n" not in answer
    assert not (tmp_path / "none.db").exists()


def test_a_locked_database_is_an_error_and_then_works_again(path: Path) -> None:
    tools = named(database_tools(path, writable=True, time_limit_s=0.2))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for tool in ("query_database", "write_database"):
            assert "in use by another program" in tools[tool].invoke({"sql": "SELECT * FROM orders"})
    assert "3 rows" in tools["query_database"].invoke({"sql": "SELECT * FROM orders"})


def test_several_threads_query_at_once(tools: Tools) -> None:
    query = tools["query_database"]
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda number: query.invoke({"sql": f"SELECT {number} + id FROM orders LIMIT 1"}), range(40))
        )
    assert [rows_of(answer) for answer in answers] == [[f"| {number + 1} |"] for number in range(40)]


def test_the_tools_work_in_async_code(tools: Tools) -> None:
    assert "3 rows" in asyncio.run(tools["query_database"].ainvoke({"sql": "SELECT * FROM orders"}))


def test_every_connection_is_closed(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[sqlite3.Connection] = []
    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **more: made.append(real(*args, **more)) or made[-1])
    for sql in ("SELECT 1", "SELECT nothing", "DROP TABLE orders", NUMBERS + "SELECT i FROM n"):
        tools["query_database"].invoke({"sql": sql})
        tools["write_database"].invoke({"sql": sql})
    assert len(made) == 8
    for connection in made:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")


def test_what_the_tools_say_of_themselves(path: Path) -> None:
    assert [tool.name for tool in database_tools(path)] == ["describe_database", "query_database"]
    for tool in database_tools(path, writable=True):
        writes = tool.name == "write_database"
        facts = tool.metadata or {}
        assert facts["risk"] == ("write" if writes else "read")
        assert facts["effect"] == ("once" if writes else "none")
        assert facts["trust"] == "untrusted"
        assert facts["output_limit"] == 2_400
        assert "For example" in tool.description


def test_making_the_tools_touches_nothing(tmp_path: Path) -> None:
    database_tools(tmp_path / "none.db", writable=True)
    database_tools("postgresql://role:swordfish@192.0.2.1/none", writable=True)
    database_tools("nonsense://")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("sql", "changed", "after"),
    [
        ("INSERT INTO customers VALUES (4, 'Di', 'Rome')", 1, [4]),
        ("INSERT INTO customers (name) SELECT name || '2' FROM customers", 3, [4, 5, 6]),
        ("UPDATE customers SET id = id + 10", 3, [11, 12, 13]),
        ("REPLACE INTO customers VALUES (1, 'Ann', 'Bergen')", 1, []),
        ("DELETE FROM customers WHERE id = 3", 1, []),
        ("WITH o AS (SELECT 3 AS i) DELETE FROM customers WHERE id IN (SELECT i FROM o)", 1, []),
        ("INSERT INTO customers VALUES (1, 'x', 'y') ON CONFLICT (id) DO UPDATE SET city = excluded.city", 1, []),
        ("UPDATE customers SET city = 'X' WHERE id = 99", 0, []),
    ],
)
def test_a_change_is_saved_once(path: Path, sql: str, changed: int, after: list[int]) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM orders")
        connection.commit()
    before = {row[0] for row in contents(path)}
    answer = named(database_tools(path, writable=True))["write_database"].invoke({"sql": sql})
    assert f"{changed} row{'' if changed == 1 else 's'} changed and saved" in answer
    assert sorted(row[0] for row in contents(path) if row[0] not in before) == after


def test_a_change_can_return_rows(path: Path, tools: Tools) -> None:
    answer = tools["write_database"].invoke(
        {"sql": "INSERT INTO customers (name) VALUES ('E'), ('F') RETURNING id, name"}
    )
    assert rows_of(answer) == ["| 4 | E |", "| 5 | F |"]
    assert len(contents(path)) == 5


def test_returned_rows_beyond_the_limit_are_changed_too(path: Path) -> None:
    write = named(database_tools(path, writable=True, max_rows=1))["write_database"]
    assert "3 rows changed" in write.invoke({"sql": "UPDATE customers SET city = 'X' RETURNING id"})
    assert {row[2] for row in contents(path)} == {"X"}


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("INSERT INTO customers VALUES (7, 'G', NULL), (1, 'again', NULL)", "UNIQUE constraint failed"),
        ("INSERT INTO customers VALUES (7, 'G', NULL), (8, NULL, NULL)", "NOT NULL constraint failed"),
        ("DELETE FROM customers", "FOREIGN KEY constraint failed"),
        ("UPDATE customers SET nil = 1", "customers has id, name, city"),
        ("INSERT INTO customers (nil) VALUES (1)", "customers has id, name, city"),
        ("INSERT INTO client VALUES (1)", "the tables there are"),
        ("SELECT * FROM customers", "changes nothing; use query_database"),
        (NUMBERS + "INSERT INTO customers (name) SELECT i FROM n LIMIT 1001", "the limit is 1,000"),
        ("CREATE TABLE more (id)", "only INSERT, UPDATE and DELETE"),
        ("DROP TABLE orders", "only INSERT, UPDATE and DELETE"),
        ("ALTER TABLE orders ADD COLUMN more", "only INSERT, UPDATE and DELETE"),
        ("CREATE TRIGGER t AFTER INSERT ON orders BEGIN DELETE FROM customers; END", "only INSERT, UPDATE and DELETE"),
    ],
)
def test_what_cannot_be_changed_wholly_is_not_changed_at_all(path: Path, tools: Tools, sql: str, said: str) -> None:
    before = path.read_bytes()
    answer = tools["write_database"].invoke({"sql": sql})
    assert answer.startswith("error: ")
    assert said in answer
    assert path.read_bytes() == before


def test_a_trigger_of_the_owner_may_reach_tables_that_the_model_may_not(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("""
            DROP TABLE orders;  -- a foreign key's check reads the table, which is not allowed here
            CREATE TABLE audit (what TEXT);
            CREATE TRIGGER noted AFTER INSERT ON customers BEGIN INSERT INTO audit VALUES (new.name); END;
        """)
    write = named(database_tools(path, writable=True, tables=["customers"]))["write_database"]
    assert "changed and saved" in write.invoke({"sql": "INSERT INTO customers VALUES (4, 'Di', NULL)"})
    assert contents(path, "audit") == [("Di",)]
    assert "may not be used" in write.invoke({"sql": "INSERT INTO audit VALUES ('forged')"})
    assert contents(path, "audit") == [("Di",)]
