"""The same task again on the same thread, as one clicks in Studio: it is done again, and asked about again."""

from pathlib import Path
from typing import Any

from orchestrator import Run
from orchestrator.testing import EffectLog, TeamScript, call, fail
from tests.support.teams import model_of, open_team, statuses, step, worked, writer

PLAN = [step("a", approval=True), step("b", "a")]


def test_it_is_carried_out_again(tmp_path: Path) -> None:
    with open_team(TeamScript([step("a"), step("b", "a")]), tmp_path / "a.db") as orchestrator:
        for _ in range(2):
            run = orchestrator.run("go", thread_id="t", auto_approve=True)
            assert statuses(run.outcomes) == {"a": "succeeded", "b": "succeeded"}
        assert worked(model_of(orchestrator)) == ["a", "b", "a", "b"]
        assert [entry.sub_task_id for entry in orchestrator.memory_of("t").all()] == ["1.a", "1.b", "a", "b"]


def test_old_decisions_do_not_open_its_gates(tmp_path: Path) -> None:
    with open_team(TeamScript(PLAN), tmp_path / "a.db") as orchestrator:
        ids = []
        for _ in range(2):
            run = orchestrator.run("go", thread_id="t")
            asked: list[str] = []
            while run.status == "waiting":
                [review] = run.reviews
                asked.append(review.kind)
                ids.append(review.id)
                orchestrator.decide(review.id, "approve")
                run = orchestrator.resume("t")
            assert asked == ["plan", "result"]
            assert run.status == "done"
        assert len(set(ids)) == 4, "the same questions are asked anew, under ids of their own"


def test_after_a_stop_it_starts_afresh(tmp_path: Path) -> None:
    def approved(run: Run) -> Run:
        orchestrator.decide(run.reviews[0].id, "approve")
        return orchestrator.resume("t")

    with open_team(TeamScript(PLAN), tmp_path / "a.db") as orchestrator:
        run = approved(orchestrator.run("go", thread_id="t"))
        orchestrator.decide(run.reviews[0].id, "stop")
        assert orchestrator.resume("t").status == "stopped"
        run = approved(orchestrator.run("go", thread_id="t"))
        assert [review.kind for review in run.reviews] == ["result"]
        assert approved(run).status == "done"
        assert worked(model_of(orchestrator)) == ["a", "a", "b"]


def test_what_failed_before_is_tried_for_the_first_time_in_each_run(tmp_path: Path) -> None:
    finish = {"reason": "enough", "decision": "finish", "changes": []}
    script = TeamScript([step("a")], results={"a": fail(RuntimeError("broken"))}, revisions=[finish] * 2)
    with open_team(script, tmp_path / "a.db") as orchestrator:
        for _ in range(2):
            run = orchestrator.run("go", thread_id="t", auto_approve=True)
            assert [(outcome.status, outcome.attempt) for outcome in run.outcomes.values()] == [("failed", 1)]
        assert worked(model_of(orchestrator)) == ["a", "a"]


def test_an_effect_that_happens_once_happens_once_in_each_run(tmp_path: Path) -> None:
    effects = EffectLog(tmp_path / "effects")
    plan: list[Any] = [step("a", agent="tooled")]
    script = TeamScript(plan, results={"a": [call("write", text="x"), "done"]})
    with open_team(script, tmp_path / "a.db", writer(effects)) as orchestrator:
        for _ in range(2):
            assert orchestrator.run("go", thread_id="t", auto_approve=True).status == "done"
    assert effects.counts() == {"x": 2}
