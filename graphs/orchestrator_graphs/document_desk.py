"""document_desk: a team for questions about files, with a reader of whole files and a reviewer.

This is the smallest useful team, and a pattern for other teams: a new worker takes a few lines.
"""

import os
from pathlib import Path

from orchestrator_tools.documents.tools import document_tools, folder_problem

from orchestrator import Supervisor, Team, Worker, compile_graph, reviewer
from orchestrator.errors import ConfigError


def team(docs: str | Path | None = None) -> Team:
    """Return the team for the files in a folder.

    Args:
        docs: The folder; by default the folder that `ORCHESTRATOR_DOCS` names, or the working folder.

    Raises:
        ConfigError: `docs` cannot be used.
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
