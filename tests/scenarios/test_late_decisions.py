"""A decision that comes after its task was over: it answers no question of the thread's next task."""

from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import tool

from orchestrator import Supervisor, TaskOrchestrator, Worker, declare
from orchestrator.errors import DecisionError
from orchestrator.testing import ScriptedModel, TeamScript, call
from tests.support.teams import step


@declare(risk="write")
@tool
def send(to: str) -> str:
    """Sends a letter."""
    return "sent"


PLAN = [step("a", agent="clerk", approval=True)]


@pytest.mark.parametrize("afresh", [False, True], ids=["conversation", "afresh"])
def test_reviews_of_an_identical_plan_of_the_next_task_have_ids_of_their_own(tmp_path: Path, afresh: bool) -> None:
    script = TeamScript(PLAN, results={"a": [call("send", to="Ann"), "it is sent"]})
    worker = Worker("clerk", "You write.", tools=[send])
    with TaskOrchestrator(
        Supervisor(), [worker], db=str(tmp_path / "x.db"), model=ScriptedModel(script)
    ) as orchestrator:
        ids: list[list[str]] = []
        for _ in range(3):
            asked: list[str] = []
            options: dict[str, Any] = {"afresh": True} if afresh and ids else {}
            run = orchestrator.run("write to Ann", thread_id="t", **options)
            while run.status == "waiting":
                [review] = orchestrator.reviews("t")
                for late in (id for earlier in ids for id in earlier):
                    with pytest.raises(DecisionError):
                        orchestrator.decide(late, "approve")
                assert [each.id for each in orchestrator.reviews("t")] == [review.id]
                asked.append(review.id)
                orchestrator.decide(review.id, "approve")
                run = orchestrator.resume("t")
            assert run.status == "done"
            ids.append(asked)
        kinds = [[id.rpartition("/")[2].partition("-")[0] for id in asked] for asked in ids]
        assert kinds == [["plan", "tool", "result"]] * 3
        assert len({id for asked in ids for id in asked}) == 9
