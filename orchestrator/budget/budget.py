"""Budget: the most that a run may spend, and when it begins to save."""

from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator

from orchestrator.budget.amounts import amount, is_money, whole_amount
from orchestrator.budget.price import Price
from orchestrator.budget.spend import NANO, Spend
from orchestrator.errors import ConfigError, OrchestratorError, shape_problems
from orchestrator.validation import Checked

DEFAULT_TOKENS = 500_000
DIMENSIONS = ("tokens", "cost_usd", "model_calls", "tool_calls", "wall_clock_s")


class Budget(Checked):
    """Limits of one run; None is no limit. They hold over all parallel workers, and over every resume.

    A run that is given no budget, by a team that has none, has `Budget.default()`. A given budget is taken as it is, so
    `Budget()` limits nothing.

    Limits can be texts, as people write them: `"500k"`, `"1.5M"`, `"$5"`, `"none"`.

    Args:
        tokens: Tokens of prompts and answers together.
        cost_usd: US dollars.
        model_calls: Requests to models, repeated ones included.
        tool_calls: Calls of tools.
        wall_clock_s: Seconds of running. Time in which the run waits for a human does not count.
        workers: Share of the whole (0 to 1) that one worker may use, by its name.
        sub_task: Share of the whole that one sub-task may use, all its attempts together.
        summary: Share kept back for writing the answer.
        warn_at: Used share from which on the run warns.
        shrink_at: Used share from which on the run saves: shorter prompts, fewer calls at once, the economy model.
        answer_tokens: Most tokens of one answer, where tokens or cost are limited.
        prices: Prices by the model's name, which go before published ones; "*" for any model.
        exact_bytes: Reserve one token for each byte of a prompt, which no byte-level tokenizer exceeds. Otherwise
            prompts are estimated, and the estimate is corrected by the sizes that endpoints report.
        strict: Reserve the largest cost of every call before it is sent, and cap its answer to that. Otherwise
            requests carry no cap and nothing is reserved up to `warn_at`, so calls under way can pass a limit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tokens: int | None = Field(default=None, ge=1)
    cost_usd: float | None = Field(default=None, gt=0)
    model_calls: int | None = Field(default=None, ge=1)
    tool_calls: int | None = Field(default=None, ge=0)
    wall_clock_s: float | None = Field(default=None, gt=0)
    workers: dict[str, float] = Field(default_factory=dict)
    sub_task: float = Field(default=1.0, gt=0, le=1)
    summary: float = Field(default=0.15, ge=0, lt=1)
    warn_at: float = Field(default=0.7, gt=0, le=1)
    shrink_at: float = Field(default=0.85, gt=0, le=1)
    answer_tokens: int = Field(default=4096, ge=16)
    prices: dict[str, Price] = Field(default_factory=dict)
    exact_bytes: bool = False
    strict: bool = True

    @field_validator("tokens", "model_calls", "tool_calls", mode="before")
    @classmethod
    def _counted(cls, value: object) -> object:
        return whole_amount(value) if isinstance(value, str) else value

    @field_validator("cost_usd", mode="before")
    @classmethod
    def _dollars(cls, value: object) -> object:
        return amount(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _shares(self) -> "Budget":
        for name, share in self.workers.items():
            if not 0 < share <= 1:
                raise ValueError(f"the share of '{name}' is {share}: use a number over 0 and up to 1")
        return self

    @classmethod
    def default(cls) -> "Budget":
        """Return the budget of a run that is given none: 500,000 tokens, without caps on answers."""
        # With caps, each answer would end after `answer_tokens`, and each request would carry a parameter that some
        # endpoints refuse. Reservations would add two durable writes to each call.
        return cls(tokens=DEFAULT_TOKENS, strict=False)

    @property
    def is_limited(self) -> bool:
        """True if anything is limited."""
        return any(getattr(self, name) is not None for name in DIMENSIONS)

    @property
    def limits_tokens(self) -> bool:
        """True if the length of answers matters."""
        return self.tokens is not None or self.cost_usd is not None

    def reserves_at(self, used_share: float) -> bool:
        """True if the cost of a call has to be reserved before it is sent.

        Args:
            used_share: The used share of the budget.
        """
        if not self.is_limited:
            return False
        has_shares = bool(self.workers) or self.sub_task < 1
        return self.strict or has_shares or used_share >= self.warn_at

    def limits(self, share: float = 1.0) -> dict[str, int]:
        """Return the limits on spending by dimension, in whole units (cost in nano-dollars).

        Args:
            share: The share of each limit, rounded down. Every share has at least one model call.
        """
        limits = {}
        if self.tokens is not None:
            limits["tokens"] = int(self.tokens * share)
        if self.cost_usd is not None:
            limits["nano_usd"] = int(self.cost_usd * NANO * share)
        if self.model_calls is not None:
            # Rounded down to 0, a small share could never ask its model.
            limits["model_calls"] = max(1, int(self.model_calls * share))
        if self.tool_calls is not None:
            limits["tool_calls"] = int(self.tool_calls * share)
        return limits

    def run_limits(self) -> dict[str, float]:
        """Return the limits of the run that are set, by their names."""
        limits = ((name, getattr(self, name)) for name in DIMENSIONS)
        return {name: limit for name, limit in limits if limit is not None}

    def kept_back(self) -> dict[str, int]:
        """Return the amounts that only the summary may spend: one model call, and its share of tokens and cost."""
        # The summary calls no tools.
        kept = {name: int(limit * self.summary) for name, limit in self.limits().items() if name != "tool_calls"}
        if "model_calls" in kept:
            # With a single call in all, keeping it back would leave none to plan with.
            kept["model_calls"] = 1 if self.summary and self.limits()["model_calls"] > 1 else 0
        return kept

    def raised(self, data: Any) -> "Budget":
        """Return the budget with some limits changed.

        Args:
            data: New values by name, JSON-plain; an amount of tokens or dollars alone, as in `"500k"` or `"$5"`; or a
                budget, whose values that differ from the defaults are taken. `Budget()` lifts every limit.

        Raises:
            ConfigError: A name or a value is wrong.
        """
        if isinstance(data, Budget):
            data = data.plain() or dict.fromkeys(DIMENSIONS)
        elif isinstance(data, str) or (isinstance(data, int) and not isinstance(data, bool)):
            data = {"cost_usd" if is_money(str(data)) else "tokens": data}
        return Budget.parse({**self.plain(), **(dict(data) if isinstance(data, Mapping) else {"limits": data})})

    def of_run(self, limits: Mapping[str, Any]) -> "Budget":
        """Return the budget of a run whose caller names limits. The default makes way for any limit that is named.

        Args:
            limits: Values by name, JSON-plain; `{"tokens": None}` is a run without limits.
        """
        makes_way = self == Budget.default() and any(name in limits for name in DIMENSIONS)
        return (Budget() if makes_way else self).raised(limits)

    @classmethod
    def parse(cls, data: Any) -> "Budget":
        """Read a budget from JSON-plain data.

        Raises:
            ConfigError: The data has another shape.
        """
        try:
            return cls.model_validate(data or {})
        except ValidationError as error:
            raise ConfigError(f"this is no budget: {'; '.join(shape_problems(error, 'budget'))}") from None

    def plain(self) -> dict[str, Any]:
        """Return the JSON-plain form, without defaults."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def __str__(self) -> str:
        parts = []
        if self.tokens is not None:
            parts.append(f"{self.tokens:,} tokens")
        if self.cost_usd is not None:
            parts.append(f"${self.cost_usd:g}")
        if self.model_calls is not None:
            parts.append(f"{self.model_calls:,} model calls")
        if self.tool_calls is not None:
            parts.append(f"{self.tool_calls:,} tool calls")
        if self.wall_clock_s is not None:
            parts.append(f"{self.wall_clock_s:g} s")
        return ", ".join(parts) or "no limit"


_WORDS = {"nano_usd": "cost", "model_calls": "model calls", "tool_calls": "tool calls", "wall_clock_s": "time"}


class BudgetSpentError(OrchestratorError):
    """A call does not fit into the rest of the budget, and no call under way could make room for it.

    Args:
        dimension: The dimension that has run out: tokens, nano_usd, model_calls, tool_calls or wall_clock_s.
        scope: `run`, or the name of the worker or sub-task whose share has run out.
        used: The amount spent so far.
        limit: The limit, in the dimension's units.
    """

    def __init__(self, dimension: str, scope: str, used: Spend | float, limit: float) -> None:
        self.dimension = dimension
        self.scope = scope
        noun = _WORDS.get(dimension, dimension)
        # Read back from a checkpoint (`AttemptEnd.of`), `used` is the number itself.
        amount = getattr(used, dimension) if isinstance(used, Spend) else used
        self.used, self.limit = amount, limit
        shown = (
            f"${amount / NANO:.4f} of ${limit / NANO:.4f}"
            if dimension == "nano_usd"
            else f"{amount:,.0f} of {limit:,.0f}"
        )
        owner = "the budget" if scope == "run" else f"the share of {scope}"
        super().__init__(f"{owner} of {noun} is spent ({shown} used, and the next call does not fit)")

    def plain(self) -> list[Any]:
        """Return the JSON-plain form: the arguments in their order."""
        return [self.dimension, self.scope, self.used, self.limit]

    @property
    def is_of_run(self) -> bool:
        """True if the budget of the run is spent, and not only a share."""
        return self.scope == "run"
