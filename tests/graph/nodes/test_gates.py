"""The two gates: an answer opens a gate for the question that it was given to, not for a later one that reads alike."""

from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore
from langgraph.types import Command

from orchestrator import Budget, Limits, Plan, Run, TaskOrchestrator, compile_graph
from orchestrator.testing import TeamScript, fail
from tests.support.teams import make_team, model_of, open_team, statuses, step, worked

THREAD: Any = {"configurable": {"thread_id": "t"}}
BROKEN = fail(RuntimeError("broken"))
ASK = {"reason": "no idea", "decision": "ask_human", "changes": []}


def answer(graph: Any, action: str = "approve") -> Any:
    """Answers the gate before which the graph has stopped, as Studio does, and goes on."""
    review = graph.get_state(THREAD).values["review"]
    graph.invoke(Command(resume={"review_id": review["id"], "action": action}), THREAD)
    return review


def decide(team: TaskOrchestrator, action: Any = "approve", text: str = "", data: Any = None) -> Run:
    """Answers the one open review."""
    (review,) = team.reviews("t")
    team.decide(review.id, action, text, data)
    return team.resume("t")


def test_the_plan_of_a_task_that_was_done_before_waits_however_often_the_task_is_given() -> None:
    team = make_team(TeamScript([step("a")]))
    graph = compile_graph(team, checkpointer=InMemorySaver())
    graph.invoke({"task": "go"}, THREAD)
    first = answer(graph)
    assert graph.get_state(THREAD).values["status"] == "done"
    ids = []
    for _ in range(3):  # given again, and again where a decision was wanted
        graph.invoke({"task": "go"}, THREAD)
        assert graph.get_state(THREAD).next == ("approve_plan",)
        ids.append(graph.get_state(THREAD).values["review"]["id"])
    assert len(set(ids)) == 1, "it is the same question"
    assert ids[0] != first["id"], "it is another question than that of the task before"
    assert worked(team.supervisor.model) == ["a"]
    answer(graph)
    assert worked(team.supervisor.model) == ["a", "a"]


def test_a_run_that_is_stuck_as_it_was_before_waits_however_often_the_task_is_given() -> None:
    team = make_team(TeamScript([step("a"), step("b")], results={"a": BROKEN}, revisions=[ASK, ASK]))
    graph = compile_graph(team, checkpointer=InMemorySaver())
    graph.invoke({"task": "go"}, THREAD)
    answer(graph)
    first = answer(graph)
    assert graph.get_state(THREAD).values["status"] == "limited"
    graph.invoke({"task": "go"}, THREAD)
    answer(graph)
    ids = []
    for _ in range(3):
        graph.invoke({"task": "go"}, THREAD)
        assert graph.get_state(THREAD).next == ("human_review",)
        ids.append(graph.get_state(THREAD).values["review"]["id"])
    assert len(set(ids)) == 1, "it is the same question"
    assert ids[0] != first["id"], "it is another question than that of the task before"
    assert len(worked(team.supervisor.model)) == 4, "b was not done a third time"


def test_a_plan_that_a_human_changes_back_is_asked_about_again_when_it_is_stuck_again(tmp_path: Path) -> None:
    """The reviewer is not content with the only attempt; a human has it tried again, and takes that back later."""
    plan = [step("a"), step("r", "a", agent="reviewer")]
    verdict = {"reason": "too short", "verdict": "changes_requested", "sub_task_id": "a"}
    add = {"action": "add", "sub_task_id": "n", "text": "do n", "target_agent": "worker"}
    script = TeamScript(
        plan,
        results={("a", 2): BROKEN},
        verdicts={"r": verdict},
        revisions=[{"reason": "", "decision": "revise", "changes": [add]}],
    )
    with open_team(script, tmp_path / "x.db", limits=Limits(attempts=1)) as team:
        team.run("task", thread_id="t")
        first = decide(team).reviews
        assert [review.kind for review in first] == ["steer"]
        assert [review.kind for review in decide(team, "reject", "try it with more words").reviews] == ["plan"]
        run = decide(team, "edit", data=plan)
        assert [(review.kind, review.stake) for review in run.reviews] == [("steer", first[0].stake)]
        assert worked(model_of(team)).count("a") == 2, "the rejection of then does not answer it"
        assert decide(team).status == "limited"


@pytest.mark.parametrize("was_done_before", [False, True])
def test_a_run_that_ended_at_the_gate_for_want_of_budget_is_planned_again_when_that_is_raised(
    tmp_path: Path, was_done_before: bool
) -> None:
    a, x = [step("a")], [step("x")]
    with open_team(TeamScript([a, a, x] if was_done_before else [a, x]), tmp_path / "x.db") as team:
        if was_done_before:
            team.run("task", thread_id="t", auto_approve=True)
        done = worked(model_of(team))
        team.run("task", thread_id="t", budget=Budget(model_calls=1, summary=0))
        assert [review.kind for review in decide(team, "reject", "do something else").reviews] == ["steer"]
        run = decide(team)
        assert (run.status, run.limited_by) == ("limited", "budget")
        run = team.resume("t", budget={"model_calls": 20})
        assert [review.subject["plan"][0]["id"] for review in run.reviews] == ["x"]
        assert "do something else" in model_of(team).requests[-1].last_user
        assert worked(model_of(team)) == done, "nobody has approved anything"
        assert statuses(decide(team).outcomes) == {"x": "succeeded"}


def test_stopped_before_there_is_a_plan_it_shows_nothing_of_the_task_before(tmp_path: Path) -> None:
    with open_team(TeamScript([step("a")]), tmp_path / "x.db") as team:
        team.run("task", thread_id="t", auto_approve=True)
        run = team.run("another", thread_id="t", budget=Budget(tokens=60))
        assert [review.kind for review in run.reviews] == ["steer"]
        run = decide(team, "stop")
        assert (run.status, run.plan, run.outcomes, run.answer) == ("stopped", None, {}, "")


def test_a_plan_given_to_a_run_that_goes_on_is_not_kept_for_the_next_task() -> None:
    team = make_team(TeamScript([[step("a", approval=True)], [step("b")]]))
    graph = compile_graph(team, checkpointer=InMemorySaver())
    graph.invoke({"task": "one"}, THREAD)
    answer(graph)
    graph.invoke({"task": "one", "given_plan": Plan.parse([step("late")]).plain()}, THREAD)
    (asked,) = graph.get_state(THREAD).interrupts
    graph.invoke(Command(resume={"review_id": asked.value["id"], "action": "approve"}), THREAD)
    assert statuses(graph.get_state(THREAD).values["outcomes"]) == {"a": "succeeded"}
    graph.invoke({"task": "two"}, THREAD)
    assert graph.get_state(THREAD).next == ("approve_plan",)
    assert worked(team.supervisor.model) == ["a"]


@pytest.mark.parametrize("task", ["go", "another"])
def test_the_forecast_of_the_next_run_counts_all_of_its_work(tmp_path: Path, task: str) -> None:
    with open_team(TeamScript([step("a"), step("b", "a")]), tmp_path / "x.db") as team:
        team.run("go", thread_id="t", auto_approve=True)
        (review,) = team.run(task, thread_id="t").reviews
        assert review.subject["forecast"]["tokens"].keys() == {"a", "b"}


def test_a_run_that_asks_nobody_does_not_let_the_next_one_do_so() -> None:
    graph = compile_graph(make_team(TeamScript([step("a")])), checkpointer=InMemorySaver())
    assert graph.invoke({"task": "first", "auto_approve": True}, THREAD)["status"] == "done"
    graph.invoke({"task": "second"}, THREAD)
    assert graph.get_state(THREAD).next == ("approve_plan",)
    state = graph.invoke({"task": "second", "auto_approve": True}, THREAD)
    assert state["status"] == "done", "said again with the task that waits, it passes its gate"
    graph.invoke({"task": "third"}, THREAD)
    assert graph.get_state(THREAD).next == ("approve_plan",)


def test_an_unattended_run_that_its_budget_ended_before_it_had_a_plan_goes_on_unattended(tmp_path: Path) -> None:
    with open_team(TeamScript([step("a")]), tmp_path / "runs.db") as team:
        run = team.run("go", thread_id="t", auto_approve=True, budget=Budget(tokens=10))
        assert (run.status, run.limited_by, run.plan) == ("limited", "budget", None)
        assert team.resume("t", budget={"tokens": 100_000}).status == "done"


def test_a_run_whose_shared_memory_was_lost_says_so_instead_of_waiting_for_ever() -> None:
    script = TeamScript([step("a"), step("b", "a")], results={"b": BROKEN}, revisions=[ASK, ASK])
    saver = InMemorySaver()
    graph = compile_graph(make_team(script), checkpointer=saver, store=InMemoryStore())
    graph.invoke({"task": "go"}, THREAD)
    answer(graph)
    assert graph.get_state(THREAD).next == ("human_review",)

    elsewhere = compile_graph(make_team(script), checkpointer=saver, store=InMemoryStore())
    review = elsewhere.get_state(THREAD).values["review"]
    again = {"review_id": review["id"], "action": "reject", "text": "try again"}
    elsewhere.invoke(Command(resume=again), THREAD)
    outcome = elsewhere.get_state(THREAD).values["outcomes"]["b"]
    assert outcome["status"] == "skipped"
    assert "needs a, whose result is not in the shared memory any more" in outcome["error"]
