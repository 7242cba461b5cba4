"""Answers that a model did not finish: how they are recognised, gone on with, and marked.

An endpoint says so in one word beside an answer that looks like any other. Taken for whole, half a list of findings
is passed on as all of them.
"""

from collections.abc import Sequence
from typing import TypeGuard

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

_LENGTH = "its length limit"
_REASONS = {  # as OpenAI and most others say it, Anthropic, Google, and OpenAI's Responses
    "length": _LENGTH,
    "max_tokens": _LENGTH,
    "max_output_tokens": _LENGTH,
    "content_filter": "the endpoint's content filter",
}
_PART = "cut_off"
_GO_ON = "Your answer was cut off at its length limit. Go on exactly where it stopped, and repeat nothing."
_AGAIN = (
    "Your last message was cut off at its length limit and is lost. Do it again in fewer words, or in smaller steps."
)
_LOST = "(cut off)"


def truncated_by(message: BaseMessage) -> str:
    """What ended a model's message before it was finished; empty where nothing did."""
    about = message.response_metadata
    details = about.get("incomplete_details")
    reason = about.get("finish_reason") or about.get("stop_reason")
    if isinstance(details, dict):
        reason = details.get("reason") or reason
    return _REASONS.get(str(reason).casefold(), "")


def can_go_on(message: BaseMessage) -> TypeGuard[AIMessage]:
    """Whether asking for the rest makes sense: a call of a tool is carried out first, and a filter stays as it is."""
    return isinstance(message, AIMessage) and not message.tool_calls and truncated_by(message) == _LENGTH


def as_part(message: AIMessage) -> AIMessage:
    """A cut off message as it stands in the conversation before the one that goes on with it.

    Half a call, or half a JSON object, cannot be gone on with. What is left of it is not sent back: endpoints refuse
    calls without an answer, and messages without a text.
    """
    text = str(message.text)
    is_lost = bool(message.invalid_tool_calls) or not text.strip() or text.lstrip().startswith("{")
    return AIMessage(
        _LOST if is_lost else text,
        id=message.id,
        additional_kwargs={_PART: "lost" if is_lost else "kept"},
        response_metadata=message.response_metadata,
        usage_metadata=message.usage_metadata,
    )


def request_for_the_rest(part: AIMessage) -> HumanMessage:
    """What the model is told after such a part."""
    return HumanMessage(_AGAIN if is_lost(part) else _GO_ON)


def is_lost(message: BaseMessage) -> bool:
    """Whether nothing of the message could be kept."""
    return message.additional_kwargs.get(_PART) == "lost"


def whole_text(messages: Sequence[BaseMessage]) -> str:
    """The text of the last message, behind the parts that it goes on with."""
    if not messages or not isinstance(messages[-1], AIMessage):
        return ""
    parts = [str(messages[-1].text)]
    for message in reversed(messages[:-1]):
        if message.additional_kwargs.get(_PART) != "kept":
            break
        parts.insert(0, str(message.text))
    return "".join(parts).strip()


def incomplete(by: str) -> str:
    """One line about a result that was cut off by this."""
    return f"incomplete: the model's answer was cut off by {by}"


def marked(text: str, by: str) -> str:
    """The text with that line at its beginning, where it is not lost when the text is shortened."""
    return f"[{incomplete(by)}]\n{text}" if text and by else text
