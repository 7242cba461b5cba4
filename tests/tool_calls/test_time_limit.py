"""A tool under way ends with the run's own time, whatever its own limit is."""

import threading
from typing import Any

from langchain_core.tools import tool

from orchestrator import Budget, Supervisor, TaskOrchestrator, Team, Worker, declare
from orchestrator.testing import ScriptedModel, TeamScript, call, say
from tests.support.teams import step


def test_a_tool_is_given_up_when_the_runs_time_is_over() -> None:
    over, ended = threading.Event(), []

    @tool
    def wait() -> str:
        """Waits for something that does not come."""
        ended.append(over.wait(20))
        return "it came"

    script = TeamScript([step("a", agent="tooled")], results={"a": [call("wait"), say("done")]})
    workers = [Worker("tooled", "You use tools.", tools=[declare(wait, time_limit_s=300)])]
    team = Team(Supervisor(), workers, model=ScriptedModel(script))
    try:
        with TaskOrchestrator(team=team, db="memory://", budget=Budget(wall_clock_s=1, summary=0.5)) as orchestrator:
            run: Any = orchestrator.run("task", auto_approve=True)
            assert ended == [], "nobody waited for it"
    finally:
        over.set()
    assert run.status == "limited"
    assert "time" in run.outcomes["a"].error
