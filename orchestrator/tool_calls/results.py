"""What a worker is shown of a result, and reading one again."""

from typing import Any

from langchain_core.tools import tool
from langgraph.prebuilt import ToolRuntime

from orchestrator.memory.entry import Entry
from orchestrator.memory.shared_memory import SharedMemory
from orchestrator.text import excerpt
from orchestrator.tool_calls.worker_context import WorkerContext


@tool
def read_memory(key: str, runtime: ToolRuntime[WorkerContext, Any], start: int = 0) -> str:
    """Reads on in a text that was shortened.

    Args:
        key: The key that the note at the end of the shortened text names, or the id of a sub-task with a result.
        start: First character to read, from the same note.
    """
    context = runtime.context
    entry = entry_under(context.memory, key)
    if entry is None:
        return f"error: there is nothing under the key '{key}'; use a key from a note such as [… read_memory(key=…)]"
    return excerpt(entry.text, result_allowance(context.window), entry.key, start=max(0, start))


read_memory.metadata = {"risk": "read", "effect": "none", "trust": "trusted"}  # what it reads has a mark of its own


def entry_under(memory: SharedMemory, key: str) -> Entry | None:
    """What lies under a key, or the accepted result of the sub-task of this id."""
    results = (entry for entry in reversed(memory.results()) if entry.sub_task_id == key)
    return memory.seen(key) or next(results, None)


def result_allowance(window: int) -> int:
    """Tokens that one tool result may take of a prompt."""
    return min(6000, window * 3 // 10)
