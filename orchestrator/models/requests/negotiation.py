"""Negotiation: one request, in other forms until the endpoint takes it."""

import json
from collections.abc import Generator, Set

from orchestrator.models.capabilities import LEAST_WINDOW, LIMIT_NAMES, Capabilities
from orchestrator.models.requests.catalogue import ALL, applied, candidates, effective, is_costly
from orchestrator.models.requests.conversation import usual
from orchestrator.models.requests.form import Body, without
from orchestrator.models.requests.parameters import OTHER_LIMIT, STREAMED
from orchestrator.models.requests.refusal import Refusal
from orchestrator.models.requests.schemas import also_in_words
from orchestrator.models.requests.tools import JSON_TOOLS

_MOST_TRIES = 30  # a refused request costs nothing, and most endpoints need one or two
_OTHER_WAYS = frozenset({OTHER_LIMIT.name, STREAMED.name})  # no weaker than the usual, and refused elsewhere
_MOST_CHANCES = 2  # tries of the same request
_LEAST_ANSWER = 64  # an answer of fewer tokens is of no use
_BYTES_PER_TOKEN = 3  # fewer than in any usual text, so that prompts count for more than they are
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
        self._named: set[str] = set()  # forms that some refusal's words asked for
        self._seen: set[frozenset[str]] = set()

    @property
    def body(self) -> Body:
        """The request to send now."""
        body = self._usual
        if self.uses_json_tools:  # calls are read from the whole JSON
            body = without(body, "stream", "stream_options")
        if self._capabilities.also_in_words and JSON_TOOLS.name not in self._forms and not body.get("tools"):
            body = also_in_words(body)
        body = applied(body, self._forms)
        for name in LIMIT_NAMES:
            if name in body:
                known = (body[name], self._most_answer, self._capabilities.longest_answer, self._room(body))
                body = {**body, name: min(n for n in known if n is not None)}
        return body

    def _room(self, body: Body) -> int | None:
        """Return the tokens that the window leaves for an answer; None if the endpoint's window is not sure."""
        if self._capabilities.window is None or not self._capabilities.is_window_sure:
            return None
        prompt = json.dumps([body["messages"], body.get("tools")], ensure_ascii=False)
        left = self._capabilities.window - len(prompt.encode()) // _BYTES_PER_TOKEN
        return left if left >= _LEAST_ANSWER else None  # too little by an estimate: the endpoint knows better

    @property
    def forms(self) -> frozenset[str]:
        """Names of the forms of the request to send now."""
        return self._forms

    @property
    def streams(self) -> bool:
        """True if the words of the answer come one by one, and are of use so."""
        if not self._usual.get("stream") or self.uses_json_tools:
            return False
        return bool(applied(self._usual, self._forms).get("stream"))

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
        if refusal.is_by_chance and self._count <= _MOST_CHANCES:
            return True
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
                self._seen.add(self._forms)
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
        by_chance = {name for name in new if is_costly(name)} - self._named
        self._capabilities.learn(new - by_chance)
        self._capabilities.suspect(self._first.reason, by_chance)
        return True

    def _explore(self, forms: frozenset[str], refusal: Refusal) -> _Tries:
        """Yield the forms of each next try; what is sent back is the refusal of the last."""
        suspected = self._capabilities.suspects(refusal.reason) - self._forbidden
        if suspected - forms:
            yield from self._answered(forms | suspected, refusal)
        light: set[str] = set()
        heavy: set[str] = set()
        for form in candidates(self._usual, forms, refusal.text, not refusal.may_mean_any_form):
            if form.name in self._forbidden:
                continue
            if form.is_costly and len(light) > 1 and not heavy and refusal.may_mean_any_form:
                yield from self._together(forms, light, refusal)
            (heavy if form.is_costly else light).add(form.name)
            if form.fit(refusal.text):
                self._named.add(form.name)
            yield from self._answered(forms | {form.name}, refusal)
        if refusal.may_mean_any_form and light | heavy:
            yield from self._together(forms, ALL - self._forbidden | light | heavy, refusal)
        if forms == self._base != self._fixed:  # the endpoint may have changed, and refuse what it has taught
            self._seen.add(self._fixed)
            answer = yield self._fixed
            yield from self._explore(self._fixed, answer)

    def _together(self, forms: frozenset[str], more: Set[str], refusal: Refusal) -> _Tries:
        """Yield more forms at once, for several things that are refused in the same words."""
        for names in (more - _OTHER_WAYS, more):
            # The given forms stay, since those that change nothing in this request are no wrong lessons.
            yield from self._answered(forms | effective(self._usual, forms | names), refusal)

    def _answered(self, forms: frozenset[str], refusal: Refusal) -> _Tries:
        """Yield forms, and explore from there if they are refused for another reason."""
        if forms in self._seen:
            return
        self._seen.add(forms)
        answer = yield forms
        if answer.reason != refusal.reason and not answer.is_final:
            yield from self._explore(forms, answer)

    def _is_shortened(self, refusal: Refusal) -> bool:
        """True if a shorter answer may make the request fit."""
        limits = [self.body[name] for name in LIMIT_NAMES if name in self.body]  # before the window is known
        if refusal.window is not None and refusal.window >= LEAST_WINDOW:
            self._capabilities.tell_window(refusal.window, "a refusal of the endpoint")
            self._has_learned = True
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
