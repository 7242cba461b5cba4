"""Negotiation: one request, in other forms until the endpoint takes it."""

from collections.abc import Generator

from orchestrator.models.capabilities import LIMIT_NAMES, Capabilities
from orchestrator.models.requests.catalogue import applied, candidates, is_costly
from orchestrator.models.requests.conversation import usual
from orchestrator.models.requests.form import Body, without
from orchestrator.models.requests.refusal import Refusal
from orchestrator.models.requests.schemas import also_in_words
from orchestrator.models.requests.tools import JSON_TOOLS

_MOST_TRIES = 30  # a refused request costs nothing, and most endpoints need one or two
_LEAST_ANSWER = 64  # an answer of fewer tokens is of no use
_SPARE = 16  # tokens that endpoints count beyond those that they name

_Tries = Generator[frozenset[str], Refusal, None]


class Negotiation:
    """The tries of one request.

    The first try has the forms that the endpoint is known to need. After a refusal, forms are added one by one: first
    those that the refusal's words ask for, then all others that would change the request. If the words change, the form
    has helped, and is kept. When a try is taken, its forms are learned.

    Args:
        capabilities: The lessons of this endpoint and model.
        body: The request in its usual form.
        fixed: Forms that the request has in any case, such as tools in JSON.
        forbidden: Forms that must not be used.
    """

    def __init__(
        self,
        capabilities: Capabilities,
        body: Body,
        fixed: frozenset[str] = frozenset(),
        forbidden: frozenset[str] = frozenset(),
    ) -> None:
        self._capabilities = capabilities
        self._usual = usual(body)
        self._forbidden = forbidden
        self._fixed = fixed
        self._base = fixed | (capabilities.learned() - forbidden)
        self._forms = self._base
        self._reason = ""
        self._first: Refusal | None = None
        self._tries: _Tries | None = None
        self._count = 0
        self._has_learned = False
        self._most_answer: int | None = None

    @property
    def body(self) -> Body:
        """The request to send now."""
        body = self._usual
        if self.uses_json_tools:  # calls are read from the whole JSON
            body = without(body, "stream", "stream_options")
        if self._capabilities.also_in_words and JSON_TOOLS.name not in self._forms and not body.get("tools"):
            body = also_in_words(body)
        body = applied(body, self._forms)
        most = min((n for n in (self._most_answer, self._capabilities.longest_answer) if n is not None), default=None)
        for name in LIMIT_NAMES:
            if most is not None and name in body and body[name] > most:
                body = {**body, name: most}
        return body

    @property
    def streams(self) -> bool:
        """True if the words of the answer come one by one, and are of use so."""
        return bool(self.body.get("stream")) and bool(self._usual.get("stream")) and not self.uses_json_tools

    @property
    def uses_json_tools(self) -> bool:
        """True if the request asks for tool calls as JSON."""
        return JSON_TOOLS.name in self._forms and bool(self._usual.get("tools"))

    def refused(self, refusal: Refusal) -> bool:
        """Choose the next form. False if there is none that may help.

        Args:
            refusal: The answer to `body`.
        """
        self._count += 1
        if refusal.is_too_long and not refusal.is_final:
            return self._is_shortened(refusal)
        if refusal.is_final or self._count > _MOST_TRIES or refusal.reason in self._capabilities.hopeless:
            return False
        # Requests that were under way at the first refusal learn from the one that was first to succeed.
        if news := self._capabilities.learned() - self._forms - self._forbidden:
            self._base = self._forms = self._forms | news
            self._tries = None
            return True
        return self._next(refusal)

    def _next(self, refusal: Refusal) -> bool:
        try:
            if self._tries is None:
                self._first = refusal
                self._tries = self._explore(self._forms, refusal)
                self._forms = next(self._tries)
            else:
                self._forms = self._tries.send(refusal)
        except StopIteration:
            if self._first is not None:
                self._capabilities.hopeless.add(self._first.reason)
            return False
        return True

    def taken(self) -> bool:
        """Learn the forms of a request that the endpoint has taken. True if there was something to learn."""
        if self._first is None:
            return self._has_learned
        self._capabilities.forget(self._base - self._forms)
        new = self._forms - self._base
        by_chance = {name for name in new if is_costly(name)} if not self._is_plain_in(self._first, new) else set()
        self._capabilities.learn(new - by_chance)
        self._capabilities.suspect(self._first.reason, by_chance)
        return True

    def _is_plain_in(self, refusal: Refusal, names: frozenset[str]) -> bool:
        """True if the words of a refusal ask for all these forms."""
        known = {form.name for form in candidates(self._usual, self._base, refusal.text, only_known=True)}
        return names <= known

    def _explore(self, forms: frozenset[str], refusal: Refusal) -> _Tries:
        """Yield the forms of each next try; what is sent back is the refusal of the last."""
        tried = set()
        suspected = self._capabilities.suspects(refusal.reason) - self._forbidden
        if suspected - forms:
            answer = yield forms | suspected
            if answer.reason != refusal.reason:
                yield from self._explore(forms | suspected, answer)
        for form in candidates(self._usual, forms, refusal.text, not refusal.may_mean_any_form):
            if form.name in self._forbidden:
                continue
            tried.add(form.name)
            answer = yield forms | {form.name}
            if answer.reason != refusal.reason and not answer.is_final:
                yield from self._explore(forms | {form.name}, answer)
        if len(tried) > 1 and refusal.may_mean_any_form:
            yield forms | tried
        if forms == self._base != self._fixed:  # the endpoint may have changed, and refuse what it has taught
            answer = yield self._fixed
            yield from self._explore(self._fixed, answer)

    def _is_shortened(self, refusal: Refusal) -> bool:
        """True if a shorter answer may make the request fit."""
        if refusal.window is not None:
            self._capabilities.window = refusal.window
            self._has_learned = True
        limits = [self.body[name] for name in LIMIT_NAMES if name in self.body]
        if not limits:
            return False
        left = refusal.longest_answer
        if refusal.window is not None:
            prompt = refusal.prompt_tokens
            # Without a number for the prompt, halve the answer: a guess of the prompt could be wrong for ever.
            left = limits[0] // 2 if prompt is None else refusal.window - prompt - _SPARE
        elif left is not None and left < limits[0]:
            self._capabilities.longest_answer = left
            self._has_learned = True
        if left is None or left < _LEAST_ANSWER or left >= limits[0]:
            return False
        self._most_answer = left
        return True
