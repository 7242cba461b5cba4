"""The contents of a report: which tasks, with what of older versions is missing, in names that stay."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator import Budget, ConfigError, OrchestratorClient, UnknownThreadError
from orchestrator.testing import TeamScript
from tests.support.reported import Shown, lakes
from tests.support.teams import open_team, step

RECORDED = Path(__file__).parents[2] / "scenarios" / "recorded" / "threads_0.1.0.db.gz"
NAMES = {"shape", "thread_id", "status", "made", "tasks", "files"}
TASK_NAMES = {
    *("number", "task", "status", "why", "began", "ended", "worked_s", "answer", "output", "references", "missing"),
    *("gaps", "has_journal", "auto_approve", "sub_tasks", "earlier", "plans", "decisions", "usage", "budget", "models"),
    *("supervisor", "stretches"),
}


def data_of(db: Path, thread: str = "t", tasks: Any = "newest") -> dict[str, Any]:
    with OrchestratorClient(str(db)) as client:
        data: dict[str, Any] = json.loads(client.report(thread, "json", tasks))
    return data


@pytest.fixture
def conversation(tmp_path: Path) -> Path:
    """Two tasks on one thread, of which the second builds on a result of the first."""
    with open_team(TeamScript([step("a")], results={"a": "three"}), tmp_path / "x.db") as team:
        team.run("Count the rivers.", thread_id="t", auto_approve=True)
    with open_team(TeamScript([step("b")], results={"b": "six"}, summary="six [1.a]"), tmp_path / "x.db") as team:
        team.run("Double them.", thread_id="t", auto_approve=True)
    return tmp_path / "x.db"


def test_its_data_has_names_that_stay(tmp_path: Path) -> None:
    lakes(tmp_path / "x.db")
    data = data_of(tmp_path / "x.db")
    [task] = data["tasks"]
    assert (data.keys(), task.keys(), data["shape"]) == (NAMES, TASK_NAMES, 1)
    assert [each["id"] for each in task["sub_tasks"]] == ["found", "sum"]
    assert [each["by"] for each in task["decisions"]] == ["mira"] * 3
    rejected = next(each for each in task["decisions"] if each["action"] == "reject")
    assert (rejected["kind"], rejected["sub_task"], rejected["text"]) == ("result", "sum", "reason seven lakes")
    assert task["usage"]["by_worker"].keys() == {"supervisor", "tooled", "worker"}
    assert task["sub_tasks"][0]["attempts"][0]["tool_uses"][0]["answer"] == "north seven lakes: outside seven lakes"


def test_the_newest_task_is_told_or_another_or_all(conversation: Path) -> None:
    assert [task["task"] for task in data_of(conversation)["tasks"]] == ["Double them."]
    assert [task["task"] for task in data_of(conversation, tasks=1)["tasks"]] == ["Count the rivers."]
    both = data_of(conversation, tasks="all")["tasks"]
    assert [(task["number"], task["sub_tasks"][0]["text"]) for task in both] == [(1, "three"), (2, "six")]


def test_an_answer_that_rests_on_an_earlier_task_leads_to_its_result(conversation: Path) -> None:
    with OrchestratorClient(str(conversation)) as client:
        newest, whole = Shown(client.report("t")), Shown(client.report("t", tasks="all"))
    assert "three" in newest.target(newest.links(newest.by_id["task-2-answer"])["1.a"])
    assert whole.links(whole.by_id["task-2-answer"])["1.a"] == "#s1-1"
    assert len(whole.ids) == len(set(whole.ids))


@pytest.mark.parametrize("thread", ["done", "plan", "result", "tool", "spent", "killed"])
def test_a_thread_without_a_journal_is_told_as_far_as_it_was_kept(tmp_path: Path, thread: str) -> None:
    (tmp_path / "x.db").write_bytes(gzip.decompress(RECORDED.read_bytes()))
    [task] = data_of(tmp_path / "x.db", thread)["tasks"]
    assert task["task"] == f"the task of {thread}"
    assert not task["has_journal"]
    assert "before there was a journal" in task["gaps"][0]
    with OrchestratorClient(str(tmp_path / "x.db")) as client:
        shown = Shown(client.report(thread))
        assert "before there was a journal" in client.report(thread, "md")
    assert f"the task of {thread}" in shown.text
    if thread == "done":
        assert [each["text"] for each in task["sub_tasks"]] == ["result of a", "result of b"]


def test_what_a_limited_run_lacks_is_told(tmp_path: Path) -> None:
    with open_team(TeamScript([step("a"), step("b", "a")]), tmp_path / "x.db") as team:
        team.run("Do it.", thread_id="t", budget=Budget(model_calls=2), auto_approve=True)
        [task] = json.loads(team.report("t", "json"))["tasks"]
        assert task["status"] == "limited"
        assert task["missing"]
        assert task["missing"][0] in Shown(team.report("t")).text


@pytest.mark.parametrize(("form", "tasks"), [("pdf", "newest"), ("html", 7), ("html", "first"), ("html", 0)])
def test_an_unknown_form_or_task_is_refused_in_one_line(conversation: Path, form: Any, tasks: Any) -> None:
    with OrchestratorClient(str(conversation)) as client, pytest.raises(ConfigError, match=r"report|no task 7"):
        client.report("t", form, tasks)
    with OrchestratorClient(str(conversation)) as client, pytest.raises(UnknownThreadError):
        client.report("zz")
