"""ModelCheck: the findings about a model and its endpoint."""

from dataclasses import dataclass
from typing import Any, Literal

Finding = Literal["native", "weaker", "no"]

NEEDED = ("chat", "tools", "tool results", "JSON plan")
"""The requests without which no team can work."""


@dataclass(frozen=True)
class CheckedRequest:
    """The findings about one kind of request.

    Args:
        name: The kind of request.
        finding: `native` in the usual form; `weaker` in another form, or with a poorer answer; `no` in none.
        forms: The other forms that were needed, in words.
        note: What the answer lacks, or why there is none.
        refusal: The endpoint's words for its first refusal; empty if it refused nothing.
        tokens: Tokens of the request and its answer; None if the endpoint does not report them.
        seconds: Time until the whole answer was there, with all refused tries.
    """

    name: str
    finding: Finding
    forms: tuple[str, ...] = ()
    note: str = ""
    refusal: str = ""
    tokens: int | None = None
    seconds: float = 0.0

    def plain(self) -> dict[str, Any]:
        """Return the JSON-plain form."""
        return {
            "name": self.name,
            "finding": self.finding,
            "forms": list(self.forms),
            "note": self.note,
            "refusal": self.refusal,
            "tokens": self.tokens,
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True)
class ModelCheck:
    """The findings about a model and its endpoint.

    Args:
        model: The model's name.
        endpoint: Its address without login, `this machine`, or the class of a model without an address.
        requests: The findings about each kind of request.
        window: Tokens that the model takes at once, prompt and answer together.
        window_source: Where that number comes from, in words.
        settings: Settings that each request has, such as `reasoning_effort`.
    """

    model: str
    endpoint: str
    requests: tuple[CheckedRequest, ...]
    window: int
    window_source: str
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def obstacles(self) -> tuple[str, ...]:
        """The requests that a team needs and that work in no form."""
        return tuple(each.name for each in self.requests if each.finding == "no" and each.name in NEEDED)

    @property
    def can_work(self) -> bool:
        """True if a team could work with the model."""
        return not self.obstacles

    @property
    def reports_usage(self) -> bool:
        """True if every answer came with its number of tokens."""
        return all(each.tokens is not None for each in self.requests if each.finding != "no")

    def plain(self) -> dict[str, Any]:
        """Return the JSON-plain form."""
        return {
            "model": self.model,
            "endpoint": self.endpoint,
            "can_work": self.can_work,
            "obstacles": list(self.obstacles),
            "requests": [each.plain() for each in self.requests],
            "window": {"tokens": self.window, "source": self.window_source},
            "reports_usage": self.reports_usage,
            "settings": dict(self.settings),
        }
