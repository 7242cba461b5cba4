"""Capabilities of an endpoint and a model, learned from its refusals and answers."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

ToolMode = Literal["auto", "native", "json"]
LEAST_WINDOW = 1024  # tokens; less is not said of a window
LIMIT_NAMES = ("max_completion_tokens", "max_tokens")  # OpenAI's name, and the name that others understand
KEPT_S = 24 * 3600.0
"""Seconds after which a lesson is forgotten: endpoints are upgraded."""
_PAUSE_S = 60.0  # between questions for a window that an endpoint could not answer
_MOST_BROKEN = 2  # streams in a row that broke off
_SURE = 2  # refusals in unknown words after which a costly form is learned
_EXCLUSIVE = {"streamed": "unstreamed", "unstreamed": "streamed"}


@dataclass
class Capabilities:
    """Capabilities of one model at one endpoint.

    Args:
        forms: Names of the forms that requests need, with the time of day when they were learned, in seconds.
        also_in_words: True if the endpoint takes a schema and ignores it, so the prompt must contain the schema too.
        is_unopened: True if answers begin inside thoughts, so that only the end of the thoughts can be seen.
        window: Tokens that the model takes at once, as the endpoint says; None if it does not.
        longest_answer: Most tokens of an answer, as the endpoint says; None if it does not.
        window_source: Where the window comes from, in words; empty if it is not known.
        window_at: The time of day when the endpoint told its window, or that it tells none; 0 before.
        is_window_sure: False for a window that may turn out larger once the endpoint has loaded its model.
        prefix: What has to stand before the endpoint's paths. It is in the entry of the endpoint that names no model.
    """

    forms: dict[str, float] = field(default_factory=dict)
    also_in_words: bool = False
    is_unopened: bool = False
    window: int | None = None
    longest_answer: int | None = None
    window_source: str = field(default="", compare=False)
    window_at: float = field(default=0.0, compare=False)
    is_window_sure: bool = True
    prefix: str = ""
    hopeless: set[str] = field(default_factory=set, compare=False)
    _suspects: dict[str, dict[str, int]] = field(default_factory=dict, compare=False)
    _broken_streams: int = field(default=0, compare=False)
    _ask_window_at: float = field(default=0.0, compare=False)
    _has_answered: bool = field(default=False, compare=False)

    def learned(self) -> frozenset[str]:
        """Return the names of the forms that requests need."""
        if not self.forms:
            return frozenset()
        now = time.time()
        # A clock that was put back must not keep a lesson for ever.
        return frozenset(name for name, at in self.forms.items() if abs(now - at) < KEPT_S)

    def learn(self, names: Iterable[str]) -> None:
        """Remember forms that a request needed."""
        now = time.time()
        for name in names:
            self.forms.pop(_EXCLUSIVE.get(name, ""), None)
            self.forms[name] = now

    def forget(self, names: Iterable[str]) -> None:
        """Forget forms that the endpoint does not take any more."""
        for name in names:
            self.forms.pop(name, None)

    def suspect(self, reason: str, names: Iterable[str]) -> None:
        """Note forms that may have helped by chance. They are learned when they help again.

        Args:
            reason: The refusal's words, which did not ask for these forms.
            names: The forms.
        """
        counts = self._suspects.setdefault(reason, {})
        for name in names:
            counts[name] = counts.get(name, 0) + 1
        self.learn(name for name in names if counts[name] >= _SURE)

    def suspects(self, reason: str) -> frozenset[str]:
        """Return the forms that have helped once after a refusal in these words."""
        return frozenset(self._suspects.get(reason, ()))

    @property
    def lacks_window(self) -> bool:
        """True if the endpoint should be asked for its window now."""
        now = time.time()
        is_known = self.is_window_sure and abs(now - self.window_at) < KEPT_S
        return not is_known and now >= self._ask_window_at

    def tell_window(self, tokens: int | None, source: str = "", *, is_sure: bool = True) -> None:
        """Learn the window.

        Args:
            tokens: The window; None if the endpoint tells none.
            source: Where the number comes from, in words.
            is_sure: False for a window that may turn out larger once the endpoint has loaded its model.
        """
        self.window_at, self.is_window_sure = time.time(), is_sure
        if tokens is not None:
            self.window, self.window_source = tokens, source
        if not is_sure:
            self.ask_window_later()

    def ask_window_later(self) -> None:
        """Put off the next question for the window, since the endpoint could not answer it."""
        self._ask_window_at = time.time() + _PAUSE_S

    @property
    def has_answered(self) -> bool:
        """True if the model has answered in this process after its window was not sure."""
        return self._has_answered

    def answered(self) -> None:
        """Note that the model has answered, so that the endpoint has loaded it."""
        if not self.is_window_sure and not self._has_answered:
            self._has_answered, self._ask_window_at = True, 0.0

    @property
    def has_tools(self) -> bool:
        """True unless the endpoint is known to take tool calls as JSON only."""
        return "json_tools" not in self.learned()

    @property
    def streams(self) -> bool:
        """True unless the endpoint is known not to stream its answers."""
        return "unstreamed" not in self.learned()

    def streamed(self, is_whole: bool) -> None:
        """Learn from the end of a stream.

        Args:
            is_whole: The stream came to its end. A connection can break by chance, and seldom does so again and again.
        """
        self._broken_streams = 0 if is_whole else self._broken_streams + 1
        if self._broken_streams >= _MOST_BROKEN:
            self.learn(["unstreamed"])

    def ignored(self, was_strict: bool) -> None:
        """Learn from a complete answer that does not fit its schema.

        Args:
            was_strict: The request asked for a strict schema.
        """
        # A form weaker than the best proves nothing: OpenAI too ignores parts of a schema that is not strict.
        if was_strict or self.learned() & {"schema_plain", "schema_simple"}:
            self.also_in_words = True


KNOWN: dict[tuple[str, str], Capabilities] = {}
"""Capabilities that this process has learned, by address and model. The name of no model stands for the endpoint."""
