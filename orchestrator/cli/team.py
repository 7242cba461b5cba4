"""`orchestrator graph` and `tools`: a team, without running it."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.echo import echo, echo_json
from orchestrator.cli.options import Db, Json, McpFile, PolicyFile, TeamName, full_path
from orchestrator.cli.threads.commands import open_reader
from orchestrator.errors import ConfigError
from orchestrator.runs.defaults import DEFAULT_TEAM

if TYPE_CHECKING:
    from orchestrator.agents.team import Team

# The ruling on a call: as it is, and after the worker has read untrusted text.
_ASKS = {
    ("allow", "allow"): "never",
    ("allow", "ask"): "after untrusted text",
    ("ask", "ask"): "always",
    ("refuse", "refuse"): "refused",
}


def graph(
    thread: Annotated[str | None, typer.Argument(help="Draw the plan of this thread.")] = None,
    svg: Annotated[Path | None, typer.Option("--svg", help="Write the plan into this file as a picture.")] = None,
    team: TeamName = DEFAULT_TEAM,
    db: Db = None,
) -> None:
    """Draw the plan of a thread, or print a team's graph.

    A plan is drawn with its dependencies and statuses. Without a thread, the graph of a team is printed as Mermaid.
    """
    if thread is not None:
        draw_plan(thread, svg, db)
        return
    if svg is not None:
        raise ConfigError("--svg draws the plan of a thread: name it, as in: orchestrator graph THREAD --svg x.svg")
    from orchestrator.graph.build import compile_graph
    from orchestrator.runs.loading import load_team

    echo(compile_graph(load_team(team)).get_graph().draw_mermaid().rstrip())


def draw_plan(thread: str, svg: Path | None, db: str | None) -> None:
    """Draw the plan of a thread at the terminal, or into a file.

    Raises:
        ConfigError: The thread has no plan yet, or the file cannot be written.
    """
    from orchestrator.cli.console import out
    from orchestrator.cli.threads.drawing import drawn_plan, statuses_of
    from orchestrator.reports.plan_svg import plan_svg

    with open_reader(db) as threads:
        run = threads.show(thread)
    if run.plan is None:
        raise ConfigError(f"thread '{thread}' has no plan yet")
    if svg is not None:
        try:
            svg.write_text(plan_svg(run.plan, run.outcomes), encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"cannot write {svg}: {error.strerror}") from error
        echo(f"written: {svg}")
        return
    waiting = frozenset(review.sub_task_id for review in run.reviews)
    width = out.width if out.is_terminal else None
    is_unicode = "utf" in out.encoding
    for line in drawn_plan(run.plan, statuses_of(run.plan, run.outcomes, waiting), width, is_unicode=is_unicode):
        out.print(line, soft_wrap=True)


def tools(
    team: TeamName = DEFAULT_TEAM,
    docs: Annotated[Path | None, typer.Option("--docs", help="Folder of documents for the team.")] = None,
    policy: PolicyFile = None,
    mcp: McpFile = None,
    as_json: Json = False,
) -> None:
    """List the tools of each worker.

    Each line tells the risk of a tool, and when a human is asked.
    """
    from orchestrator.runs.loading import equip, load_team

    loaded = load_team(team, full_path(docs))
    equip(loaded, full_path(mcp), full_path(policy))
    print_tools(loaded, as_json=as_json)


def print_tools(team: "Team", *, as_json: bool) -> None:
    """Print each worker's tools: purpose, risk, and what the policy says to a call."""
    rows = tool_rows(team)
    if as_json:
        echo_json(rows)
        return
    _print_table(rows)
    for name, worker in team.workers.items():
        if not worker.tools:
            echo(f"{name} has no tools")
    if team.policy.rules:
        echo(f"{len(team.policy.rules)} rules of a policy are in force; rules about arguments are not shown here")


def tool_rows(team: "Team") -> list[dict[str, Any]]:
    """Return a JSON-plain row for each tool of each worker."""
    from orchestrator.tool_calls.declaration import effect_of, is_contained, is_trusted, risk_of

    return [
        {
            "worker": worker.name,
            "tool": tool.name,
            "about": tool.description.split("\n")[0].split(". ")[0].rstrip("."),
            "risk": risk_of(tool),
            "effect": effect_of(tool),
            "returns": "trusted" if is_trusted(tool) else "untrusted",
            "contained": is_contained(tool),
            "backend": str((tool.metadata or {}).get("backend", "")),
            "unasked": team.policy.rule_on(worker.name, tool, None).action,
            # Any label will do: rules only look whether there is one.
            "after_untrusted": team.policy.rule_on(worker.name, tool, None, ("untrusted text",)).action,
        }
        for worker in team.workers.values()
        for tool in worker.tools
    ]


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    from orchestrator.cli.console import out

    table = Table(show_edge=False, pad_edge=False)
    for heading in ("worker", "tool", "may", "returns", "asks a human"):
        table.add_column(heading, no_wrap=True)
    table.add_column("what for")
    for row in rows:
        tool = row["tool"] + (f" ({row['backend']})" if row["backend"] else "")
        may = row["risk"] + (" (contained)" if row["contained"] and row["risk"] != "read" else "")
        rulings = (row["unasked"], row["after_untrusted"])
        asks = _ASKS.get(rulings, "/".join(rulings))
        table.add_row(row["worker"], tool, may, row["returns"], asks, row["about"])
    out.print(table)


def print_limits(team_name: str, budget: dict[str, Any], *, as_json: bool) -> None:
    """Print the bounds of a team's runs.

    Args:
        team_name: The team.
        budget: Limits that take the place of the team's own.
        as_json: Print one JSON object.
    """
    from orchestrator.agents.bounds import bounds_of, explain_limits
    from orchestrator.runs.loading import load_team

    team = load_team(team_name)
    team.budget = team.budget.of_run(budget)
    if as_json:
        bounds = bounds_of(team)
        plain = {**asdict(bounds), "model_calls": bounds.calls}
        echo_json({"limits": team.limits.model_dump(), "budget": team.budget.plain(), "bounds": plain})
    else:
        echo(explain_limits(team))
