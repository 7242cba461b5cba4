"""Work that is sent back stays within attempts and rounds, and within its own branch."""

from pathlib import Path

from orchestrator import Limits
from orchestrator.testing import Gate, TeamScript, say
from tests.support.reworking import ACCEPT, SLOW, again, behind
from tests.support.running import Running, planned
from tests.support.teams import open_team, statuses, step


def test_a_sub_task_sent_back_by_the_reviewer_of_its_dependent_stays_within_the_rounds(tmp_path: Path) -> None:
    gate = Gate()
    verdicts = {"judge": [again(f"reason {n}") for n in range(5)]}
    results = {**{("a", n): f"result {n}" for n in range(2, 6)}, "slow": say("slow").behind(gate)}
    script = TeamScript([], results=results, verdicts=verdicts)
    with open_team(script, tmp_path / "x.db", limits=Limits(rounds=3, attempts=5)) as team:
        running = Running(team.run, "go", plan=SLOW, thread_id="t")
        running.seen.until_status("last", "succeeded")
        gate.release()
        run = running.result()
        assert [review.kind for review in run.reviews] == ["steer"]
        assert run.plan["a"].attempt == 3
        assert "the limit of 3 rounds" in run.reviews[0].stake
        team.decide(run.reviews[0], "reject", "use another source")
        run = team.resume("t")
        assert run.plan["a"].attempt == 4, "a human grants one more round"


def test_a_result_that_a_human_rejects_without_an_attempt_left_ends_its_branch(tmp_path: Path) -> None:
    plan = planned(step("x"), step("a", "x", approval=True), step("after", "a"), step("slow"))
    with open_team(TeamScript([]), tmp_path / "x.db", limits=Limits(attempts=1)) as team:
        run = team.run("go", plan=plan, thread_id="t")
        team.decide(run.reviews[0], "reject", "count again")
        run = team.resume("t")
        assert [review.kind for review in run.reviews] == ["steer"]
        assert statuses(run.outcomes) == {"x": "succeeded", "a": "failed", "after": "skipped", "slow": "succeeded"}


def test_rework_of_one_branch_leaves_a_finished_one_alone(tmp_path: Path) -> None:
    last = Gate()
    plan = planned(
        *(step(f"a{n}") for n in (1, 2)), *(step(f"judge{n}", f"a{n}", agent="reviewer") for n in (1, 2)), step("slow")
    )
    verdicts = {"judge1": [again(task_id="a1"), ACCEPT], "judge2": ACCEPT}
    results = {("a1", 2): "a better result of a1", "slow": say("slow").behind(last)}
    script = behind(first := Gate(), "judge1", TeamScript([], results=results, verdicts=verdicts))
    with open_team(script, tmp_path / "x.db") as team:
        running = Running(team.run, "go", plan=plan, thread_id="t")
        running.seen.until_status("judge2", "succeeded")
        first.release()
        running.seen.until(lambda e: e.kind == "sub_task" and e.id == "a1" and e.attempt == 2)  # type: ignore[attr-defined]
        last.release()
        assert running.result().status == "done"
    told = [e.id for e in running.seen.events if e.kind == "sub_task" and e.status == "succeeded"]  # type: ignore[attr-defined]
    assert sorted(told) == ["a1", "a1", "a2", "judge1", "judge1", "judge2", "slow"]
