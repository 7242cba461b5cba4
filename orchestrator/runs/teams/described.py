"""Teams described: those that ship, and any other by its name, without a model and without running anything."""

import inspect
import pkgutil
import sys
from dataclasses import asdict, dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from orchestrator.agents.team import Team
from orchestrator.errors import OrchestratorError
from orchestrator.runs.loading import TeamSource, load_team

_SHIPPED = "orchestrator_graphs"


@dataclass(frozen=True)
class TeamDescription:
    """A team as a person chooses it.

    Args:
        name: The name by which a run names it.
        about: What it is for, a line each.
        workers: The names of the tools of each worker, by the worker's name.
        takes_docs: True if it works on a folder of documents.
        needs_model: True if an agent has no model of its own.
        problem: Why it cannot be loaded; empty if it can.
    """

    name: str
    about: list[str] = field(default_factory=list)
    workers: dict[str, list[str]] = field(default_factory=dict)
    takes_docs: bool = False
    needs_model: bool = True
    problem: str = ""

    def plain(self) -> dict[str, Any]:
        """Return the JSON-plain form, with the name as `team`."""
        fields = asdict(self)
        return {"team": fields.pop("name"), **fields}


def shipped_teams() -> list[str]:
    """Return the names of the teams that ship; none where their package is not installed."""
    if find_spec(_SHIPPED) is None:  # by name: the engine must not import teams
        return []
    package = import_module(_SHIPPED)
    names = [module.name for module in pkgutil.iter_modules(package.__path__)]
    return [name for name in sorted(names) if hasattr(_imported(f"{_SHIPPED}.{name}"), "team")]


def _imported(name: str) -> Any:
    try:
        return import_module(name)
    except Exception:  # noqa: BLE001 - its description says why, when the team is loaded
        return type("Broken", (), {"team": None})


def describe_team(name: str, source: TeamSource | None = None) -> TeamDescription:
    """Describe a team.

    Args:
        name: Its name.
        source: The team, or the function that makes it; None to load it by its name.
    """
    workers: dict[str, list[str]] = {}
    problem, needs_model = "", True
    try:
        team = load_team(name, own=None if source is None else {name: source})
        workers = {worker.name: [tool.name for tool in worker.tools] for worker in team.workers.values()}
        needs_model = not all(agent.has_model for agent in (team.supervisor, *team.workers.values()))
    except OrchestratorError as error:
        problem = str(error)
    module_name, _, attribute = name.partition(":")
    module = sys.modules.get(module_name if attribute else f"{_SHIPPED}.{name}") if source is None else None
    made_by = source if source is not None else getattr(module, attribute or "team", None)
    takes_docs = inspect.isfunction(made_by) and bool(inspect.signature(made_by).parameters)
    # The docstring of a function is about its team; that of a class `Team` is about all teams.
    described = made_by if source is not None and not isinstance(made_by, Team) else module
    about = [line for line in inspect.cleandoc(getattr(described, "__doc__", "") or "").splitlines() if line]
    return TeamDescription(name, about, workers, takes_docs, needs_model, problem)
