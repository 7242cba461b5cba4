"""Truncated answers: detecting them, asking the model to continue, and marking what stays incomplete.

An endpoint reports a truncation in one word beside an answer that looks like any other. If it is overlooked, half a
list of findings passes for the whole list.
"""

import re
from collections.abc import Sequence
from typing import TypeGuard

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from orchestrator.text import shorten

_LENGTH = "its length limit"
_REASONS = {  # in the words of OpenAI and most others, of Anthropic, of Google, and of OpenAI's Responses
    "length": _LENGTH,
    "max_tokens": _LENGTH,
    "max_output_tokens": _LENGTH,
    "model_length": _LENGTH,
    "content_filter": "the endpoint's content filter",
}
# In the words of vLLM, SGLang, DeepSeek, Zhipu, Google, OpenRouter: the answer ends where something went wrong.
_FAILED = re.compile(
    r"error|abort|cancel|fail|insufficient|resource|timeout|interrupt|malformed|unexpected|safety|recitation|block"
    r"|prohibited|sensitive|filter|length|limit|max_"
)
_MOST_CHARS = 60  # of a reason's word
_PART = "cut_off"  # stored in the messages of threads: keep the name
_GO_ON = "Your answer was cut off at its length limit. Go on exactly where it stopped, and repeat nothing."
_AGAIN = (
    "Your last message was cut off at its length limit and is lost. Do it again in fewer words, or in smaller steps."
)
_LOST = "(cut off)"


_REASON_NAMES = ("finish_reason", "stop_reason", "done_reason")  # of OpenAI and Google, of Anthropic, of Ollama


def truncated_by(message: BaseMessage) -> str:
    """Return the reason why a model's message was truncated, else ""."""
    metadata = message.response_metadata
    details = metadata.get("incomplete_details")
    reason = next((metadata[name] for name in _REASON_NAMES if metadata.get(name)), None)
    if isinstance(details, dict):
        reason = details.get("reason") or reason
    word = str(reason or "").casefold()  # Google writes it in capitals
    if (known := _REASONS.get(word)) is not None:
        return known
    return f"its endpoint ({shorten(word, _MOST_CHARS)})" if _FAILED.search(word) else ""


def is_cut(message: BaseMessage) -> bool:
    """True if a message ended at its length limit."""
    return truncated_by(message) == _LENGTH


def can_go_on(message: BaseMessage) -> TypeGuard[AIMessage]:
    """True if the model can be asked for the rest of a message.

    A tool call in the message is carried out first, and a content filter would cut the rest off again.
    """
    return isinstance(message, AIMessage) and not message.tool_calls and is_cut(message)


def as_part(message: AIMessage) -> AIMessage:
    """Return a truncated message in the form in which it stands before its continuation.

    Half a tool call or half a JSON object cannot be continued, so it is replaced by a note.
    """
    text = str(message.text)
    # Endpoints refuse tool calls without an answer, and messages without a text.
    is_lost = bool(message.invalid_tool_calls) or not text.strip() or text.lstrip().startswith("{")
    return AIMessage(
        _LOST if is_lost else text,
        id=message.id,
        additional_kwargs={_PART: "lost" if is_lost else "kept"},
        response_metadata=message.response_metadata,
        usage_metadata=message.usage_metadata,
    )


def request_for_the_rest(part: AIMessage) -> HumanMessage:
    """Return the request to continue after a truncated part."""
    return HumanMessage(_AGAIN if is_lost(part) else _GO_ON)


def is_lost(message: BaseMessage) -> bool:
    """True if nothing of a truncated message could be kept."""
    return message.additional_kwargs.get(_PART) == "lost"


def whole_text(messages: Sequence[BaseMessage]) -> str:
    """Return the text of the last message, with the truncated parts before it that it continues."""
    if not messages or not isinstance(messages[-1], AIMessage):
        return ""
    parts = [str(messages[-1].text)]
    for message in reversed(messages[:-1]):
        if message.additional_kwargs.get(_PART) != "kept":
            break
        parts.insert(0, str(message.text))
    return "".join(parts).strip()


def incomplete(by: str) -> str:
    """Return one line that says why a result is incomplete."""
    return f"incomplete: the model's answer was cut off by {by}"


def marked(text: str, by: str) -> str:
    """Return the text behind that line, which stands first so that shortening cannot remove it."""
    return f"[{incomplete(by)}]\n{text}" if text and by else text
