"""Spending over time against the limits, in dollars or in tokens."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from orchestrator.budget.spend import NANO, Spend
from orchestrator.budget.spending import Spending
from orchestrator.reports.escaping import escape
from orchestrator.reports.history.task import TaskHistory
from orchestrator.reports.history.uses import ModelUse
from orchestrator.reports.timeline.scale import Scale

_HEIGHT = 40
_WIDTH = 1000  # of the picture's own units
_MOST_OVER = 4  # a limit that is many times the spending would press the line to the ground
_MOST_STEPS = 400
_PROBE = 1000  # tokens; prices of very long prompts may be higher

Price = Callable[[ModelUse], int | None]
"""Returns the billionths of a dollar that a request cost; None if no price is known."""


@dataclass(frozen=True)
class MoneyTrack:
    """The spending, and the limit that held.

    Args:
        unit: `cost_usd` or `tokens`.
        steps: The amounts spent until then, each with its time in seconds.
        limits: The limits that were set, each with its time in seconds; None for no limit.
    """

    unit: Literal["cost_usd", "tokens"]
    steps: list[tuple[float, float]]
    limits: list[tuple[float, float | None]]

    @property
    def spent(self) -> float:
        """The amount at the end."""
        return self.steps[-1][1] if self.steps else 0.0

    @property
    def limit(self) -> float | None:
        """The limit that holds at the end."""
        return self.limits[-1][1] if self.limits else None

    def words(self) -> str:
        """Return the amount and the limit."""
        whole = f" of {self._amount(self.limit)}" if self.limit is not None else ""
        return f"{self._amount(self.spent)}{whole}{' tokens' if self.unit == 'tokens' else ''}"

    def _amount(self, amount: float) -> str:
        if self.unit == "tokens":
            return f"{amount:,.0f}"
        return f"${amount:.4f}" if amount < 1 else f"${amount:,.2f}"


def prices_of(spending: Spending) -> Price:
    """Return the prices of requests, by the prices that the spending of their thread has.

    Args:
        spending: The spending.
    """
    known: dict[str, tuple[int | None, int | None]] = {}

    def price(use: ModelUse) -> int | None:
        # The collection of prices takes a fraction of a millisecond for each question, and a thread has thousands.
        if use.model not in known:
            probes = (Spend(input_tokens=_PROBE), Spend(output_tokens=_PROBE))
            a, b = (spending.nano_usd_of(use.model, probe) for probe in probes)
            known[use.model] = a, b
        asked, answered = known[use.model]
        if asked is None or answered is None:
            return None
        return round((asked * use.spent.input_tokens + answered * use.spent.output_tokens) / _PROBE)

    return price


def money_tracks(task: TaskHistory, price: Price | None = None) -> list[MoneyTrack]:
    """Return the spending of a task: in dollars where all prices are known, in tokens where they are limited or not.

    Args:
        task: The task.
        price: Prices of requests for which none was booked.
    """
    uses = sorted((use for use in task.model_uses if use.ended is not None), key=lambda use: use.ended or use.began)
    if not uses:
        return []
    tracks = []
    costs = [use.spent.nano_usd or (price(use) if price else None) for use in uses]
    # A request that failed before anything was counted is no request without a price.
    known = [cost for cost, use in zip(costs, uses, strict=True) if use.spent.tokens]
    if known and None not in known and any(known):
        tracks.append(_track(task, "cost_usd", uses, [(cost or 0) / NANO for cost in costs]))
    tokens = _track(task, "tokens", uses, [use.spent.tokens for use in uses])
    if not tracks or tokens.limit is not None:
        tracks.append(tokens)
    return tracks


def _track(
    task: TaskHistory, unit: Literal["cost_usd", "tokens"], uses: list[ModelUse], amounts: list[float] | list[int]
) -> MoneyTrack:
    def seconds(at: datetime) -> float:
        return max(0.0, (at - task.began).total_seconds())

    total, steps = 0.0, []
    for use, amount in zip(uses, amounts, strict=True):
        total += amount
        steps.append((seconds(use.ended or use.began), total))
    limits = [(0.0, _limit(task.budget.get(unit)))]
    for later in task.limits:
        limits.append((seconds(datetime.fromisoformat(str(later["at"]))), _limit(later["budget"].get(unit))))
    return MoneyTrack(unit, steps, limits)


def _limit(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def money_html(track: MoneyTrack, scale: Scale, end: float) -> str:
    """Return a track as a row under a timeline.

    Args:
        track: The track.
        scale: The axis of the timeline.
        end: The end of the picture, in seconds.
    """
    shown = [limit for _, limit in track.limits if limit is not None and limit <= _MOST_OVER * track.spent]
    most = max([track.spent, *shown]) * 1.08 or 1.0

    def x(seconds: float) -> str:
        return f"{scale.at(seconds) / 100 * _WIDTH:.1f}"

    def y(amount: float) -> str:
        return f"{_HEIGHT - 1 - amount / most * (_HEIGHT - 3):.1f}"

    # The steps between are higher than nothing and lower than the next one that is kept.
    kept = track.steps[:: max(1, len(track.steps) // _MOST_STEPS)]
    kept = kept if kept[-1:] == track.steps[-1:] else [*kept, track.steps[-1]]
    line = f"M0,{y(0)}" + "".join(f"H{x(at)}V{y(amount)}" for at, amount in kept) + f"H{x(end)}"
    far = ""
    limits: list[str] = []
    for at, limit in track.limits:
        if limit is not None and limit <= _MOST_OVER * track.spent:
            limits.append(f"{'L' if limits else 'M'}{x(at)},{y(limit)}")
        elif limit is not None:
            far = ", whose line would be far above"
    if limits:
        limits.append(f"H{x(end)}")
    over = " over" if track.limit is not None and track.spent > track.limit else ""
    return (
        f'<div class="money{over}"><span class="name">{escape(track.words())}</span>'
        f'<svg height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" aria-hidden="true">'
        f"<title>spent: {escape(track.words())}{far}</title>"
        f'<path class="area" d="{line}V{_HEIGHT}H0z"/><path class="spent" d="{line}"/>'
        f'<path class="limit" d="{"".join(limits)}"/></svg></div>'
    )
