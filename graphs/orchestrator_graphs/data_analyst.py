"""data_analyst: a team for questions over a database, with an analyst who queries it, a coder and a reviewer.

Tables and charts are files in the thread's workspace. `ORCHESTRATOR_DATABASE` names a database instead of the example.
"""

import os
from pathlib import Path

from orchestrator_tools.calculator import calculator
from orchestrator_tools.database.report import report_tools
from orchestrator_tools.database.tools import database_tools
from orchestrator_tools.python.tools import python_tool

from orchestrator import Policy, Rule, Supervisor, Team, Worker, coder, compile_graph, reviewer
from orchestrator.errors import ConfigError
from orchestrator_graphs.shipped import example

EXAMPLE = example("figures.sqlite")
_PROMPT = (
    "You are a data analyst. You answer from a database: look at its tables, then let one SELECT do the work. "
    "You give the rows and the statement that made them, and never a figure that is not in an answer of the database."
)


def team(docs: str | Path | None = None) -> Team:
    """Return the team for one database.

    Args:
        docs: The database's file or URL; by default the database that `ORCHESTRATOR_DATABASE` names, or the example.

    Raises:
        ConfigError: The file is missing.
    """
    url = str(docs or os.environ.get("ORCHESTRATOR_DATABASE") or EXAMPLE)
    if "://" not in url and not Path(url).is_file():
        raise ConfigError(f"there is no database '{url}': name one with --docs, or by ORCHESTRATOR_DATABASE")
    analyst = Worker(
        "analyst",
        _PROMPT,
        tools=[*database_tools(url), *report_tools(url)],
        description="queries the database, and saves tables and charts of it",
        begins_with="describe_database",
    )
    # These files hold only rows of the database that the analyst may read, so no human has to be asked about them.
    own_files = (
        Rule(action="allow", worker="analyst", tool="save_table", tainted=True),
        Rule(action="allow", worker="analyst", tool="draw_chart", tainted=True),
    )
    return Team(Supervisor(), [analyst, coder([calculator(), python_tool()]), reviewer()], policy=Policy.of(*own_files))


graph = compile_graph(team())
