"""Stop, said at any review: from then on nothing new is asked, called or executed, whatever else was approved."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from orchestrator import Run, TaskOrchestrator, compile_graph
from orchestrator.testing import CrashAfter, CrashingSaver, EffectLog, Reply, TeamScript, call, run_until_killed, say
from tests.support.teams import make_team, model_of, open_team, statuses, step, worked, writer

THREAD: Any = {"configurable": {"thread_id": "t"}}
ONE: list[dict[str, Any]] = [step("a", agent="tooled")]
TWO_CALLS = Reply(calls=(("write", {"text": "A"}), ("write", {"text": "B"})))
TOGETHER: Any = {"a": [TWO_CALLS, say("finished")]}
AFTER_EACH_OTHER: Any = {"a": [call("write", text="1"), call("write", text="2"), say("finished")]}


def started(team: TaskOrchestrator) -> Run:
    """A run whose plan is approved."""
    run = team.run("task", thread_id="t")
    team.decide(run.reviews[0].id, "approve")
    return team.resume("t")


def asked_of(run: Run) -> dict[str, str]:
    """Ids of the open reviews by sub-task, or by what the tool is to write."""
    return {review.subject.get("args", {}).get("text", review.sub_task_id): review.id for review in run.reviews}


def test_at_a_tool_review_it_ends_the_attempt_and_the_model_is_not_asked_again(tmp_path: Path) -> None:
    effects: list[str] = []
    with open_team(TeamScript(ONE, results=AFTER_EACH_OTHER), tmp_path / "x", writer(effects)) as team:
        run = started(team)
        asked = len(model_of(team).requests)
        team.decide(run.reviews[0].id, "stop")
        run = team.resume("t")
        assert (run.status, run.reviews, effects) == ("stopped", (), [])
        assert len(model_of(team).requests) == asked


@pytest.mark.parametrize("first", ["A", "B"])
def test_at_one_of_two_calls_of_a_message_it_holds_for_the_other(tmp_path: Path, first: str) -> None:
    effects: list[str] = []
    with open_team(TeamScript(ONE, results=TOGETHER), tmp_path / "x", writer(effects)) as team:
        reviews = asked_of(started(team))
        team.decide(reviews.pop(first), "stop")
        run = team.resume("t")
        assert (run.status, run.reviews, effects) == ("stopped", (), [])


def test_it_goes_before_an_approval_of_the_other_call(tmp_path: Path) -> None:
    effects: list[str] = []
    with open_team(TeamScript(ONE, results=TOGETHER), tmp_path / "x", writer(effects)) as team:
        reviews = asked_of(started(team))
        team.decide(reviews["A"], "stop")
        team.decide(reviews["B"], "approve")
        assert team.resume("t").status == "stopped"
        assert effects == []


def resume_until_killed(folder: Path, number: int) -> None:
    """Goes on with the thread in a process that dies at one of its writes."""
    with open_team(TeamScript(ONE, results=TOGETHER), folder / "x", writer(EffectLog(folder / "effects"))) as team:
        saver = CrashingSaver(team.persistence.checkpointer, CrashAfter("writes", number))
        team.graph = compile_graph(team.team, checkpointer=saver, store=team.persistence.store)
        team.resume("t")


@pytest.mark.parametrize("number", [1, 2])
def test_it_outlives_a_kill(tmp_path: Path, number: int) -> None:
    effects = EffectLog(tmp_path / "effects")
    with open_team(TeamScript(ONE, results=TOGETHER), tmp_path / "x", writer(effects)) as team:
        team.decide(asked_of(started(team))["A"], "stop")
    assert run_until_killed(resume_until_killed, tmp_path, number) == -signal.SIGKILL
    with open_team(TeamScript(ONE, results=TOGETHER), tmp_path / "x", writer(effects)) as team:
        run = team.resume("t")
        for review in run.reviews:
            team.decide(review.id, "approve")
            run = team.resume("t")
        assert run.status == "stopped"
    assert effects.counts() == {}


TWO_RESULTS = [
    step("a", approval=True),
    step("after_a", "a"),
    step("b", approval=True),
    step("after_b", "b"),
    step("after_after_b", "after_b"),
]


def test_at_a_result_it_keeps_what_is_built_on_another_from_starting(tmp_path: Path) -> None:
    with open_team(TeamScript(TWO_RESULTS), tmp_path / "x") as team:
        reviews = asked_of(started(team))
        team.decide(reviews["a"], "stop")
        team.decide(reviews["b"], "approve")
        run = team.resume("t")
        assert run.status == "stopped"
        assert sorted(worked(model_of(team))) == ["a", "b"]
        assert statuses(run.outcomes)["b"] == "succeeded", "what is finished and approved stays so"
        kept = run.outcomes["after_b"]
        assert (kept.status, kept.error, kept.stop) == ("skipped", "stopped by a human", True)


def test_nothing_else_is_asked_any_more(tmp_path: Path) -> None:
    effects: list[str] = []
    plan = [*TWO_RESULTS, step("c", agent="tooled")]
    script = TeamScript(plan, results={"c": [call("write", text="x"), say("finished")]})
    with open_team(script, tmp_path / "x", writer(effects)) as team:
        team.decide(asked_of(started(team))["a"], "stop")
        run = team.resume("t")
        assert (run.status, run.reviews, effects) == ("stopped", (), [])


def test_it_is_forgotten_with_the_run_that_it_ended(tmp_path: Path) -> None:
    effects: list[str] = []
    with open_team(TeamScript(ONE, results=TOGETHER), tmp_path / "x", writer(effects)) as team:
        team.decide(asked_of(started(team))["A"], "stop")
        assert team.resume("t").status == "stopped"
        reviews = asked_of(started(team))
        assert sorted(reviews) == ["A", "B"]
        for review in reviews.values():
            team.decide(review, "approve")
        assert team.resume("t").status == "done"
    assert sorted(effects) == ["A", "B"]


def _invoke(graph: Any, value: Any, *, awaiting: bool) -> Any:
    return asyncio.run(graph.ainvoke(value, THREAD)) if awaiting else graph.invoke(value, THREAD)


@pytest.mark.parametrize("awaiting", [False, True], ids=["invoke", "ainvoke"])
def test_said_as_a_resume_value_as_studio_does_it_is_as_good(awaiting: bool) -> None:
    effects: list[str] = []
    plan = [*ONE, step("b", approval=True), step("after_b", "b")]
    team = make_team(TeamScript(plan, results=TOGETHER), writer(effects))
    graph = compile_graph(team, checkpointer=InMemorySaver())

    def asked() -> dict[str, Any]:
        found = {}
        for interrupt in graph.get_state(THREAD).interrupts:
            about = interrupt.value
            name = about["subject"].get("args", {}).get("text") or about.get("sub_task_id") or "plan"
            found[name] = interrupt
        return found

    def answer(action: str, *names: str) -> Any:
        interrupts = asked()
        given = {
            interrupts[name].id: {"review_id": interrupts[name].value["id"], "action": action}
            for name in names
            if name in interrupts
        }
        return _invoke(graph, Command(resume=given) if given else None, awaiting=awaiting)

    _invoke(graph, {"task": "go"}, awaiting=awaiting)
    review = graph.get_state(THREAD).values["review"]
    _invoke(graph, Command(resume={review["id"]: {"action": "approve"}}), awaiting=awaiting)
    assert asked().keys() == {"A", "B", "b"}
    answer("stop", "A")
    state = answer("approve", "B", "b")
    assert (state["status"], effects) == ("stopped", [])
    model: Any = team.supervisor.model
    assert sorted(worked(model)) == ["a", "b"]
