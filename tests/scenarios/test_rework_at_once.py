"""A result that is sent back is done again at once, beside what runs and what waits, and nothing runs twice."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore

from orchestrator import (
    Limits,
    Supervisor,
    TaskOrchestrator,
    Team,
    Worker,
    compile_graph,
    declare,
    reviewer,
)
from orchestrator.events import ReviewAsked
from orchestrator.testing import Gate, Reply, Request, ScriptedModel, TeamScript, call, fail, say, structure
from tests.support.reworking import ACCEPT, SLOW, again, behind
from tests.support.running import LIMIT_S, Running, planned
from tests.support.teams import make_team, model_of, open_team, statuses, step, worked, writer

BETTER: dict[Any, Any] = {("a", 2): "a better result of a"}


def asked(team: TaskOrchestrator, heading: str) -> list[str]:
    return [r.last_user for r in model_of(team).requests if heading in r.last_user and not r.title]


def test_what_a_reviewer_sends_back_is_done_again_while_another_branch_still_runs(tmp_path: Path) -> None:
    gate = Gate()
    results = {**BETTER, "slow": say("slow").behind(gate)}
    script = TeamScript([], results=results, verdicts={"judge": [again(), ACCEPT]})
    with open_team(script, tmp_path / "x.db") as team:
        running = Running(team.run, "go", plan=SLOW, thread_id="t")
        running.seen.until_status("last", "succeeded")
        assert not running.seen.has_status("slow", "succeeded")
        shown = team.show("t")
        assert (shown.status, shown.outcomes["a"].attempt) == ("running", 2)
        assert shown.plan is not None
        assert shown.plan["a"].feedback == ("count again",)
        assert "result of a" not in [entry.text for entry in team.memory_of("t").all()], "it is retracted"
        gate.release()
        run = running.result()
    assert run.status == "done"
    assert sorted(worked(model_of(team))) == ["a", "a", "last", "slow"]
    assert run.plan["a"].attempt == 2
    [second] = asked(team, "Sub-task a (attempt 2)")
    assert "count again" in second
    assert "result of a" in second


def test_a_result_that_a_human_rejects_is_done_again_while_another_branch_still_runs(tmp_path: Path) -> None:
    gate = Gate()
    plan = planned(step("a", approval=True), step("after", "a"), step("slow"))
    script = TeamScript([], results={**BETTER, "slow": say("slow").behind(gate)})
    with open_team(script, tmp_path / "x.db") as team:
        running = Running(team.run, "go", plan=plan, thread_id="t")
        first = running.seen.until_asked("a")
        team.decide(first, "reject", "count again")
        second = running.seen.until(lambda event: getattr(event, "review", None) and event.review.id != first)  # type: ignore[attr-defined]
        assert [review.id for review in team.reviews("t")] == [second.review.id]  # type: ignore[attr-defined]
        team.decide(second.review, "approve")  # type: ignore[attr-defined]
        running.seen.until_status("after", "succeeded")
        assert not running.seen.has_status("slow", "succeeded")
        gate.release()
        assert running.result().status == "done"
    assert sorted(worked(model_of(team))) == ["a", "a", "after", "slow"]


def test_a_dependent_that_runs_on_the_rejected_result_ends_before_its_next_call(tmp_path: Path) -> None:
    gate, effects = Gate(), []
    plan = planned(step("a"), step("judge", "a", agent="reviewer"), step("b", "a", agent="tooled"))
    calls = iter([call("write", text="old").behind(gate), call("write", text="new"), say("result of b")])
    work = TeamScript([], results=BETTER, verdicts={"judge": [again(), ACCEPT]})

    def script(request: Request) -> Reply:
        is_of_b = "Sub-task b: " in request.text and "final answer" not in request.text
        return next(calls) if is_of_b else work(request)

    held = behind(verdict := Gate(), "judge", script)
    with open_team(held, tmp_path / "x.db", writer(effects, risk="read", effect="none")) as team:
        running = Running(team.run, "go", plan=plan, thread_id="t")
        assert gate.entered.wait(LIMIT_S)
        verdict.release()
        running.seen.until(lambda e: getattr(e, "id", "") == "a" and e.attempt == 2 and e.status == "succeeded")  # type: ignore[attr-defined]
        gate.release()
        run = running.result()
    assert (run.status, effects) == ("done", ["new"]), "the call on the rejected result is not made"
    assert "a better result of a" in asked(team, "Sub-task b: ")[-1]


def test_a_question_about_the_rejected_result_is_taken_back(tmp_path: Path) -> None:
    verdict, slow, effects = Gate(), Gate(), []
    plan = planned(step("a"), step("judge", "a", agent="reviewer"), step("b", "a", agent="tooled"), step("slow"))
    results = {**BETTER, "b": [call("write", text="b"), say("result of b")], "slow": say("slow").behind(slow)}
    script = behind(verdict, "judge", TeamScript([], results=results, verdicts={"judge": [again(), ACCEPT]}))
    with open_team(script, tmp_path / "x.db", writer(effects)) as team:
        running = Running(team.run, "go", plan=plan, thread_id="t")
        old = running.seen.until_asked("b")
        verdict.release()
        new = running.seen.until(lambda e: isinstance(e, ReviewAsked) and e.review.id != old)
        assert [review.id for review in team.reviews("t")] == [new.review.id]  # type: ignore[attr-defined]
        slow.release()
        run = running.result()
        assert [review.sub_task_id for review in run.reviews] == ["b"]
        assert [review.id for review in team.reviews("t")] == [run.reviews[0].id]
        team.decide(run.reviews[0], "approve")
        assert team.resume("t").status == "done"
    assert effects == ["b"]


def test_an_attempt_that_ends_early_gives_its_slot_back(tmp_path: Path) -> None:
    verdicts, works, effects = [Gate(), Gate()], [Gate(), Gate()], []
    plan = planned(step("a"), step("judge", "a", agent="reviewer"), step("b", "a", agent="tooled"))
    of_b = [call("write", text="old").behind(works[0]), call("write", text="new").behind(works[1]), say("b")]
    of_judge = [structure(again()).behind(verdicts[0]), structure(ACCEPT).behind(verdicts[1])]
    replies = {"b": iter(of_b), "judge": iter(of_judge)}
    work = TeamScript([], results=BETTER)

    def script(request: Request) -> Reply:
        if request.title == "Verdict":
            return next(replies["judge"])
        is_of_b = "Sub-task b: " in request.text and "final answer" not in request.text
        return next(replies["b"]) if is_of_b else work(request)

    limits = Limits(parallel_workers=2)
    with open_team(script, tmp_path / "x.db", writer(effects, risk="read", effect="none"), limits=limits) as team:
        running = Running(team.run, "go", plan=plan, thread_id="t")
        assert works[0].entered.wait(LIMIT_S)
        verdicts[0].release()
        running.seen.until(lambda e: getattr(e, "id", "") == "a" and e.attempt == 2 and e.status == "succeeded")  # type: ignore[attr-defined]
        works[0].release()
        for gate in (works[1], verdicts[1]):
            assert gate.entered.wait(LIMIT_S), "there is no second slot any more"
        for gate in (works[1], verdicts[1]):
            gate.release()
        assert running.result().status == "done"
    assert effects == ["new"]


def test_one_attempt_answers_all_reviewers_who_read_the_result(tmp_path: Path) -> None:
    slow = Gate()
    plan = planned(step("a"), step("quick", "a", agent="reviewer"), step("careful", "a", agent="reviewer"))
    verdicts = {"quick": [again("count again"), ACCEPT], "careful": [again("name the source"), ACCEPT]}
    script = behind(slow, "careful", TeamScript([], results=BETTER, verdicts=verdicts))
    with open_team(script, tmp_path / "x.db") as team:
        running = Running(team.run, "go", plan=plan, thread_id="t")
        running.seen.until_status("quick", "succeeded")
        slow.release()
        assert running.result().status == "done"
    [second] = asked(team, "Sub-task a (attempt 2)")
    assert "count again\nname the source" in second


def test_a_reviewer_that_waits_for_a_human_holds_up_no_rework(tmp_path: Path) -> None:
    effects: list[str] = []
    asking = Worker("asking", "You judge.", tools=[writer(effects)], reviews=True)
    plan = planned(step("a"), step("careful", "a", agent="asking"), step("quick", "a", agent="reviewer"))
    verdict = Gate()
    results = {**BETTER, "careful": [call("write", text="careful"), say("looked")]}
    verdicts = {"quick": [again(), ACCEPT], "careful": ACCEPT}
    script = behind(verdict, "quick", TeamScript([], results=results, verdicts=verdicts))
    team = Team(Supervisor(), [Worker("worker", "You work."), reviewer(), asking], model=ScriptedModel(script))
    with TaskOrchestrator(team=team, db=str(tmp_path / "x.db")) as engine:
        running = Running(engine.run, "go", plan=plan, thread_id="t")
        old = running.seen.until_asked("careful")
        verdict.release()
        run = running.result()
        assert run.outcomes["a"].attempt == 2
        assert [review.sub_task_id for review in run.reviews] == ["careful"]
        assert run.reviews[0].id != old, "it is asked about the new result"
        engine.decide(run.reviews[0], "approve")
        assert engine.resume("t").status == "done"
    assert effects == ["careful"]


@pytest.mark.parametrize("is_alone", [True, False], ids=["alone", "beside another branch"])
def test_a_reviewer_that_waits_in_one_call_holds_up_rework_until_its_other_call_has_ended(
    tmp_path: Path, is_alone: bool
) -> None:
    effects: list[str] = []
    entered, may_end, slow = threading.Event(), threading.Event(), Gate()

    @tool
    def look() -> str:
        """Look at something for a while."""
        entered.set()
        assert may_end.wait(LIMIT_S)
        return "saw it"

    tools = [writer(effects), declare(look, risk="read", effect="none")]
    asking = Worker("asking", "You judge.", tools=tools, reviews=True)
    steps = [step("a"), step("careful", "a", agent="asking"), step("quick", "a", agent="reviewer")]
    plan = planned(*steps, *([] if is_alone else [step("slow")]))
    calls = Reply(calls=(("write", {"text": "careful"}), ("look", {})))
    results = {**BETTER, "careful": [calls, say("looked")], "slow": say("slow").behind(slow)}
    script = TeamScript([], results=results, verdicts={"quick": [again(), ACCEPT], "careful": ACCEPT})
    team = Team(Supervisor(), [Worker("worker", "You work."), reviewer(), asking], model=ScriptedModel(script))
    with TaskOrchestrator(team=team, db=str(tmp_path / "x.db")) as engine:
        running = Running(engine.run, "go", plan=plan, thread_id="t")
        old = running.seen.until_asked("careful")
        assert entered.wait(LIMIT_S)
        running.seen.until_status("quick", "succeeded")
        may_end.set()
        running.seen.until(lambda e: getattr(e, "id", "") == "a" and e.attempt == 2 and e.status == "succeeded")  # type: ignore[attr-defined]
        assert not running.seen.has_status("slow", "succeeded")
        slow.release()
        run = running.result()
        assert [review.sub_task_id for review in run.reviews] == ["careful"]
        assert run.reviews[0].id != old, "it is asked about the new result"
        engine.decide(run.reviews[0], "approve")
        assert engine.resume("t").status == "done"
    assert effects == ["careful"]


@pytest.mark.parametrize("ends", ["asks a human", "has no model"])
def test_rework_waits_for_a_reviewer_at_work_only_until_that_one_pauses(tmp_path: Path, ends: str) -> None:
    careful, slow, effects = Gate(), Gate(), []
    asks = [call("write", text="careful").behind(careful), say("looked")]
    of_careful = asks if ends == "asks a human" else fail(ConnectionError("no route")).behind(careful)
    asking = Worker("asking", "You judge.", tools=[writer(effects)], reviews=True)
    plan = planned(step("a"), step("careful", "a", agent="asking"), step("quick", "a", agent="reviewer"), step("slow"))
    results = {**BETTER, "careful": of_careful, "slow": say("slow").behind(slow)}
    script = TeamScript([], results=results, verdicts={"quick": [again(), ACCEPT], "careful": ACCEPT})
    workers = [Worker("worker", "You work."), reviewer(), asking]
    team = Team(Supervisor(), workers, model=ScriptedModel(script))
    with TaskOrchestrator(team=team, db=str(tmp_path / "x.db")) as engine:
        running = Running(engine.run, "go", plan=plan, thread_id="t")
        assert careful.entered.wait(LIMIT_S)
        running.seen.until_status("quick", "succeeded")
        assert not running.seen.has_status("a", "pending"), "the next attempt answers all who read the result"
        careful.release()
        running.seen.until(lambda e: getattr(e, "id", "") == "a" and e.attempt == 2 and e.status == "succeeded")  # type: ignore[attr-defined]
        assert not running.seen.has_status("slow", "succeeded")
        slow.release()
        assert running.result().outcomes["a"].attempt == 2


def test_a_verdict_that_comes_after_a_pause_is_followed_beside_an_open_question(tmp_path: Path) -> None:
    effects: list[str] = []
    asking = Worker("asking", "You judge.", tools=[writer(effects)], reviews=True)
    tooled = Worker("tooled", "You use tools.", tools=[writer(effects)])
    plan = planned(step("a", approval=True), step("judge", "a", agent="asking"), step("y", agent="tooled"))
    results = {
        **BETTER,
        "judge": [call("write", text="judge"), say("looked")],
        "y": [call("write", text="y"), say("result of y")],
    }
    script = TeamScript([], results=results, verdicts={"judge": [again(), ACCEPT]})
    team = Team(Supervisor(), [Worker("worker", "You work."), tooled, asking], model=ScriptedModel(script))

    def of(run: Any, task_id: str) -> Any:
        [review] = [review for review in run.reviews if review.sub_task_id == task_id]
        return review

    with TaskOrchestrator(team=team, db=str(tmp_path / "x.db")) as engine:
        run = engine.run("go", plan=plan, thread_id="t")
        question = of(run, "y").id
        engine.decide(of(run, "a"), "approve")
        run = engine.resume("t")
        assert {review.sub_task_id for review in run.reviews} == {"judge", "y"}, (
            "an answered question is not shown again"
        )
        assert run.outcomes["a"].status == "succeeded"
        engine.decide(of(run, "judge"), "approve")
        run = engine.resume("t")
        assert {review.sub_task_id for review in run.reviews} == {"a", "y"}
        assert run.plan is not None
        assert run.plan["a"].attempt == 2
        engine.decide(of(run, "a"), "approve")
        run = engine.resume("t")
        engine.decide(of(run, "judge"), "approve")
        run = engine.resume("t")
        assert [review.id for review in run.reviews] == [question], "it is asked once"
        assert set(run.outcomes) == {"a", "judge"}
        engine.decide(question, "approve")
        run = engine.resume("t")
    assert run.status == "done"
    assert effects == ["judge", "judge", "y"]
    assert sorted(worked(model_of(engine))) == ["a", "a", *["judge"] * 4, "y", "y"]


def test_a_run_that_was_reworked_is_told_by_its_events(tmp_path: Path) -> None:
    script = TeamScript([], results=BETTER, verdicts={"judge": [again(), ACCEPT]})
    seen: list[Any] = []
    with open_team(script, tmp_path / "x.db") as team:
        assert team.run("go", plan=SLOW, thread_id="t", on_event=seen.append).status == "done"
    changes = [(e.id, e.status, e.attempt, e.error) for e in seen if e.kind == "sub_task" and e.id in ("a", "judge")]
    assert changes == [
        ("a", "running", 1, ""),
        ("a", "succeeded", 1, ""),
        ("judge", "running", 1, ""),
        ("judge", "succeeded", 1, ""),
        ("a", "pending", 2, "count again"),
        ("judge", "pending", 1, ""),
        ("a", "running", 2, ""),
        ("a", "succeeded", 2, ""),
        ("judge", "running", 1, ""),
        ("judge", "succeeded", 1, ""),
    ]
    assert [e.number for e in seen if e.kind == "round"] == [1]


@pytest.mark.parametrize("is_async", [True, False], ids=["ainvoke", "invoke"])
def test_a_bare_graph_does_it_at_once_when_awaited_and_at_the_end_of_the_round_in_threads(is_async: bool) -> None:
    entered, may_end, begun = threading.Event(), threading.Event(), threading.Event()

    @tool
    def wait() -> str:
        """Wait."""
        entered.set()
        assert may_end.wait(LIMIT_S)
        return "waited"

    results = {**BETTER, "y": [call("wait"), say("result of y")]}
    work = TeamScript([], results=results, verdicts={"judge": [again(), ACCEPT]})

    def script(request: Request) -> Reply:
        if "Sub-task a (attempt 2)" in request.last_user:
            begun.set()
        return work(request)

    team = make_team(script, declare(wait, risk="read", effect="none"))
    graph = compile_graph(team, checkpointer=InMemorySaver(), store=InMemoryStore())
    plan = planned(step("a"), step("judge", "a", agent="reviewer"), step("y", agent="tooled"))
    given = {"task": "go", "given_plan": plan.plain(), "auto_approve": True}
    config: Any = {"configurable": {"thread_id": "t"}}
    with ThreadPoolExecutor(1) as pool:
        call_it = (
            (lambda: asyncio.run(graph.ainvoke(given, config))) if is_async else partial(graph.invoke, given, config)
        )
        running = pool.submit(call_it)
        assert entered.wait(LIMIT_S)
        if is_async:
            assert begun.wait(LIMIT_S), "the rework waited for the other branch"
        may_end.set()
        assert running.result(LIMIT_S)["status"] == "done"
    state = graph.get_state(config).values
    assert begun.is_set()
    assert (state["outcomes"]["a"]["attempt"], state["round"]) == (2, 2)
    assert set(statuses(state["outcomes"]).values()) == {"succeeded"}
    assert state["plan"]["sub_tasks"][0]["feedback"] == ["count again"]
