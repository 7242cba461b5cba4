"""Setting a database up: killed at every statement, done twice at once, and finished where it was left half made."""

import multiprocessing
import os
import signal
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.store.sqlite import SqliteStore

from orchestrator import Persistence
from orchestrator.graph.build import compile_graph
from orchestrator.persistence.sqlite.schema import set_up
from orchestrator.testing import ScriptedModel, TeamScript, run_until_killed
from tests.support.teams import open_team, step

KILLED = -signal.SIGKILL


def create_and_die(path: Path, at: int, count: Path) -> None:
    """Creates a database; dies before the statement of this number, or notes how many there are."""
    begun = 0
    connect = sqlite3.connect

    def watched(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **options)

        def note(_: str) -> None:
            nonlocal begun
            begun += 1
            if begun == at:
                os.kill(os.getpid(), signal.SIGKILL)

        connection.set_trace_callback(note)
        return connection

    sqlite3.connect = watched  # type: ignore[assignment]
    Persistence(str(path)).close()
    count.write_text(str(begun))


def assert_usable(path: Path) -> None:
    with open_team(TeamScript([step("a")]), path) as team:
        assert team.run("task", thread_id="t", auto_approve=True).status == "done"
    with sqlite3.connect(path) as connection:
        assert (
            connection.execute("SELECT max(v) FROM store_migrations").fetchone()[0] == len(SqliteStore.MIGRATIONS) - 1
        )


def test_a_kill_at_any_statement_of_the_set_up_leaves_a_file_that_opens(tmp_path: Path) -> None:
    assert run_until_killed(create_and_die, tmp_path / "whole.db", 0, tmp_path / "count") == 0
    statements = int((tmp_path / "count").read_text())
    assert statements > 10
    for at in range(1, statements + 1):
        path = tmp_path / f"{at}.db"
        assert run_until_killed(create_and_die, path, at, tmp_path / "none") == KILLED
        assert_usable(path)


@pytest.mark.parametrize("done", range(len(SqliteStore.MIGRATIONS) + 1))
@pytest.mark.parametrize("is_noted", [True, False])
def test_a_store_that_was_left_half_made_is_finished(tmp_path: Path, done: int, is_noted: bool) -> None:
    path = tmp_path / "x.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE store_migrations (v INTEGER PRIMARY KEY)")
        for version, script in enumerate(SqliteStore.MIGRATIONS[:done]):
            connection.executescript(script)
            if is_noted or version < done - 1:
                connection.execute("INSERT INTO store_migrations (v) VALUES (?)", (version,))
    connection.close()
    assert_usable(path)


def test_a_saver_of_an_older_version_gets_its_new_column(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with open_team(TeamScript([step("a")]), path) as team:
        team.run("task", thread_id="t", auto_approve=True)
    with sqlite3.connect(path) as connection:
        connection.execute("ALTER TABLE writes DROP COLUMN task_path")
    connection.close()
    with open_team(TeamScript([step("a")]), path) as team:
        assert team.show("t").status == "done"
        assert team.run("task", thread_id="u", auto_approve=True).status == "done"


def create_when_told(path: Path, gate: Any) -> None:
    gate.wait()
    Persistence(str(path)).close()


def test_processes_that_create_one_database_at_once_all_succeed(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    for number in range(5):
        gate = context.Barrier(4)
        path = tmp_path / f"{number}.db"
        children = [context.Process(target=create_when_told, args=(path, gate)) for _ in range(4)]
        for child in children:
            child.start()
        for child in children:
            child.join(60)
        assert [child.exitcode for child in children] == [0, 0, 0, 0]
        assert_usable(path)


def test_a_set_up_waits_for_another_that_has_begun(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    first = sqlite3.connect(path, isolation_level=None)
    first.execute("PRAGMA journal_mode=WAL")
    first.execute("BEGIN IMMEDIATE")
    second = sqlite3.connect(path, isolation_level=None, timeout=0)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        set_up(SqliteSaver(second), SqliteStore(second), 0.1)
    first.execute("COMMIT")
    set_up(SqliteSaver(second), SqliteStore(second), 0.1)
    first.close()
    second.close()


def test_opening_a_database_does_not_wait_for_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    Persistence(str(path)).close()
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    with Persistence(str(path)) as persistence:
        assert persistence.thread_ids() == []
    writer.close()


def test_the_store_beside_a_savers_own_connection_is_finished_too(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "x.db", check_same_thread=False)
    connection.execute("CREATE TABLE store_migrations (v INTEGER PRIMARY KEY)")
    for version, script in enumerate(SqliteStore.MIGRATIONS[:3]):
        connection.executescript(script)
        if version < 2:
            connection.execute("INSERT INTO store_migrations (v) VALUES (?)", (version,))
    connection.commit()
    with open_team(TeamScript([step("a")]), "memory://") as team:
        team.team.use_model(ScriptedModel(TeamScript([step("a")])))
        graph = compile_graph(team.team, checkpointer=SqliteSaver(connection))
        given = {"task": "task", "auto_approve": True}
        assert graph.invoke(given, {"configurable": {"thread_id": "t"}})["status"] == "done"
    connection.close()
