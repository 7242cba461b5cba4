"""Hostile SQL for SQLite, and what "contained" means: nothing is changed, nothing told, and the next question works."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from langchain_core.tools import BaseTool
from orchestrator_tools.database.tools import database_tools

SECRET = "swordfish"
LONGEST_ERROR = 1_000


@dataclass(frozen=True)
class Statement:
    """A hostile statement.

    Args:
        kind: What it tries.
        sql: With `fills`, {other}, {new}, {canary} and {folder} are places around the database.
        tool: Which tool gets it.
        says: What the error has to say, so that it is known to have got as far as being stopped there.
        fills: Whether it names such places.
    """

    kind: str
    sql: str
    tool: str = "query_database"
    says: str = ""
    fills: bool = False

    @property
    def title(self) -> str:
        return f"{self.kind}: {self.sql}"


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
    """A database with a secret, files around it, and what was in all of them at first.

    Args:
        folder: A new folder for it all.
        time_limit_s: Longest time of one statement.
    """

    def __init__(self, folder: Path, time_limit_s: float = 5) -> None:
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
            for tool in database_tools(self.path, tables=["orders", "report"], writable=True, time_limit_s=time_limit_s)
        }

    def state(self) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in self.folder.iterdir()}

    def problems(self, answer: str) -> list[str]:
        """What an answer tells that it must not, and what has been changed."""
        found = []
        if SECRET in answer or SECRET.encode().hex() in answer.lower():
            found.append("the secret is in the answer")
        if self.state() != self.at_first:
            found.append("a file was changed, made or deleted")
        after = self.tools["query_database"].invoke({"sql": "SELECT count(*), sum(total) FROM orders"})
        if "| 3 | 16 |" not in after:
            found.append(f"the next question was answered with: {after[:200]}")
        return found

    def attempt(self, case: Statement) -> tuple[str, list[str]]:
        """Runs a hostile statement: the answer, and what was not contained."""
        answer = str(self.tools[case.tool].invoke({"sql": case.sql.format(**self.places) if case.fills else case.sql}))
        found = self.problems(answer)
        if not answer.startswith("error: "):
            found.append(f"it was not refused: {answer[:200]}")
        if case.says not in answer:
            found.append(f"the answer is not the one expected: {answer[:200]}")
        if len(answer) >= LONGEST_ERROR:
            found.append(f"the error has {len(answer)} characters")
        return answer, found


READING_CASES = [Statement(kind, sql, fills=True) for kind, all_sql in READING.items() for sql in all_sql]
WRITING_CASES = [Statement("writing where it may not", sql, "write_database", fills=True) for sql in WRITING]
ENDLESS_CASES = [
    Statement("without end", sql, tool, "is over") for sql in ENDLESS for tool in ("query_database", "write_database")
]
LARGE_CASES = [Statement("too large", sql) for sql in LARGE]
