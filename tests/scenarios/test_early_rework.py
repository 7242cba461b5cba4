"""Work that a reviewer or a human sends back begins while results of other branches still wait for a human."""

import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.tools import tool

from orchestrator import Limits, Plan, SubTask, TaskOrchestrator, compile_graph, declare
from orchestrator.testing import (
    CrashAfter,
    CrashingSaver,
    CrashingStore,
    EffectLog,
    Reply,
    Request,
    TeamScript,
    call,
    run_until_killed,
    say,
    structure,
)
from tests.support.running import planned
from tests.support.strategies import plans
from tests.support.teams import make_team, model_of, open_team, statuses, step, worked, writer

AGAIN = {"verdict": "changes_requested", "sub_task_id": "a", "reason": "count again"}
ACCEPT = {"verdict": "accept", "sub_task_id": "", "reason": "right"}
PLAN = planned(
    step("a"), step("judge", "a", agent="reviewer"), step("y", approval=True), step("z", "y"), step("last", "judge")
)
RESULTS: dict[Any, Any] = {("a", 2): "a better result of a"}


def test_a_reviewers_rework_begins_although_a_result_of_another_branch_waits(tmp_path: Path) -> None:
    script = TeamScript([], results=RESULTS, verdicts={"judge": [AGAIN, ACCEPT]})
    with open_team(script, tmp_path / "x.db") as team:
        run = team.run("go", plan=PLAN, thread_id="t")
        assert (run.status, [review.sub_task_id for review in run.reviews]) == ("waiting", ["y"])
        assert run.outcomes["a"].attempt == 2
        assert statuses(run.outcomes) == dict.fromkeys(("a", "judge", "last"), "succeeded")
        team.decide(run.reviews[0], "approve")
        run = team.resume("t")
        assert run.status == "done"
        assert sorted(worked(model_of(team))) == ["a", "a", "last", "y", "z"], "y is asked about, not repeated"


def test_a_rejected_result_is_done_again_although_another_waits(tmp_path: Path) -> None:
    plan = planned(step("a", approval=True), step("y", approval=True))
    with open_team(TeamScript([], results=RESULTS), tmp_path / "x.db") as team:
        first = {review.sub_task_id: review.id for review in team.run("go", plan=plan, thread_id="t").reviews}
        team.decide(first["a"], "reject", "count again")
        run = team.resume("t")
        second = {review.sub_task_id: review.id for review in run.reviews}
        assert second.keys() == {"a", "y"}
        assert second["y"] == first["y"], "the same question has the same id"
        assert second["a"] != first["a"]
        assert worked(model_of(team)) == ["a", "y", "a"] or worked(model_of(team)) == ["y", "a", "a"]
        for review_id in second.values():
            team.decide(review_id, "approve")
        assert team.resume("t").status == "done"


def test_rework_begins_although_a_tool_call_of_another_branch_waits(tmp_path: Path) -> None:
    plan = planned(step("a"), step("judge", "a", agent="reviewer"), step("y", agent="tooled"))
    results = {**RESULTS, "y": [call("write", text="hello"), say("written")]}
    effects: list[str] = []
    script = TeamScript([], results=results, verdicts={"judge": [AGAIN, ACCEPT]})
    with open_team(script, tmp_path / "x.db", writer(effects)) as team:
        run = team.run("go", plan=plan, thread_id="t")
        assert (run.status, [review.kind for review in run.reviews]) == ("waiting", ["tool"])
        assert (run.outcomes["a"].attempt, run.outcomes["judge"].status) == (2, "succeeded")
        team.decide(run.reviews[0], "approve")
        run = team.resume("t")
        assert (run.status, run.outcomes["a"].attempt, effects) == ("done", 2, ["hello"])


@pytest.mark.parametrize("limits", [Limits(attempts=1), Limits(rounds=1)], ids=["attempts", "rounds"])
def test_without_an_attempt_or_a_round_left_the_open_review_is_asked_and_the_run_ends(
    tmp_path: Path, limits: Limits
) -> None:
    script = TeamScript([], results=RESULTS, verdicts={"judge": AGAIN})
    with open_team(script, tmp_path / "x.db", limits=limits) as team:
        run = team.run("go", plan=PLAN, thread_id="t")
        assert [(review.kind, review.sub_task_id) for review in run.reviews] == [("result", "y")]
        team.decide(run.reviews[0], "approve")
        run = team.resume("t")
        assert [review.kind for review in run.reviews] == ["steer"]
        team.decide(run.reviews[0], "approve")
        assert team.resume("t").status == "limited"
        assert worked(model_of(team)).count("y") == 1


def rework(folder: Path, point: CrashAfter | None) -> None:
    """Run the plan or resume it. Results are approved, and the repetition of a call is refused."""
    effects = EffectLog(folder / "effects")
    results = {**RESULTS, "y": [call("act"), say("y")]}
    work = TeamScript([], results=results)

    def script(request: Request) -> Reply:
        # By the request alone: the process that resumes must not begin a list of verdicts anew.
        if request.title == "Verdict":
            return structure(ACCEPT if "a better result" in request.text else AGAIN)
        return work(request)

    @tool
    def act() -> str:
        """Do something outside."""
        effects.record("act")
        return "did it"

    declare(act, risk="read", effect="once")
    team = make_team(script, act)
    with TaskOrchestrator(team=team, db=str(folder / "x.db")) as engine:
        if point is not None:
            saver = CrashingSaver(engine.persistence.checkpointer, point)
            engine.graph = compile_graph(team, checkpointer=saver, store=CrashingStore(engine.persistence.store, point))
        plan = planned(
            step("a"), step("judge", "a", agent="reviewer"), step("y", agent="tooled", approval=True), step("z", "y")
        )
        known = [record.id for record in engine.threads()]
        run = engine.resume("t") if known else engine.run("go", plan=plan, thread_id="t")
        while run.reviews:
            for review in run.reviews:
                engine.decide(review, *(("reject", "no") if review.kind == "tool" else ("approve",)))
            run = engine.resume("t")
        assert run.status == "done", run
        assert (run.outcomes["a"].attempt, run.outcomes["a"].digest) == (2, "a better result of a")
        assert sorted(entry.sub_task_id for entry in engine.memory_of("t").all()) == ["a", "judge", "y", "z"]


@pytest.mark.parametrize(
    "point",
    [
        CrashAfter(kind, number)
        for kind, most in (("put", 10), ("writes", 10), ("store", 16))
        for number in range(2, most)
    ],
    ids=lambda point: f"{point.kind}-{point.number}",
)
def test_a_kill_around_rework_loses_nothing(tmp_path: Path, point: CrashAfter) -> None:
    assert run_until_killed(rework, tmp_path, point) in (-signal.SIGKILL, 0)
    assert run_until_killed(rework, tmp_path, None) == 0
    # A kill between the note and the call leaves it open whether the call was made, and its repetition is refused.
    assert EffectLog(tmp_path / "effects").counts()["act"] <= 1


@settings(max_examples=25)
@given(plans(max_size=6), st.data())
def test_whatever_is_sent_back_and_whatever_is_answered_when_the_run_ends(plan: Plan, data: st.DataObject) -> None:
    ids = sorted(plan.by_id)
    approval = data.draw(st.sets(st.sampled_from(ids)))
    judged = data.draw(st.sets(st.sampled_from(ids)))
    tasks = [task.model_copy(update={"requires_approval": task.id in approval}) for task in plan.sub_tasks]
    judges = [SubTask(id=f"judge_{i}", description="judge", target_agent="reviewer", depends_on=(i,)) for i in judged]
    verdicts = {f"judge_{i}": [{**AGAIN, "sub_task_id": i}, ACCEPT] for i in judged}
    results = {(i, n): f"result {n} of {i}" for i in ids for n in (2, 3)}
    script = TeamScript([], results=results, verdicts=verdicts)
    with open_team(script, "memory://", limits=Limits(rounds=40)) as team:
        run = team.run("go", plan=Plan(sub_tasks=(*tasks, *judges)), thread_id="t")
        for _ in range(12 * len(ids)):
            if run.status != "waiting":
                break
            review = data.draw(st.sampled_from(sorted(run.reviews, key=lambda review: review.id)))
            if review.kind == "result" and data.draw(st.integers(0, 3)) == 0 and len(review.allowed) > 1:
                team.decide(review, "reject", f"again, {review.id}")
            else:
                team.decide(review, "approve")
            run = team.resume("t")
        assert run.status in ("done", "limited"), run
        assert team.reviews("t") == []
        outcomes = run.outcomes.values()
        assert len({outcome.key for outcome in outcomes}) == len(run.outcomes)
        if run.status == "done":
            assert {outcome.status for outcome in outcomes} == {"succeeded"}
