"""Answers of tools in every form that LangChain allows, as the one tool message that a worker is shown.

A tool may return text, content blocks, a message, a `Command` that updates the graph's state, or a list of these. All
of them pass here, so that trust, limits and the journal hold for each. The state keeps only what a checkpoint can hold.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from langchain_core.messages import AnyMessage, ToolCall, ToolMessage
from langgraph.types import Command

from orchestrator.logs import logger

_log = logger(__name__)
_DEEPEST = 50


class UnusableAnswerError(Exception):
    """A tool's answer that holds nothing for the worker; the message says why, for the model."""


def message_of(answer: object, call: ToolCall) -> ToolMessage:
    """Return the one tool message that answers a call.

    Args:
        answer: The tool's return value, as LangChain's tool node passes it on.
        call: The call.

    Raises:
        UnusableAnswerError: The answer is a jump to another agent, or holds no message for this call.
    """
    ignored: list[str] = []
    messages = list(_messages_in(answer, ignored))
    own = [m for m in messages if isinstance(m, ToolMessage) and m.tool_call_id == call["id"]]
    if not own:
        raise UnusableAnswerError(
            f"'{call['name']}' gave no answer{_besides(ignored)}. Give your result without it: what it asks for is not "
            "possible here"
        )
    if len(messages) > 1:
        ignored.append(f"{len(messages) - 1} other messages")
    [message] = own[-1:]
    if not ignored:
        return message
    return message.model_copy(
        update={"content": _with_text(message.content, f"\n[not possible here: {', '.join(ignored)}]")}
    )


def _messages_in(answer: object, ignored: list[str]) -> Iterable[AnyMessage]:
    """Yield the messages of an answer. Add all other requests to the graph to `ignored`."""
    if isinstance(answer, Command):
        if answer.goto:
            ignored.append(f"a jump to {_names(answer.goto)}")
        elif answer.graph is not None:
            ignored.append("an update of another graph")
        yield from _messages_of_update(answer.update, ignored)
    elif isinstance(answer, list | tuple):
        for item in answer:
            yield from _messages_in(item, ignored)
    elif isinstance(answer, ToolMessage):
        yield answer


def _messages_of_update(update: Any, ignored: list[str]) -> Iterable[AnyMessage]:
    pairs: Iterable[Any] = update.items() if isinstance(update, Mapping) else update or ()
    for pair in pairs:
        if not (isinstance(pair, tuple) and len(pair) == 2):
            continue
        key, value = pair
        if key == "messages":
            yield from value if isinstance(value, list | tuple) else [value]
        else:
            ignored.append(f"a value for '{key}'")


def _names(goto: Any) -> str:
    targets = goto if isinstance(goto, list | tuple) else [goto]
    return ", ".join(f"'{getattr(target, 'node', target)}'" for target in targets)


def _besides(ignored: list[str]) -> str:
    return f" but {', '.join(ignored)}" if ignored else ""


def _with_text(content: Any, suffix: str) -> Any:
    return content + suffix if isinstance(content, str) else [*content, {"type": "text", "text": suffix}]


def artifact_of(message: ToolMessage) -> Any:
    """Return the message's artifact where the state can hold it, otherwise None."""
    # LangGraph would fail the whole super-step over an object that its serializer does not know.
    if message.artifact is None or _is_plain(message.artifact):
        return message.artifact
    _log.info("tool '%s': its artifact, a %s, is not kept", message.name, type(message.artifact).__name__)
    return None


def _is_plain(value: Any, depth: int = 0) -> bool:
    if value is None or type(value) in (bool, int, float, str):
        return True
    if depth > _DEEPEST:  # also what contains itself
        return False
    if type(value) in (list, tuple):
        return all(_is_plain(item, depth + 1) for item in value)
    if type(value) is not dict:
        return False
    return all(type(key) is str and _is_plain(item, depth + 1) for key, item in value.items())
