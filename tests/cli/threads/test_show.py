"""`orchestrator show` tells of a sub-task what it was told, what its tools answered, why it came back, what it cost."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from orchestrator import Budget, Decision, Price, Review
from orchestrator.testing import Gate, TeamScript, call, fail, say
from tests.cli.test_main import Cli, cli
from tests.support.teams import open_team, step, writer
from tests.test_control_characters import HOSTILE, commands_in

__all__ = ["cli"]

PLAN = [step("a", agent="tooled"), step("b", "a", "c", approval=True), step("c", "a", agent="reviewer")]
BACK = {"reason": "count the rivers too", "verdict": "changes_requested", "sub_task_id": "a"}
VERDICTS = {"c": [BACK, {"reason": "good", "verdict": "accept", "sub_task_id": ""}]}
FINISH: Any = [{"reason": "that is enough", "decision": "finish", "changes": []}]
LONG = "\n".join(f"lake {number}" for number in range(400))


def decide(review: Review) -> Decision:
    """Reject the first draft of b, and approve everything else."""
    if review.kind == "result" and review.subject["result"] == "a draft":
        return Decision(review_id=review.id, action="reject", text="too short", by="mira")
    return Decision(review_id=review.id, action="approve", by="mira")


@pytest.fixture
def reworked(tmp_path: Path) -> None:
    """A run in which a reviewer sends a back, and mira rejects b once."""
    drafts: dict[Any, Any] = {"b": "a draft", ("b", 2): "a whole result"}
    drafts |= {"a": [call("write", text="lakes"), say(LONG)], ("a", 2): "3 lakes, 2 rivers"}
    script = TeamScript(PLAN, results=drafts, verdicts=VERDICTS)
    prices = Budget(prices={"*": Price(input_usd=1000, output_usd=1000)})
    with open_team(script, tmp_path / "runs.db", writer([])) as team:
        assert team.run("count the waters", thread_id="t", on_review=decide, budget=prices).status == "done"


@pytest.mark.usefixtures("reworked")
@pytest.mark.parametrize("name", ["a", "1"])
def test_a_stranger_sees_what_happened_with_a_sub_task(cli: Cli, name: str) -> None:
    code, out, _ = cli("show", "t", name)
    assert code == 0
    first, second = out.split("attempt 2", 1)
    assert "a, sub-task 1 of 3: succeeded" in first
    assert "The whole task, to know what it is about: count the waters" in first
    assert 'write(text="lakes")' in first
    assert "→ wrote lakes" in first
    assert "ScriptedModel · " in first
    assert "tokens in" in first
    assert "$0." in first
    assert "not accepted by the review c\n    count the rivers too" in first
    assert "3 lakes, 2 rivers" in second
    assert "not accepted" not in second.replace("It was not accepted", "")


@pytest.mark.usefixtures("reworked")
def test_a_rejection_of_a_human_has_its_name_and_its_reason(cli: Cli) -> None:
    out = cli("show", "t", "b")[1]
    assert "reject by mira" in out
    assert "not accepted by mira\n    too short" in out
    assert "about a draft" in out
    assert out.count("not accepted by") == 1
    assert "a whole result" in out


@pytest.mark.usefixtures("reworked")
def test_long_texts_are_shortened_with_the_command_that_shows_them_whole(cli: Cli) -> None:
    out = cli("show", "t", "a", "--attempt", "1")[1]
    assert "lake 399" not in out
    assert "more characters" in out
    assert "show t a --full" in out
    whole = cli("show", "t", "a", "--full")[1]
    assert "lake 399" in whole
    assert "You use tools." in whole, "the worker's prompt"
    assert "texts are shortened" not in whole


@pytest.mark.usefixtures("reworked")
def test_json_has_the_attempts_as_a_whole(cli: Cli) -> None:
    shown = json.loads(cli("show", "t", "a", "--json")[1])
    assert (shown["number"], shown["sub_task"]["id"]) == (1, "a")
    before, after = shown["attempts"]
    assert before["text"] == LONG
    assert before["tool_uses"][0]["answer"] == "wrote lakes"
    assert before["objections"] == [{"by": "the review c", "text": "count the rivers too"}]
    assert before["spent"]["cost_usd"] > 0
    assert (after["attempt"], after["objections"]) == (2, [])
    only = json.loads(cli("show", "t", "a", "--attempt", "2", "--json")[1])
    assert only["attempts"] == [after]


@pytest.mark.usefixtures("reworked")
@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["t", "d"], "thread 't' has no sub-task 'd': it has 1 a, 2 b, 3 c"),
        (["t", "4"], "has no sub-task '4'"),
        (["t", "c", "--attempt", "7"], "sub-task 'c' has no attempt 7: it has 1"),
        (["t", "--full"], "about a sub-task"),
        (["t", "a", "--task", "2"], "thread 't' has no task 2"),
    ],
)
def test_what_is_not_there_is_one_line(cli: Cli, words: list[str], error: str) -> None:
    code, out, err = cli("show", *words)
    assert (code, out) == (2, "")
    assert error in err
    assert len(err.splitlines()) == 1


def test_a_failure_is_told_with_its_reason_and_what_it_leaves_undone(cli: Cli, tmp_path: Path) -> None:
    results: dict[Any, Any] = {"a": fail(RuntimeError("no water left"))}
    with open_team(TeamScript(PLAN, results=results, revisions=FINISH), tmp_path / "runs.db") as team:
        run = team.run("count", thread_id="t", auto_approve=True)
    out = cli("show", "t")[1]
    assert run.outcomes["a"].error
    assert f"a failed: {run.outcomes['a'].error}"[:60] in out
    assert "show t SUBTASK" in out


def test_a_thread_at_work_tells_what_runs_and_what_waits_for_what(cli: Cli, tmp_path: Path) -> None:
    gate = Gate()

    def dig(depth: int) -> str:
        """Dig."""
        gate.wait()
        return "dug"

    results: dict[Any, Any] = {"a": [call("dig", depth=3), say("done")]}
    plan = [step("a", agent="tooled"), step("b", "a")]
    with open_team(TeamScript(plan, results=results), tmp_path / "runs.db", dig) as team:
        options: dict[str, Any] = {"thread_id": "t", "auto_approve": True}
        running = threading.Thread(target=lambda: team.run("dig", **options))
        running.start()
        try:
            assert gate.entered.wait(30)
            out = cli("show", "t")[1]
            shown = cli("show", "t", "a")[1]
        finally:
            gate.release()
            running.join()
    assert "b waits for a" in out
    assert "a runs dig(depth=3)" in out or "a runs" in out
    assert "a, sub-task 1 of 2: running" in shown


def test_a_plan_that_is_not_taken_yet_has_sub_tasks_that_have_not_begun(cli: Cli, tmp_path: Path) -> None:
    with open_team(TeamScript(PLAN), tmp_path / "runs.db") as team:
        team.run("count", thread_id="t")
    assert "it has not begun" in cli("show", "t", "2")[1]
    assert "waits for a" not in cli("show", "t")[1]


def test_earlier_tasks_of_a_thread_are_shown_by_their_number(cli: Cli, tmp_path: Path) -> None:
    with open_team(TeamScript([[step("a")], [step("b")]]), tmp_path / "runs.db") as team:
        team.run("one", thread_id="t", auto_approve=True)
        team.run("two", thread_id="t", auto_approve=True)
    assert "has no sub-task 'a': it has 1 b" in cli("show", "t", "a")[2]
    assert "result of a" in cli("show", "t", "a", "--task", "1")[1]


def test_texts_of_models_and_tools_never_command_the_terminal(cli: Cli, tmp_path: Path) -> None:
    results: dict[Any, Any] = {"a": [call("write", text=HOSTILE), say(HOSTILE)]}
    with open_team(TeamScript([step("a", agent="tooled")], results=results), tmp_path / "runs.db", writer([])) as team:
        team.run(f"go {HOSTILE}", thread_id="t", on_review=decide)
    for words in (["t"], ["t", "a"], ["t", "a", "--full"], ["t", "a", "--json"]):
        code, out, err = cli("show", *words)
        assert code == 0
        assert commands_in(out + err) == []
