"""Expiry: the rule by which a review that nobody answers is answered after a time, such as `24h -> reject`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast, get_args

from orchestrator.errors import ConfigError
from orchestrator.reviews.review import Action, Decision, Kind, Review

EXPIRED = "expired"
"""Stands in the place of the user in a decision that a rule has made."""

_ANY = "any"
_RULE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([smhd])\s*->\s*(reject|refuse|stop|approve)\s*", re.I)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True)
class Expiry:
    """The rules of a policy about reviews that nobody answers.

    Args:
        rules: Seconds and the action by the kind of a review; `any` stands for the kinds that are not named.
    """

    rules: tuple[tuple[str, float, Action], ...] = ()

    @classmethod
    def parse(cls, value: object) -> "Expiry":
        """Read a rule for all reviews, or a table of rules by kind.

        Raises:
            ConfigError: It is neither.
        """
        if not value:
            return NEVER
        table = value if isinstance(value, Mapping) else {_ANY: value}
        rules = []
        for kind, text in table.items():
            match = _RULE.fullmatch(text) if isinstance(text, str) else None
            if match is None or float(match[1]) <= 0:
                raise ConfigError(
                    f"review_expires = {text!r} is no rule: write a time and what is done then, as in "
                    "'24h -> reject'; the times are s, m, h and d, and the answers reject, stop and approve"
                )
            if kind not in (_ANY, *get_args(Kind)):
                kinds = ", ".join((*get_args(Kind), _ANY))
                raise ConfigError(f"review_expires names '{kind}', which is no kind of a review: use {kinds}")
            action = "reject" if match[3].lower() == "refuse" else match[3].lower()
            rules.append((str(kind), float(match[1]) * _UNITS[match[2].lower()], cast(Action, action)))
        return cls(tuple(rules))

    def seconds(self, review: Review) -> float | None:
        """Return the seconds after which a review expires; None if it never does."""
        rule = self._rule(review)
        return None if rule is None else rule[0]

    def decision(self, review: Review, asked: datetime) -> Decision | None:
        """Return the decision about a review whose time is over; None before, and without a rule.

        Args:
            review: The review.
            asked: The time at which it was asked.
        """
        rule = self._rule(review)
        if rule is None or datetime.now(UTC) < asked + timedelta(seconds=rule[0]):
            return None
        seconds, action = rule
        text = f"nobody answered within {_time(seconds)}"
        return Decision(review_id=review.id, action=_allowed(review, action), text=text, by=EXPIRED)

    def _rule(self, review: Review) -> tuple[float, Action] | None:
        by_kind = {kind: (seconds, action) for kind, seconds, action in self.rules}
        return by_kind.get(review.kind) or by_kind.get(_ANY)


def _allowed(review: Review, action: Action) -> Action:
    """Return the action, or the one of the same meaning where the review has none of that name."""
    # To refuse more budget, or another try at what is stuck, is to finish with what there is.
    if review.kind == "steer" and action == "reject":
        return "approve"
    return action if action in review.allowed else "reject" if "reject" in review.allowed else "stop"


def _time(seconds: float) -> str:
    size, unit = next((size, unit) for unit, size in reversed(_UNITS.items()) if seconds >= size or size == 1)
    return f"{seconds / size:g} {unit}"


NEVER = Expiry()
"""No review expires."""
