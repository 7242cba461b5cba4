"""Roles: the workers that the engine ships."""

from collections.abc import Sequence

from langchain_core.language_models import BaseChatModel

from orchestrator import prompts
from orchestrator.agents.worker import Worker
from orchestrator.tool_calls.conversion import Tool


def researcher(tools: Sequence[Tool] = (), *, model: BaseChatModel | str | None = None) -> Worker:
    """Return a worker that finds facts in sources."""
    return Worker(
        "researcher",
        prompts.text("researcher"),
        tools=tools,
        model=model,
        description="finds facts and figures in the documents, with their source",
    )


def coder(tools: Sequence[Tool] = (), *, model: BaseChatModel | str | None = None) -> Worker:
    """Return a worker that calculates and writes code."""
    return Worker(
        "coder",
        prompts.text("coder"),
        tools=tools,
        model=model,
        description="calculates and solves problems with code, from figures that others found",
    )


def reviewer(tools: Sequence[Tool] = (), *, model: BaseChatModel | str | None = None) -> Worker:
    """Return a worker that judges the work of other workers with a typed verdict."""
    return Worker(
        "reviewer",
        prompts.text("reviewer"),
        tools=tools,
        model=model,
        description="checks the results of other sub-tasks and accepts them or sends them back",
        reviews=True,
    )
