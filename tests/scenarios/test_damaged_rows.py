"""Damaged rows in each table and failures of SQLite: one clear line for each command, and no other thread suffers."""

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.main import main
from orchestrator.runs.loading import open_orchestrator
from orchestrator.testing import OpenAIServer, TeamScript
from tests.support.teams import step

OTHER_VERSION = '{"v": 99, "text": {"a": [1]}, "status": 3, "outcome": [1], "created": "x"}'
VALUES: dict[str, Any] = {
    "text": "x",
    "blob": b"\xff\xfe\x00",
    "number": 7,
    "other version": OTHER_VERSION,
    "null": None,
}
ROWS = ["threads", "memory.bad", "ledger.bad", "decisions.bad", "steering.bad"]
COLUMNS = ["checkpoints.checkpoint", "checkpoints.type", "checkpoints.metadata", "writes.value", "writes.type"]
COMMANDS: dict[str, list[str]] = {
    "show": ["show", "bad"],
    "reviews of it": ["reviews", "bad"],
    "resume": ["resume", "bad"],
    "decide": ["decide", "REVIEW", "approve"],
    "cancel": ["cancel", "bad"],
    "steer": ["steer", "bad", "be quick"],
    "continue": ["run", "--continue", "bad", "next"],
    "threads": ["threads"],
    "reviews": ["reviews"],
    "show another": ["show", "good"],
    "delete": ["delete", "bad", "--yes"],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A database with two threads that wait for a human, and the open review of the bad one."""
    db = tmp_path_factory.mktemp("damaged") / "base.db"
    plan = [step("a", agent="researcher", approval=True)]
    with OpenAIServer(TeamScript(plan)) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_BASE_URL", server.base_url)
        patch.setenv("OPENAI_API_KEY", "none")
        patch.setattr("orchestrator.memory.recall.has_embedder", lambda: False)
        with open_orchestrator(str(db), {"team": "research_team", "base_url": server.base_url}) as team:
            team.run("task", thread_id="good")
            team.decide(team.run("task", thread_id="bad").reviews[0], "approve")
            [review] = team.resume("bad").reviews
            team.steer("bad", "be brief")
        with sqlite3.connect(db) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        yield db, review.id


def damage(db: Path, place: str, value: Any) -> int:
    connection = sqlite3.connect(db)
    with connection:
        if place in ROWS:
            statement = "UPDATE OR IGNORE store SET value = ? WHERE prefix = ? AND (key = 'bad' OR prefix LIKE '%.bad')"
            changed = connection.execute(statement, (value, f"orchestrator.{place}")).rowcount
        else:
            table, column = place.split(".")
            statement = f"UPDATE OR IGNORE {table} SET {column} = ? WHERE thread_id = 'bad'"
            changed = connection.execute(statement, (value,)).rowcount
    connection.close()
    return changed


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    try:
        main(list(arguments))
    except SystemExit as exited:
        code = int(str(exited.code or 0))
    else:
        code = 0
    return (code, *capsys.readouterr())


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing runs here, and `cancel` need not wait for it."""
    monkeypatch.setattr("orchestrator.runs.interventions.cancellation._BARE_PATIENCE_S", 0.0)


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("place", [*ROWS, *COLUMNS])
def test_a_damaged_row_is_one_line_and_hides_no_other_thread(
    made: tuple[Path, str], tmp_path: Path, place: str, value: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    base, review = made
    for name, arguments in COMMANDS.items():
        db = tmp_path / f"{name}.db"
        shutil.copy(base, db)
        if not damage(db, place, value):
            pytest.skip("the column takes no NULL")
        code, out, err = command(capsys, *[review if a == "REVIEW" else a for a in arguments], "--db", str(db))
        assert "Traceback" not in err + out, (name, err)
        assert code in (0, 1, 2, 3), (name, err)
        lines = [line for line in err.splitlines() if line.startswith("error: ")]
        assert len(lines) == (0 if code in (0, 3) else 1), (name, err)
        assert all("'bad'" in line or "bad/" in line for line in lines), (name, err)
        if name in ("threads", "reviews"):
            assert code == 0, (name, err)
            assert "good" in out, (name, err)
        if name in ("show another", "delete"):
            assert code in (0, 3), (name, err)
        if name == "delete":
            assert command(capsys, "threads", "--db", str(db))[1].startswith("good ")


FAILURES = {
    "database is locked": "close it, or choose another with --db",
    "locking protocol": "move it to a local disk, or choose another with --db",
    "disk I/O error": "check the disk or the network drive, then resume the thread",
    "attempt to write a readonly database": "check the path and its permissions",
    "database disk image is malformed": "restore it from a copy",
    "database or disk is full": "free some, then resume the thread",
}


class Failing(sqlite3.Connection):
    """A connection of a database that can be opened and is of no use."""

    problem = ""

    def cursor(self, *arguments: Any, **named: Any) -> Any:
        raise sqlite3.OperationalError(self.problem)

    def execute(self, statement: str, *arguments: Any) -> Any:
        if statement.startswith("SELECT"):
            raise sqlite3.OperationalError(self.problem)
        return super().execute(statement, *arguments)


@pytest.mark.parametrize("problem", FAILURES)
def test_each_failure_of_sqlite_has_a_line_with_a_hint(
    made: tuple[Path, str], tmp_path: Path, problem: str, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    base, review = made
    db = tmp_path / "x.db"
    shutil.copy(base, db)
    real = sqlite3.connect
    factory = type("Connection", (Failing,), {"problem": problem})
    with monkeypatch.context() as patch:
        patch.setattr(
            "orchestrator.persistence.database.sqlite3.connect", lambda *a, **named: real(*a, **named, factory=factory)
        )
        for arguments in COMMANDS.values():
            code, out, err = command(capsys, *[review if a == "REVIEW" else a for a in arguments], "--db", str(db))
            assert code == 1, (arguments, out, err)
            assert "Traceback" not in err
            assert err.strip().count("\n") <= 1, (arguments, err)  # `resume` may name the model before
            assert FAILURES[problem] in err, (arguments, err)
    assert command(capsys, "show", "good", "--db", str(db))[0] in (0, 3), "nothing was harmed"
