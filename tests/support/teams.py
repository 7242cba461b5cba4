"""Small teams and plans for the tests."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from langchain_core.tools import BaseTool, tool

from orchestrator import Limits, Supervisor, TaskOrchestrator, Team, Worker, declare, reviewer
from orchestrator.testing import EffectLog, Script, ScriptedModel, TeamScript


def step(id: str, *needs: str, agent: str = "worker", approval: bool = False) -> dict[str, Any]:
    """Return a sub-task as a planner writes it."""
    return {
        "id": id,
        "description": f"do {id}",
        "target_agent": agent,
        "depends_on": list(needs),
        "requires_approval": approval,
    }


def make_team(script: Script | TeamScript, *tools: BaseTool | Callable[..., Any], limits: Limits | None = None) -> Team:
    """Return a team of a worker without tools, one with these tools, and a reviewer, on one scripted model."""
    workers = [Worker("worker", "You work."), Worker("tooled", "You use tools.", tools=tools), reviewer()]
    return Team(Supervisor(), workers, model=ScriptedModel(script), limits=limits)


def open_team(
    script: Script | TeamScript, db: Path | str, *tools: BaseTool | Callable[..., Any], limits: Limits | None = None
) -> TaskOrchestrator:
    """Open the team of `make_team` on a database."""
    return TaskOrchestrator(team=make_team(script, *tools, limits=limits), db=str(db))


def writer(effects: EffectLog | list[str], risk: str = "write", effect: str = "once") -> BaseTool:
    """Return a tool with an effect: the tool adds to a log."""

    @tool
    def write(text: str) -> str:
        """Write a text down."""
        effects.append(text) if isinstance(effects, list) else effects.record(text)
        return f"wrote {text}"

    return declare(write, risk=risk, effect=effect)  # type: ignore[arg-type]


def worked(model: Any) -> list[str]:
    """Return the id of the sub-task of each model call by a worker, in the order of the calls."""
    import re

    ids = []
    for request in model.requests:
        if not request.schema and (named := re.findall(r"^Sub-task ([\w-]+)", request.last_user, re.M)):
            ids.append(named[-1])
    return ids


def statuses(outcomes: Any) -> dict[str, str]:
    """Return the statuses by id, from outcomes or their plain form."""
    return {i: o["status"] if isinstance(o, dict) else o.status for i, o in outcomes.items()}


def model_of(orchestrator: TaskOrchestrator) -> Any:
    """Return the scripted model of a team."""
    return orchestrator.supervisor.model


def retry(sub_task: str) -> dict[str, Any]:
    """Return the change of a plan that tries a sub-task again."""
    return {"action": "retry", "sub_task_id": sub_task, "target_agent": "worker", "depends_on": [], "text": "again"}
