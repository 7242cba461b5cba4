"""research_team: a team with a researcher over a folder of documents, a coder who calculates, and a reviewer.

`graph` has no checkpointer, since LangGraph's server brings its own. `ORCHESTRATOR_DOCS` names its folder of documents.
"""

import os
from pathlib import Path

from orchestrator_tools.calculator import calculator
from orchestrator_tools.documents.tools import document_tools, folder_problem
from orchestrator_tools.python.tools import python_tool

from orchestrator import Supervisor, Team, coder, compile_graph, researcher, reviewer
from orchestrator.errors import ConfigError
from orchestrator_graphs.shipped import example


def team(docs: str | Path | None = None) -> Team:
    """Return the team for the documents in a folder.

    Args:
        docs: The folder; by default the folder that `ORCHESTRATOR_DOCS` names, or the examples.

    Raises:
        ConfigError: The folder cannot be used.
    """
    folder = docs or os.environ.get("ORCHESTRATOR_DOCS") or example("countries")
    if problem := folder_problem(folder):
        raise ConfigError(f"{problem}: name a folder with --docs, or by ORCHESTRATOR_DOCS")
    return Team(Supervisor(), [researcher(document_tools(folder)), coder([calculator(), python_tool()]), reviewer()])


graph = compile_graph(team())
