"""research_team: a researcher over a folder of documents, a coder who calculates, and a reviewer.

`graph` has no checkpointer: LangGraph's server brings its own. `ORCHESTRATOR_DOCS` names its folder of documents.
"""

import os
from pathlib import Path

from orchestrator import Supervisor, Team, coder, compile_graph, researcher, reviewer
from orchestrator.errors import ConfigError
from tools.calculator import calculator
from tools.documents import document_tools, folder_problem
from tools.python import python_tool

EXAMPLES = Path(__file__).resolve().parent.parent / "examples" / "countries"


def team(docs: str | None = None) -> Team:
    """The team, over the documents in a folder.

    Args:
        docs: The folder; by default the one that `ORCHESTRATOR_DOCS` names, or the examples.

    Raises:
        ConfigError: The given folder cannot be used.
    """
    if docs is not None and (problem := folder_problem(docs)):
        raise ConfigError(problem)
    folder = docs or os.environ.get("ORCHESTRATOR_DOCS") or str(EXAMPLES)
    return Team(Supervisor(), [researcher(document_tools(folder)), coder([calculator(), python_tool()]), reviewer()])


graph = compile_graph(team())
