"""Results of tools as a worker is shown them: shortened to fit, marked as data, and read on later."""

from collections.abc import Mapping
from typing import Any

from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool, tool
from langgraph.prebuilt import ToolRuntime

from orchestrator.memory.entry import Entry
from orchestrator.memory.shared_memory import SharedMemory
from orchestrator.text import excerpt, excerpt_parts
from orchestrator.tool_calls.declaration import is_trusted, output_limit_of
from orchestrator.tool_calls.worker_context import WorkerContext
from orchestrator.trust import as_data, label, taint


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


# Declared as trusted, since `reread` marks what came from outside by the entry itself.
read_memory.metadata = {"risk": "read", "effect": "none", "trust": "trusted"}


def entry_under(memory: SharedMemory, key: str) -> Entry | None:
    """Return the entry under a key, or the accepted result of the sub-task with this id."""
    results = (entry for entry in reversed(memory.results()) if entry.sub_task_id == key)
    return memory.seen(key) or next(results, None)


def result_allowance(window: int) -> int:
    """Return the tokens that one result may take of a prompt."""
    return min(6000, window * 3 // 10)


def shown_text(owner: BaseTool, text: str, key: str, window: int) -> tuple[str, bool]:
    """Return a result as a worker is shown it, and whether it was shortened.

    Args:
        owner: The tool that answered.
        text: The whole answer.
        key: The key under which the worker can read on.
        window: Tokens that the worker's prompt may have.
    """
    shown, note = excerpt_parts(text, result_allowance(window), key, most=output_limit_of(owner))
    # The note stays outside the marks: inside them it could be part of what came from outside.
    return (shown if is_trusted(owner) else as_data(shown, owner.name)) + note, bool(note)


def source_labels(owner: BaseTool, sub_task_id: str, args: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the labels that mark a tool's answer as text from outside; none for a trusted tool."""
    return () if is_trusted(owner) else (label(sub_task_id, owner.name, args),)


def reread(answer: ToolMessage, memory: SharedMemory, key: str) -> ToolMessage:
    """Return an answer of `read_memory`, as trusted as the entry was when it was written.

    Args:
        answer: The answer.
        memory: The thread's shared memory.
        key: The key that was asked for.
    """
    entry = entry_under(memory, key)
    if entry is None or entry.trusted:
        return answer
    marked = answer.model_copy(update={"content": as_data(answer.text, entry.agent or "memory")})
    taint(marked, entry.taint)
    return marked
