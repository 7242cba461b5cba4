"""`orchestrator teams`: the teams that ship and that of the project, with workers, tools and needs."""

import shutil
import sys
import textwrap

from orchestrator.cli.echo import echo, echo_json
from orchestrator.cli.options import Json, TeamName
from orchestrator.runs.defaults import DEFAULT_TEAM

_PIPE_WIDTH = 120


def teams(team: TeamName = DEFAULT_TEAM, as_json: Json = False) -> None:
    """List the teams that ship, and your own.

    Your own is the team of orchestrator.toml, or of --team. Each team is listed with its workers, their tools and what
    it needs.
    """
    from orchestrator.runs.teams.described import describe_team, shipped_teams

    names = list(dict.fromkeys([*([team] if ":" in team else []), *shipped_teams()]))
    rows = [{**describe_team(name).plain(), "default": name == team} for name in names]
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
