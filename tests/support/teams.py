"""Small teams and plans for the tests."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from langchain_core.tools import BaseTool, tool

from orchestrator import Limits, Supervisor, TaskOrchestrator, Team, Worker, declare, reviewer
from orchestrator.testing import EffectLog, Script, ScriptedModel, TeamScript


def step(id: str, *needs: str, agent: str = "worker", approval: bool = False) -> dict[str, Any]:
    """A sub-task as a planner writes it."""
    return {
        "id": id,
        "description": f"do {id}",
        "target_agent": agent,
        "depends_on": list(needs),
        "requires_approval": approval,
    }


def make_team(script: Script | TeamScript, *tools: BaseTool | Callable[..., Any], limits: Limits | None = None) -> Team:
    """A worker without tools, one with these tools, and a reviewer, all on one scripted model."""
    workers = [Worker("worker", "You work."), Worker("tooled", "You use tools.", tools=tools), reviewer()]
    return Team(Supervisor(), workers, model=ScriptedModel(script), limits=limits)


def open_team(
    script: Script | TeamScript, db: Path | str, *tools: BaseTool | Callable[..., Any], limits: Limits | None = None
) -> TaskOrchestrator:
    """That team on a database."""
    return TaskOrchestrator(team=make_team(script, *tools, limits=limits), db=str(db))


def writer(effects: EffectLog | list[str], risk: str = "write", effect: str = "once") -> BaseTool:
    """A tool that does something to the world: it adds to a log."""

    @tool
    def write(text: str) -> str:
        """Writes a text down."""
        effects.append(text) if isinstance(effects, list) else effects.record(text)
        return f"wrote {text}"

    return declare(write, risk=risk, effect=effect)  # type: ignore[arg-type]


def worked(model: Any) -> list[str]:
    """Ids of the sub-tasks that workers were asked to do, in the order of asking; once for each model call."""
    import re

    ids = []
    for request in model.requests:
        if not request.schema and (found := re.findall(r"^Sub-task ([\w-]+)", request.last_user, re.M)):
            ids.append(found[-1])
    return ids


def statuses(outcomes: Any) -> dict[str, str]:
    """Status by id, of outcomes or of their plain form."""
    return {i: o["status"] if isinstance(o, dict) else o.status for i, o in outcomes.items()}


def model_of(orchestrator: TaskOrchestrator) -> Any:
    """The scripted model of a team."""
    return orchestrator.supervisor.model
