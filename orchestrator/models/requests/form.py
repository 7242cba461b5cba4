"""Form: a change of a request for endpoints that refuse the usual one."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Body = dict[str, Any]
"""The JSON of a request for a chat completion."""

Message = dict[str, Any]
"""One message of a request, as it is sent."""


@dataclass(frozen=True)
class Form:
    """A weaker form of a request.

    Args:
        name: Name under which the form is learned and kept.
        change: Return the request in this form: the same object if it has the form already. It changes no request that
            it is given.
        words: Words of refusals that may ask for this form; None if no words do.
        outright: Words that leave no doubt, so that weaker changes need not be tried first.
        is_costly: True if answers in this form are worse, so that chance must not teach it.
    """

    name: str
    change: Callable[[Body], Body]
    words: re.Pattern[str] | None = None
    outright: re.Pattern[str] | None = None
    is_costly: bool = False

    def fit(self, refusal: str) -> int:
        """Return how well this form fits the words of a refusal: 2 for outright, 1 for perhaps, 0 for not at all."""
        if self.outright is not None and self.outright.search(refusal):
            return 2
        return int(self.words is not None and self.words.search(refusal) is not None)


def words(*patterns: str) -> re.Pattern[str]:
    """Return a pattern that finds any of several, in any case."""
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.I | re.S)


def with_messages(body: Body, messages: list[Message]) -> Body:
    """Return a request with other messages; the same object if they are equal."""
    return body if messages == body["messages"] else {**body, "messages": messages}


def without(body: Body, *names: str) -> Body:
    """Return a request without some of its parameters; the same object if it has none of them."""
    if not any(name in body for name in names):
        return body
    return {name: value for name, value in body.items() if name not in names}


def joined(messages: list[Message]) -> Message:
    """Return several messages as one, with the role and the fields of the first."""
    contents = [message["content"] for message in messages if has_content(message)]
    if all(isinstance(content, str) for content in contents):
        return {**messages[0], "content": "\n\n".join(contents)}
    parts = [[{"type": "text", "text": each}] if isinstance(each, str) else each for each in contents]
    return {**messages[0], "content": [part for several in parts for part in several]}


def has_content(message: Message) -> bool:
    """True if a message has more than space in it."""
    content = message.get("content")
    return bool(content.strip()) if isinstance(content, str) else bool(content)
