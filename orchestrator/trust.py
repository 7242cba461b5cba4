"""Trust: which text came from outside, and what was derived from it.

A tool that returns text from outside (a page, a document, a row, another server's answer) taints the worker that
reads it. The mark is a label that names the source; it lies on the tool's message, so that a resumed worker still
has it, goes into the shared memory with the worker's result, and from there into whatever is made of that result.
A worker that is tainted may be following somebody else's instructions: the policy lets it do nothing but read
unasked.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from langchain_core.messages import BaseMessage

_FIELD = "tainted_by"
_MOST_LABELS = 8
_ARGUMENT_CHARS = 60


def label(sub_task_id: str, tool: str, args: Mapping[str, Any]) -> str:
    """Names a source: who called which tool, with what."""
    text = ", ".join(f"{name}={value!r}" for name, value in args.items())
    short = text if len(text) <= _ARGUMENT_CHARS else text[: _ARGUMENT_CHARS - 1] + "…"
    return f"{sub_task_id}: {tool}({short})"


def merged(*labels: Iterable[str]) -> tuple[str, ...]:
    """All labels once, in order; beyond a few, only how many more there are."""
    found = list(dict.fromkeys(name for part in labels for name in part))
    if len(found) <= _MOST_LABELS:
        return tuple(found)
    return (*found[:_MOST_LABELS], f"and {len(found) - _MOST_LABELS} more")


def taint(message: BaseMessage, labels: Sequence[str]) -> None:
    """Marks a message as text from these sources."""
    if labels:
        message.additional_kwargs[_FIELD] = list(labels)


def tainted_by(messages: Iterable[BaseMessage]) -> tuple[str, ...]:
    """The sources of everything untrusted in a conversation."""
    return merged(*(message.additional_kwargs.get(_FIELD, ()) for message in messages))


def as_data(text: str, source: str, *, trusted: bool = False) -> str:
    """Text between marks that say it is information; what would end it early is made harmless."""
    mark = "" if trusted else " untrusted"
    body = text.replace("</data", "< /data")
    return f'<data from="{source}"{mark}>\n{body}\n</data>'
