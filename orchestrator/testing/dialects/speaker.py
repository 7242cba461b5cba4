"""Speaker: a dialect as one server speaks it, with the counts of what happens a number of times only."""

import json
import re
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.testing.dialects.asking import reply_in_form, request_of
from orchestrator.testing.dialects.conditions import too_long
from orchestrator.testing.dialects.dialect import Body, Completion, Dialect, Failure, Refusal, Stray
from orchestrator.testing.script import Reply, Request


@dataclass(frozen=True)
class Refused:
    """One refused request.

    Args:
        body: The body of the request.
        refusal: The refusal.
        answer: The body of the error: JSON-plain data, or a text.
    """

    body: Body
    refusal: Refusal
    answer: object


class Speaker:
    """Speaks a dialect.

    Args:
        dialect: The dialect.

    `refused` has the refused requests in order.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.refused: list[Refused] = []
        self._refusals = dialect.refusals
        if (window := dialect.window) is not None:
            # A request is read before it is measured, so other refusals come first.
            self._refusals = (*dialect.refusals, _of_size(window.tokens, window.refusal))
        self._done: Counter[int] = Counter()
        self._lock = threading.Lock()

    def refuse(self, body: Body) -> Refused | None:
        """Return the refusal of a request, and count it; None for an answer."""
        for refusal in self._refusals:
            found = refusal.when(body)
            if found is None or not self._is_due(id(refusal), refusal.times):
                continue
            shape = refusal.shape or self.dialect.error
            details = {name: _filled(value, found) for name, value in refusal.details.items()}
            failure = Failure(refusal.status, str(_filled(refusal.message, found)), details)
            refused = Refused(body, refusal, shape(failure))
            self.refused.append(refused)
            return refused
        return None

    def read(self, body: Body, plain: Request) -> Request:
        """Return the request for the script; see `request_of`."""
        return request_of(body, plain)

    def form(self, reply: Reply, body: Body) -> Reply:
        """Return the reply in the form that the request asks for; see `reply_in_form`."""
        return reply_in_form(reply, body)

    def speak(self, completion: Completion, body: Body) -> Completion:
        """Return a completion in this dialect."""
        for quirk in self.dialect.answer:
            does_apply = quirk.when is None or quirk.when(body) is not None
            if does_apply and self._is_due(id(quirk), quirk.times):
                completion = quirk.change(completion, body)
        return completion

    def is_streamed(self, body: Body) -> bool:
        """True if the answer to a request is a stream."""
        when = self.dialect.streaming.when
        return when == "always" or (when == "asked" and bool(body.get("stream")))

    def models(self, names: list[str]) -> object:
        """Return the list of models."""
        owner = self.dialect.owner
        models: list[dict[str, Any]] = [{"id": name, "object": "model", "owned_by": owner} for name in names]
        if (window := self.dialect.window) is not None and window.field_name:
            outer, _, inner = window.field_name.rpartition(".")
            size = {inner: window.tokens}
            models = [{**model, **({outer: size} if outer else size)} for model in models]
        return self.dialect.listing(models)

    def page(self, path: str, name: str, bodies: list[Body]) -> object | None:
        """Return what the server answers at an address of its own; None if it has none there.

        Args:
            path: The path, without a query.
            name: The name of its model.
            bodies: The bodies of the chat requests so far.
        """
        try:
            return self.dialect.pages[path](name, bodies)
        except LookupError:
            return None

    def stray(self, method: str, path: str) -> Stray | None:
        """Return the answer at an address that the server does not have; None if it has the address."""
        stray, base = self.dialect.stray, self.dialect.base
        if stray is None or path in (f"{base}/chat/completions", f"{base}/models"):
            return None
        return replace(stray, text=stray.text.replace("{method}", method).replace("{path}", path))

    def _is_due(self, key: int, times: int | None) -> bool:
        if times is None:
            return True
        with self._lock:
            self._done[key] += 1
            return self._done[key] <= times


def _filled(template: object, found: Mapping[str, object]) -> object:
    """Return a template with what was found in the places of its names."""
    if isinstance(template, list):
        return [_filled(part, found) for part in template]
    if not isinstance(template, str):
        return template
    if (name := re.fullmatch(r"\{(\w+)\}", template)) is not None:
        return found.get(name[1], template)
    return re.sub(r"\{(\w+)\}", lambda match: str(found.get(match[1], match[0])), template)


def _of_size(tokens: int, refusal: Refusal) -> Refusal:
    return replace(refusal, when=too_long(tokens))


def text_of(answer: object) -> str:
    """Return the body of an error as a text."""
    return answer if isinstance(answer, str) else json.dumps(answer)
