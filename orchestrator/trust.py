"""Trust: which text came from outside, and what was derived from it.

A tool that returns text from outside (a page, a document, a row, another server's answer) taints the worker that reads
it. The mark is a label that names the source. It lies on the tool's message, so a resumed worker still has it. With the
worker's result it goes into the shared memory, and from there into everything that is made of the result.

A tainted worker may be following instructions that were planted in the text. So the policy lets it do nothing but read
without asking a human.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from langchain_core.messages import BaseMessage

from orchestrator.text import shorten

_FIELD = "tainted_by"  # stored in the messages of threads: keep the name
_MOST_LABELS = 8
_ARGUMENT_CHARS = 60
_DATA = re.compile(r'(<data from="[^"\n]*"[^>\n]*>\n)(.*)(\n</data>)(.*)', re.DOTALL)


def label(sub_task_id: str, tool: str, args: Mapping[str, Any]) -> str:
    """Return the name of a source: the sub-task, the tool and the arguments of the call."""
    text = ", ".join(f"{name}={value!r}" for name, value in args.items())
    return f"{sub_task_id}: {tool}({shorten(text, _ARGUMENT_CHARS)})"


def merged(*labels: Iterable[str]) -> tuple[str, ...]:
    """Return all labels once, in order. Of many labels, only the first few are named and the rest counted."""
    unique = list(dict.fromkeys(name for part in labels for name in part))
    if len(unique) <= _MOST_LABELS:
        return tuple(unique)
    return (*unique[:_MOST_LABELS], f"and {len(unique) - _MOST_LABELS} more")


def taint(message: BaseMessage, labels: Sequence[str]) -> None:
    """Mark a message as text from these sources."""
    if labels:
        message.additional_kwargs[_FIELD] = list(labels)


def tainted_by(messages: Iterable[BaseMessage]) -> tuple[str, ...]:
    """Return the sources of everything untrusted in a conversation."""
    return merged(*(message.additional_kwargs.get(_FIELD, ()) for message in messages))


def as_data(text: str, source: str, *, trusted: bool = False) -> str:
    """Return the text between tags that declare it to be information, not instructions."""
    mark = "" if trusted else " untrusted"
    body = text.replace("</data", "< /data")  # a text must not end its own block and go on as instructions
    return f'<data from="{source}"{mark}>\n{body}\n</data>'


def split_data(text: str) -> tuple[str, str, str, str]:
    """Return a text that `as_data` made in four parts: opening tag, body, closing tag, and the rest behind it.

    Any other text is all body.
    """
    match = _DATA.fullmatch(text)
    return (match[1], match[2], match[3], match[4]) if match else ("", text, "", "")
