"""Endpoints that fail while the answer is written, and requests that are refused for what is in them."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator import Supervisor, TaskOrchestrator, Worker, chat_model
from orchestrator.errors import ModelError
from orchestrator.models.settings import ModelSettings
from orchestrator.testing import Fault, OpenAIServer, TeamScript
from tests.support.teams import statuses, step

PLAN = [step("a"), step("after_a", "a"), step("b")]
FINISH = {"reason": "b is enough", "decision": "finish", "changes": []}
TOO_LONG = "this model's maximum context length is 4096 tokens, and the request has 5000"


def team_on(server: OpenAIServer, db: Path) -> TaskOrchestrator:
    settings = ModelSettings(base_url=server.base_url, model="m", timeout_s=20, max_retries=0)
    return TaskOrchestrator(Supervisor(), [Worker("worker", "You work.")], model=chat_model(settings), db=str(db))


class Broken:
    """Faults for the requests that have these words in them, until it is mended."""

    def __init__(self, words: str, fault: Fault) -> None:
        self.words, self.fault = words, fault
        self.is_mended = False

    def __call__(self, body: dict[str, Any]) -> Fault | None:
        is_meant = self.words in str(body["messages"][-1])
        return self.fault if is_meant and not self.is_mended else None


SUMMARY = "Write the final answer"


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault(401, "bad key"), "wants a key"),
        (Fault(500, "oops"), "failed with 500"),
        (Fault(0), "cannot reach"),
        (Fault(200, raw="<html>hello</html>"), "no chat completion"),
    ],
    ids=["401", "500", "cut", "html"],
)
def test_an_endpoint_that_fails_while_the_answer_is_written_is_one_clear_line_and_the_answer_is_written_later(
    tmp_path: Path, fault: Fault, told: str
) -> None:
    faults = Broken(SUMMARY, fault)
    with OpenAIServer(TeamScript(PLAN), faults=faults) as server, team_on(server, tmp_path / "x") as team:
        with pytest.raises(ModelError, match=told):
            team.run("task", thread_id="t", auto_approve=True)
        faults.is_mended = True
        asked = len(server.bodies)
        run = team.resume("t")
        assert (run.status, run.answer) == ("done", "the answer")
        assert len(server.bodies) == asked + 1, "nothing but the answer was missing"


def test_a_refused_request_for_the_answer_gives_the_results_as_they_are(tmp_path: Path) -> None:
    faults = Broken(SUMMARY, Fault(400, TOO_LONG))
    with OpenAIServer(TeamScript(PLAN), faults=faults) as server, team_on(server, tmp_path / "x") as team:
        run = team.run("task", auto_approve=True)
    assert run.status == "done"
    assert run.answer.startswith("The model refused to write an answer. These are the results as they stand.")
    assert "do a:\nresult of a" in run.answer
    assert "maximum context length" in "\n".join(run.errors)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_workers_refused_request_is_a_failure_that_the_supervisor_decides_about(tmp_path: Path, status: int) -> None:
    faults = Broken("Sub-task a:", Fault(status, TOO_LONG))
    script = TeamScript(PLAN, revisions=[FINISH])
    with OpenAIServer(script, faults=faults) as server, team_on(server, tmp_path / "x") as team:
        run = team.run("task", auto_approve=True)
    assert statuses(run.outcomes) == {"a": "failed", "after_a": "skipped", "b": "succeeded"}
    assert "maximum context length" in run.outcomes["a"].error
    assert run.answer.startswith("the answer")


@pytest.mark.parametrize("status", [401, 402, 403, 404, 429, 500])
def test_what_can_be_mended_outside_waits_for_that(tmp_path: Path, status: int) -> None:
    faults = Broken("Sub-task a:", Fault(status, "not now"))
    with OpenAIServer(TeamScript(PLAN), faults=faults) as server, team_on(server, tmp_path / "x") as team:
        run = team.run("task", thread_id="t", auto_approve=True)
        assert run.is_resumable
        assert statuses(run.outcomes) == {"b": "succeeded"}
        faults.is_mended = True
        assert team.resume("t").status == "done"
