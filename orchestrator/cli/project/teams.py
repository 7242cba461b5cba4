"""`orchestrator teams`: the teams that ship and that of the project, with workers, tools and needs."""

import inspect
import pkgutil
import shutil
import sys
import textwrap
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from orchestrator.cli.echo import echo, echo_json
from orchestrator.cli.options import Json, TeamName
from orchestrator.errors import OrchestratorError
from orchestrator.runs.defaults import DEFAULT_TEAM

_SHIPPED = "orchestrator_graphs"
_PIPE_WIDTH = 120


def teams(team: TeamName = DEFAULT_TEAM, as_json: Json = False) -> None:
    """List the teams that ship, and your own.

    Your own is the team of orchestrator.toml, or of --team. Each team is listed with its workers, their tools and what
    it needs.
    """
    names = list(dict.fromkeys([*([team] if ":" in team else []), *_shipped_names()]))
    rows = [_row(name, is_default=name == team) for name in names]
    if as_json:
        echo_json(rows)
        return
    for row in rows:
        echo(f"{row['team']}{'  (the default here)' if row['default'] else ''}")
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _PIPE_WIDTH
        for line in row["about"]:
            echo(textwrap.fill(line, width, initial_indent="  ", subsequent_indent="  "))
        if row["problem"]:
            echo(f"  cannot be loaded: {row['problem']}")
        column = max((len(worker) for worker in row["workers"]), default=0)
        for worker, tools in row["workers"].items():
            text = f"{worker:{column}}  {', '.join(tools) or 'no tools'}"
            echo(textwrap.fill(text, width, initial_indent="  ", subsequent_indent=" " * (column + 4)))
        if row["takes_docs"]:
            echo("  takes --docs")


def _shipped_names() -> list[str]:
    """Return the modules of the package of teams that have one; none where the package is not installed."""
    if find_spec(_SHIPPED) is None:  # by name: the engine must not import teams
        return []
    package = import_module(_SHIPPED)
    names = [module.name for module in pkgutil.iter_modules(package.__path__)]
    return [name for name in sorted(names) if hasattr(_imported(f"{_SHIPPED}.{name}"), "team")]


def _imported(name: str) -> Any:
    try:
        return import_module(name)
    except Exception:  # noqa: BLE001 - its row says why, when the team is loaded
        return type("Broken", (), {"team": None})


def _row(name: str, *, is_default: bool) -> dict[str, Any]:
    from orchestrator.runs.loading import load_team

    row: dict[str, Any] = {"team": name, "default": is_default, "about": [], "workers": {}, "takes_docs": False}
    try:
        team, problem = load_team(name), ""
        row["workers"] = {worker.name: [tool.name for tool in worker.tools] for worker in team.workers.values()}
    except OrchestratorError as error:
        problem = str(error)
    module_name, _, attribute = name.partition(":")
    module = sys.modules.get(module_name if attribute else f"{_SHIPPED}.{name}")
    if module is not None:
        made_by = getattr(module, attribute or "team", None)
        row["takes_docs"] = inspect.isfunction(made_by) and bool(inspect.signature(made_by).parameters)
        row["about"] = [line for line in inspect.cleandoc(module.__doc__ or "").splitlines() if line]
    return {**row, "problem": problem}
