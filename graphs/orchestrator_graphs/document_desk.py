"""document_desk: two workers for questions about files: a reader who reads them whole, and a reviewer.

The smallest team that is of use, and a pattern for one's own: a worker of one's own takes a few lines.
"""

import os
from pathlib import Path

from orchestrator_tools.documents.tools import document_tools, folder_problem

from orchestrator import Supervisor, Team, Worker, compile_graph, reviewer
from orchestrator.errors import ConfigError


def team(docs: str | Path | None = None) -> Team:
    """The team, over the files in a folder.

    Args:
        docs: The folder; by default the one that `ORCHESTRATOR_DOCS` names, or the working folder.

    Raises:
        ConfigError: The given folder cannot be used.
    """
    if docs is not None and (problem := folder_problem(docs)):
        raise ConfigError(problem)
    folder = docs or os.environ.get("ORCHESTRATOR_DOCS") or "."
    reader = Worker(
        "reader",
        "You read files and answer from what stands in them, with the file's name. You never guess.",
        tools=document_tools(folder),
        description="reads files and finds passages in them",
    )
    return Team(Supervisor(), [reader, reviewer()])


graph = compile_graph(team())
