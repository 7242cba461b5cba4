"""Refusal: the words with which an endpoint refuses a request, and the numbers in them."""

import json
import re
from dataclasses import dataclass
from typing import Any

from orchestrator.models.requests.form import words

_ECHOES = frozenset({"input", "failed_generation", "url", "request", "messages"})
# Statuses of refused forms. With the others, a form is tried only if the words ask for it: a 404 is most often a wrong
# address, and after a 500 the same request may succeed.
_ANY_FORM = frozenset({400, 415, 422, 501})
_KNOWN_FORM = frozenset({404, 405, 406, 500})
# No other form helps here.
_FINAL = words(
    r"api.?key|unauthor|authenticat|credential|permission|billing|\bcredits?\b|quota|balance|payment",
    r"model\W.{0,60}(not (found|exist)|does ?n.t exist|is not a valid)|(no|unknown|invalid) (such )?model\b",
    r"model_not_found|try pulling|content.?(filter|policy|management)|safety|moderation|flagged|guardrail",
    r"\bimages?\b|image_url|pictures?\b|\bvision\b|multi-?modal",  # the engine takes them out itself
)
# A refusal of a long prompt can name the tools that made the prompt long, and says nothing against tools.
_TOO_LONG = words(
    r"context.{0,3}(length|window|size)|maximum.{0,20} tokens|too (long|large|many (input )?tokens)|n_ctx",
    r"tokens? \+ max_(new_)?tokens|which is the maximum allowed number of output",
    r"exceeds?.{0,30}(context|tokens)|(at most|range of).{0,40}tokens",
    r"max_(completion_)?tokens.{0,60}(at most|less than|between|range|maximum|exceed|<=|too)",
)
# The model wrote a call that its server could not read. Another try of the same request may succeed.
_BY_CHANCE = words(r"tool_use_failed|failed to call a function|output_parse_failed|parsing failed")
_NUMBER = r"[\[(:=\s]*(\d[\d,_]{1,11})"
_WINDOWS = (
    rf"context.{{0,3}}(?:length|window|size)(?: (?:is|of|limit|only))*{_NUMBER}",
    r"\bn_ctx\W{1,4}(\d+)",
    rf"(?:available context size|maximum context|max_model_len|max_seq_len).{{0,12}}?{_NUMBER}",
    rf"tokens? \+ max_(?:new_)?tokens must be <={_NUMBER}",
    r"(\d[\d,_]{1,11}).token (?:context|limit|window)",
)
_PROMPTS = (
    r"(\d[\d,_]*) (?:tokens )?(?:in|of|from|for) (?:the|your|text|input)? ?(?:messages|prompt|input)",
    r"(\d[\d,_]*) (?:inputs?|prompt) tokens",
    r"prompt.{0,20}(?:contains|has|is)(?: at least)?\s+(\d[\d,_]*)",
    r"(?:n_prompt_tokens|prompt_tokens)\W{1,4}(\d+)",
    r"request has (\d[\d,_]*)",
    r"request \((\d[\d,_]*) tokens\)",
)
_ANSWERS = (
    r"max_tokens\W+\d+ > (\d[\d,_]*), which is the maximum",
    r"range of.{0,40}\[\s*\d+\s*,\s*(\d[\d,_]*)\s*\]",
    r"(?:less than or equal to|at most|maximum|<=|up to|between \d+ and).{0,20}?[\s`'\"](\d[\d,_]*)",
)


@dataclass(frozen=True)
class Refusal:
    """A refused request.

    Args:
        status: The HTTP status.
        text: The endpoint's words, with all that stands in its answer.
    """

    status: int
    text: str

    @classmethod
    def of(cls, status: int, body: object, message: str) -> "Refusal":
        """Return the refusal of an answer.

        Args:
            status: The HTTP status.
            body: The body of the answer, as read from JSON or as text; None for none.
            message: The client's own words, for an answer without a body.
        """
        if not body:
            text = message
        else:
            text = body if isinstance(body, str) else json.dumps(_unechoed(body), ensure_ascii=False, default=str)
        return cls(status, text[:20_000])

    @property
    def reason(self) -> str:
        """The words without numbers and ids, by which two refusals for one reason are equal."""
        return re.sub(r"[0-9a-f]*\d[\w-]*", "#", self.text[:2000])

    @property
    def may_mean_any_form(self) -> bool:
        """True if forms for which the words do not ask may help too."""
        return self.status in _ANY_FORM

    @property
    def is_final(self) -> bool:
        """True if no other form of the request can help."""
        return self.status not in _ANY_FORM | _KNOWN_FORM or bool(_FINAL.search(self.text))

    @property
    def is_by_chance(self) -> bool:
        """True if the same request may be taken at the next try."""
        return bool(_BY_CHANCE.search(self.text))

    @property
    def is_too_long(self) -> bool:
        """True if the prompt, or the answer that it allows, is longer than the model takes."""
        return bool(_TOO_LONG.search(self.text))

    @property
    def window(self) -> int | None:
        """Tokens that the model takes at once, if the words name them."""
        return _number(_WINDOWS, self.text)

    @property
    def prompt_tokens(self) -> int | None:
        """Tokens of the refused prompt, if the words name them."""
        return _number(_PROMPTS, self.text)

    @property
    def longest_answer(self) -> int | None:
        """Most tokens of an answer, if the words name them."""
        return _number(_ANSWERS, self.text) if re.search(r"max_(completion_)?tokens|output tokens", self.text) else None


def _unechoed(body: Any) -> Any:
    """Return a body without the parts of the request that it repeats: their words are no reasons."""
    if isinstance(body, dict):
        return {name: _unechoed(value) for name, value in body.items() if name not in _ECHOES}
    return [_unechoed(each) for each in body] if isinstance(body, list) else body


def _number(patterns: tuple[str, ...], text: str) -> int | None:
    for pattern in patterns:
        if found := re.search(pattern, text, re.I | re.S):
            return int(re.sub(r"[,_]", "", found[1]))
    return None
