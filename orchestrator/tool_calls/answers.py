"""Answers of tools in every form that LangChain allows, as the one tool message that a worker is shown.

A tool may return text, content blocks, a message, a `Command` that updates the graph's state, or a list of these. All
of them pass here, so that trust, limits and the journal hold for each. The state keeps only what a checkpoint can hold.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AnyMessage, ToolCall, ToolMessage
from langgraph.types import Command

from orchestrator.logs import logger
from orchestrator.text import sound

_log = logger(__name__)
# "text-plain" is a text file in LangChain 1, and "output_text" a text of OpenAI's Responses.
_TEXT_TYPES = ("text", "text-plain", "output_text")
_BASE64_CHARS_A_BYTE = 4 / 3
_DEEPEST = 50


class UnusableAnswerError(Exception):
    """A tool's answer that holds nothing for the worker; the message says why, for the model."""


@dataclass(frozen=True)
class Part:
    """A content block that is no text.

    Args:
        kind: Its type, such as `image`.
        mime_type: Its media type; empty when the block does not tell.
        size: Bytes, estimated from its base64 form; 0 when it is only a reference.
    """

    kind: str
    mime_type: str
    size: int

    def __str__(self) -> str:
        size = f", {max(1, self.size // 1024):,} KB" if self.size else ""
        return f"{self.kind} ({self.mime_type or 'unknown type'}{size})"


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


def text_of(message: ToolMessage) -> str:
    """Return the text of a message, its text blocks joined by line ends."""
    if isinstance(message.content, str):
        text = message.content
    else:
        text = "\n".join(_block_text(block) for block in message.content if _is_text(block))
    return sound(text)


def parts_of(message: ToolMessage) -> list[dict[str, Any]]:
    """Return the content blocks of a message that are no text."""
    if isinstance(message.content, str):
        return []
    return [block for block in message.content if isinstance(block, dict) and not _is_text(block)]


def describe_parts(parts: Iterable[Mapping[str, Any]]) -> str:
    """Name content blocks that the model is not shown, such as `1 image (image/png, 12 KB)`."""
    counted: dict[str, int] = {}
    for block in parts:
        name = str(_part(block))
        counted[name] = counted.get(name, 0) + 1
    return ", ".join(f"{number} {name}" for name, number in counted.items())


def _is_text(block: Any) -> bool:
    return isinstance(block, str) or (isinstance(block, dict) and block.get("type") in _TEXT_TYPES)


def _block_text(block: Any) -> str:
    return block if isinstance(block, str) else str(block.get("text", ""))


def _part(block: Mapping[str, Any]) -> Part:
    kind = str(block.get("type", "part")).removesuffix("_url")
    # Anthropic keeps the data under "source", OpenAI under "image_url", and LangChain 1 in the block itself.
    inner = block.get("source") or block.get(f"{kind}_url") or block.get(kind) or block
    inner = inner if isinstance(inner, Mapping) else {"url": inner}
    mime_type = str(block.get("mime_type") or inner.get("media_type") or inner.get("mime_type") or "")
    data = inner.get("base64") or inner.get("data") or inner.get("url") or ""
    if isinstance(data, str) and data.startswith("data:"):
        head, _, data = data.partition(",")
        mime_type = mime_type or head[len("data:") :].partition(";")[0]
    elif "base64" not in inner and "data" not in inner:
        data = ""
    return Part(kind, mime_type, int(len(data) / _BASE64_CHARS_A_BYTE))


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
