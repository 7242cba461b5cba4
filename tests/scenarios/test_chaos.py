"""Runs in which two unlikely things come together; each was found by random runs under kills and decisions."""

from pathlib import Path
from typing import Any

import pytest
from langchain_core.outputs import ChatResult

from orchestrator import Budget, Supervisor, TaskOrchestrator, Team, Worker
from orchestrator.cli.output import print_reviews
from orchestrator.reviews.review import Review
from orchestrator.testing import Reply, Request, ScriptedModel, TeamScript, fail, say
from tests.support.teams import open_team, statuses, step, writer

DROP_B = {"reason": "no use", "decision": "revise", "changes": [{"action": "drop", "sub_task_id": "b"}]}


class OneId(ScriptedModel):
    """Calls every tool under the same id, as some endpoints do."""

    def _result(self, request: Request, reply: Reply) -> ChatResult:
        made: Any = super()._result(request, reply)
        for call in made.generations[0].message.tool_calls:
            call["id"] = self.model_name_of_calls
        return made  # type: ignore[no-any-return]

    model_name_of_calls: str = "call_0"


@pytest.mark.parametrize("effect", ["once", "idempotent"])
@pytest.mark.parametrize("name", ["call_0", ""])
def test_each_of_two_calls_under_one_id_is_asked_about_and_made_for_itself(name: str, effect: str) -> None:
    made: list[str] = []
    calls = (("write", {"text": "delete everything"}), ("write", {"text": "harmless"}))
    script = TeamScript([step("a", agent="tooled")], results={"a": [Reply(calls=calls), say("done")]})
    worker = Worker("tooled", "You act.", tools=[writer(made, effect=effect)])
    team = Team(Supervisor(), [worker], model=OneId(script, model_name_of_calls=name))
    with TaskOrchestrator(team=team, db="memory://") as orchestrator:
        run = orchestrator.run("go", thread_id="t")
        orchestrator.decide(run.reviews[0].id, "approve")
        run = orchestrator.resume("t")
        asked = {review.subject["args"]["text"]: review.id for review in run.reviews}
        assert set(asked) == {"delete everything", "harmless"}
        orchestrator.decide(asked["harmless"], "approve")
        orchestrator.decide(asked["delete everything"], "reject", "never")
        run = orchestrator.resume("t")
    assert (run.status, made) == ("done", ["harmless"])


@pytest.mark.parametrize("auto_approve", [True, False])
def test_a_plan_of_which_nothing_is_left_to_do_is_answered(tmp_path: Path, auto_approve: bool) -> None:
    script = TeamScript([step("a"), step("b")], results={"b": fail(RuntimeError("broken"))}, revisions=[DROP_B])
    with open_team(script, tmp_path / "x.db") as team:
        run = team.run("go", thread_id="t", auto_approve=auto_approve)
        while run.reviews:
            team.decide(run.reviews[0].id, "approve")
            run = team.resume("t")
    assert (run.status, statuses(run.outcomes)) == ("done", {"a": "succeeded"})
    assert run.answer


def test_no_answer_is_written_after_a_stop_whatever_was_said_about_the_budget(tmp_path: Path) -> None:
    plan = [step("a", approval=True), step("b"), step("c", "b"), step("d", "c")]
    script, summaries = TeamScript(plan), []

    def answer(request: Request) -> Reply:
        if "Write the final answer" in request.last_user:
            summaries.append(request)
        return script(request)

    with open_team(answer, tmp_path / "x.db") as team:
        run = team.run("go", thread_id="t", budget=Budget(model_calls=4))
        team.decide(run.reviews[0].id, "approve")
        run = team.resume("t")
        asked = {review.kind: review.id for review in run.reviews}
        assert set(asked) == {"steer", "result"}
        team.decide(asked["steer"], "approve")
        team.decide(asked["result"], "stop")
        assert team.resume("t").status == "stopped"
    assert not summaries


def test_the_command_that_raises_a_budget_names_the_limit_that_was_reached(capsys: pytest.CaptureFixture[str]) -> None:
    about = {"problems": [], "budget": {"tokens": 100, "model_calls": 4}, "spent": {"tokens": 5, "model_calls": 4}}
    print_reviews([Review(id="t/steer-1", kind="steer", question="?", subject=about)], None)
    assert "edit --text 8\n" in capsys.readouterr().out
