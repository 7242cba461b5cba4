"""`orchestrator audit verify` finds what was changed in a journal, and where it and the thread disagree."""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from orchestrator.concurrency import BLOCKING, run_blocking
from orchestrator.journal.fact import Fact, process_facts
from orchestrator.journal.journal import Journal
from orchestrator.testing import TeamScript, call, fail, say
from tests.cli.test_main import Cli, cli
from tests.support.teams import open_team, step, writer

__all__ = ["cli"]

PLAN = [step("a", agent="tooled"), step("b", "a"), step("c", "a", agent="reviewer")]
BACK = {"reason": "count the rivers too", "verdict": "changes_requested", "sub_task_id": "a"}
FINISH: Any = [{"reason": "that is enough", "decision": "finish", "changes": []}]


def change(tmp_path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(tmp_path / "runs.db")) as connection, connection:
        for statement in statements:
            assert connection.execute(statement).rowcount != 0


@pytest.fixture
def done(tmp_path: Path) -> None:
    results: dict[Any, Any] = {"a": [call("write", text="lakes"), say("3 lakes")], ("a", 2): "3 lakes, 2 rivers"}
    verdicts = {"c": [BACK, {"reason": "good", "verdict": "accept", "sub_task_id": ""}]}
    script = TeamScript(PLAN, results=results, verdicts=verdicts)
    with open_team(script, tmp_path / "runs.db", writer([], risk="read")) as team:
        assert team.run("count", thread_id="t", auto_approve=True).status == "done"


@pytest.mark.usefixtures("done")
def test_a_thread_that_nobody_touched_is_sound(cli: Cli) -> None:
    code, out, _ = cli("audit", "verify", "t")
    assert (code, "sound" in out) == (0, True)
    checked = json.loads(cli("audit", "verify", "t", "--json")[1])
    assert (checked["is_sound"], checked["problems"]) == (True, [])
    assert cli("audit", "verify", "t", "--head", checked["head"])[0] == 0
    code, out, _ = cli("audit", "verify", "t", "--head", "00ff")
    assert (code, "no record has the hash 00ff" in out) == (1, True)


def test_failures_pauses_and_later_tasks_are_sound_too(cli: Cli, tmp_path: Path) -> None:
    script = TeamScript(PLAN, results={"a": fail(RuntimeError("broken"))}, revisions=FINISH)
    with open_team(script, tmp_path / "runs.db") as team:
        team.run("count", thread_id="failed", auto_approve=True)
        team.run("count", thread_id="waits")
    with open_team(TeamScript([[step("a")], [step("b")]]), tmp_path / "runs.db") as team:
        team.run("one", thread_id="two", auto_approve=True)
        team.run("two", thread_id="two", auto_approve=True)
    for thread in ("failed", "waits", "two"):
        code, out, _ = cli("audit", "verify", thread)
        assert code == 0, out


def test_a_kill_beside_an_open_review_is_sound_though_the_ledger_lacks_the_newest_call(
    cli: Cli, tmp_path: Path
) -> None:
    answered = {"agent": "worker", "model": "m", "call": "7", "spent": {"input_tokens": 5, "model_calls": 1}}
    with open_team(TeamScript(PLAN), tmp_path / "runs.db") as team:
        assert team.run("count", thread_id="t").status == "waiting"
        # Written as by a resumed process, which was killed before it wrote the rows of the ledger.
        facts = (Fact("run_resumed", data=process_facts()), Fact("model_answered", "a", 1, data=answered))
        run_blocking(Journal(team.persistence.store, "t").write(BLOCKING, (), *facts))
    code, out, _ = cli("audit", "verify", "t")
    assert (code, "sound" in out) == (0, True), out


@pytest.mark.usefixtures("done")
def test_a_changed_record_is_named(cli: Cli, tmp_path: Path) -> None:
    change(
        tmp_path,
        "DROP TRIGGER journal_is_append_only",
        "UPDATE journal SET record = replace(record, 'rivers', 'swamps') WHERE record LIKE '%\"sub_task_sent_back\"%'",
    )
    code, out, _ = cli("audit", "verify", "t")
    assert code == 1
    assert "was changed" in out


@pytest.mark.usefixtures("done")
def test_a_ledger_that_tells_less_than_the_journal_is_named_with_both_amounts(cli: Cli, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "runs.db")) as connection, connection:
        rows = connection.execute("SELECT prefix, key FROM store WHERE prefix LIKE '%ledger%'").fetchall()
        prefix, key = next(row for row in rows if row[1] == "worker")
        connection.execute("DELETE FROM store WHERE prefix = ? AND key = ?", (prefix, key))
    code, out, _ = cli("audit", "verify", "t")
    assert code == 1
    assert "by the ledger, and" in out
    # A reviewer sends a back while b works, or before: b is done once or twice.
    assert re.search(r"b spent 0 model calls by the ledger, and [12] by the journal", out)
