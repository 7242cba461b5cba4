"""Damaged rows in each table and failures of SQLite: one clear line for each command, and no other thread suffers."""

import io
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator import OrchestratorClient
from orchestrator.cli.main import main
from orchestrator.errors import PersistenceError
from orchestrator.persistence.database import Persistence
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
ROWS = [
    "threads",
    "memory.bad",
    "ledger.bad",
    "decisions.bad",
    "steering.bad",
    "reviews.bad",
    "cancel",
    "cancelled",
    "drained",
]
COLUMNS = ["checkpoints.checkpoint", "checkpoints.type", "checkpoints.metadata", "writes.value", "writes.type"]
COMMANDS: dict[str, list[str]] = {
    "show": ["show", "bad"],
    "reviews of it": ["reviews", "bad"],
    "resume": ["resume", "bad"],
    "decide": ["decide", "REVIEW", "approve"],
    "cancel": ["cancel", "bad"],
    "steer": ["steer", "bad", "be quick"],
    "raise the budget": ["resume", "bad", "--max-tokens", "900000"],
    "continue": ["run", "--continue", "bad", "next"],
    "chat": ["chat", "--thread", "bad"],
    "threads": ["threads"],
    "reviews": ["reviews"],
    "show another": ["show", "good"],
    "delete": ["delete", "bad", "--yes"],
}
CHAT = "/show\n/resume\nnext\n"
WHILE_IT_RUNS = ("show", "reviews of it", "decide", "cancel", "steer", "threads", "reviews", "show another")


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
            for name in ("cancel", "cancelled", "drained"):
                team.persistence.store.put(("orchestrator", name), "bad", {"run": "any 1", "by": "somebody"})
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
    sys.stdin = io.StringIO(CHAT if arguments[0] == "chat" else "")
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
    for name in ("_BARE_PATIENCE_S", "_PATIENCE_S"):
        monkeypatch.setattr(f"orchestrator.runs.interventions.cancellation.{name}", 0.0)
    monkeypatch.setattr(sys, "stdin", sys.stdin)  # restores it


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
        check(capsys, name, [review if a == "REVIEW" else a for a in arguments], db)


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("place", [*ROWS, *COLUMNS])
def test_a_run_that_goes_on_over_a_damaged_row_ends_or_tells_it_in_one_line(
    made: tuple[Path, str], tmp_path: Path, place: str, value: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    base, review = made
    db = tmp_path / "x.db"
    shutil.copy(base, db)
    assert command(capsys, "decide", review, "approve", "--db", str(db))[0] == 0
    if not damage(db, place, value):
        pytest.skip("the column takes no NULL")
    check(capsys, "resume", ["resume", "bad"], db)


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("place", [*ROWS, *COLUMNS])
def test_the_diagram_of_such_a_thread_is_drawn_or_refused_in_one_line(
    made: tuple[Path, str], tmp_path: Path, place: str, value: Any
) -> None:
    db = tmp_path / "x.db"
    shutil.copy(made[0], db)
    if not damage(db, place, value):
        pytest.skip("the column takes no NULL")
    with OrchestratorClient(db) as client:
        try:
            run = client.show("bad")
        except PersistenceError as error:
            told = str(error)
        else:
            assert run.plan is not None
            told = f"'bad' {run._repr_html_()} {run.plan.mermaid(run.outcomes)}"
            assert "<svg" in told
            assert "graph TD" in told
    assert "'bad'" in told


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("place", [*ROWS, *COLUMNS])
def test_nor_does_it_harm_who_looks_at_a_run_that_goes_on(
    made: tuple[Path, str], tmp_path: Path, place: str, value: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    base, review = made
    for name in WHILE_IT_RUNS:
        db = tmp_path / f"{name}.db"
        shutil.copy(base, db)
        if not damage(db, place, value):
            pytest.skip("the column takes no NULL")
        with Persistence(db) as running, running.lease("bad"):
            check(capsys, name, [review if a == "REVIEW" else a for a in COMMANDS[name]], db)


def check(capsys: pytest.CaptureFixture[str], name: str, arguments: list[str], db: Path) -> None:
    """A command either does its work, or tells in one line of the thread that is damaged."""
    code, out, err = command(capsys, *arguments, "--db", str(db))
    assert "Traceback" not in err + out, (name, err)
    assert code in (0, 1, 2, 3), (name, err)
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    has_failed = code not in (0, 3) and not (name == "cancel" and "has not yet" in out)
    assert len(lines) == (1 if has_failed else 0), (name, out, err)
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
