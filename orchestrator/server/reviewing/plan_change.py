"""The change of a plan: a plan beside another one, and what the new one is likely to cost."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.planning.plan import Plan
from orchestrator.planning.sub_task import SubTask

_BELOW_ANSWER, _ABOVE_ANSWER = 60, 300  # tokens of the answer for each sub-task, as in the forecast of a run

Range = tuple[int, int]


@dataclass(frozen=True)
class ChangedSubTask:
    """The change of a sub-task.

    Args:
        sign: `+` for a new one, `-` for one that was taken out, `~` for a changed one.
        sub_task: The sub-task, as it is now or as it was last.
        parts: What is another one: the name of the part, as it was, as it is.
    """

    sign: str
    sub_task: SubTask
    parts: tuple[tuple[str, str, str], ...] = ()


def changes(before: Plan, after: Plan) -> list[ChangedSubTask]:
    """Return the sub-tasks that differ between two plans: changed and new ones in order, then those that are gone."""
    changed = []
    for sub_task in after.sub_tasks:
        earlier = before.by_id.get(sub_task.id)
        if earlier is None:
            changed.append(ChangedSubTask("+", sub_task))
        elif parts := tuple(_parts(earlier, sub_task)):
            changed.append(ChangedSubTask("~", sub_task, parts))
    return [*changed, *(ChangedSubTask("-", each) for each in before.sub_tasks if each.id not in after.by_id)]


def _parts(before: SubTask, after: SubTask) -> Iterator[tuple[str, str, str]]:
    if before.description != after.description:
        yield "work", before.description, after.description
    if before.target_agent != after.target_agent:
        yield "agent", before.target_agent, after.target_agent
    if set(before.depends_on) != set(after.depends_on):
        yield "after", ", ".join(before.depends_on) or "nothing", ", ".join(after.depends_on) or "nothing"
    if before.requires_approval != after.requires_approval:
        yield "your approval", _asked(before), _asked(after)
    if before.output_schema != after.output_schema:
        yield "output schema", "one", "another one"


def _asked(sub_task: SubTask) -> str:
    return "asked" if sub_task.requires_approval else "not asked"


@dataclass(frozen=True)
class Cost:
    """The likely cost of a plan.

    Args:
        sub_tasks: Tokens, from and to, by sub-task; (0, 0) for one that has its result.
        total: Tokens of all of them and of the answer.
        usd: The same in dollars; None where no price is known.
        is_guess: The range of a sub-task comes from those of other workers.
    """

    sub_tasks: Mapping[str, Range]
    total: Range
    usd: tuple[float, float] | None
    is_guess: bool = False

    @property
    def tokens(self) -> str:
        """The tokens in words."""
        return f"{self.total[0]:,} to {self.total[1]:,}"

    @property
    def dollars(self) -> str:
        """The dollars in words; empty where no price is known."""
        return "" if self.usd is None else f"${self.usd[0]:.4f} to ${self.usd[1]:.4f}"

    @property
    def words(self) -> str:
        """Both in words."""
        return f"{self.tokens} tokens" + (f", {self.dollars}" if self.usd is not None else "")


def proposed_cost(subject: Mapping[str, Any]) -> Cost | None:
    """Return the cost of the plan that a review asks about; None where the review has no forecast.

    Args:
        subject: The subject of the review.
    """
    forecast = subject.get("forecast")
    total = _range(forecast.get("total_tokens")) if isinstance(forecast, Mapping) else None
    if not isinstance(forecast, Mapping) or total is None:
        return None
    known = {str(name): _range(each) or (0, 0) for name, each in (forecast.get("tokens") or {}).items()}
    usd = forecast.get("total_usd")
    return Cost(
        {str(each["id"]): known.get(str(each["id"]), (0, 0)) for each in subject.get("plan") or ()},
        total,
        (float(usd[0]), float(usd[1])) if isinstance(usd, Sequence) and len(usd) == 2 else None,
    )


def _range(value: object) -> Range | None:
    if not isinstance(value, list | tuple) or len(value) != 2:
        return None
    return int(value[0]), int(value[1])


def changed_cost(subject: Mapping[str, Any], plan: Plan) -> Cost | None:
    """Return the cost of a plan that was edited; None where the review has no forecast.

    What did not change costs what was forecast. Everything else costs what the same worker's sub-tasks cost in the
    plan in question, or else what those of all workers cost.

    Args:
        subject: The subject of the review.
        plan: The edited plan, which is sound.
    """
    proposed = proposed_cost(subject)
    if proposed is None:
        return None
    before = Plan.parse(list(subject["plan"]))
    by_agent: dict[str, list[Range]] = {}
    for each in before.sub_tasks:
        if proposed.sub_tasks[each.id] != (0, 0):
            by_agent.setdefault(each.target_agent, []).append(proposed.sub_tasks[each.id])
    every = [each for ranges in by_agent.values() for each in ranges] or [proposed.total]
    sub_tasks, is_guess = {}, False
    for each in plan.sub_tasks:
        # Equal keys are equal work on equal inputs: a result that is there counts.
        earlier = before.by_id.get(each.id)
        is_same_work = earlier is not None and earlier.target_agent == each.target_agent
        if before.keys.get(each.id) == plan.keys[each.id] or (is_same_work and proposed.sub_tasks[each.id] != (0, 0)):
            sub_tasks[each.id] = proposed.sub_tasks[each.id]
            continue
        similar = by_agent.get(each.target_agent)
        is_guess |= similar is None
        lows, highs = zip(*(similar or every), strict=True)
        sub_tasks[each.id] = (min(lows), max(highs))
    # All that the forecast has beyond the sub-tasks is for the answer, which names each of them.
    more = len(plan.sub_tasks) - len(before.sub_tasks)
    answer = [end - sum(each[at] for each in proposed.sub_tasks.values()) for at, end in enumerate(proposed.total)]
    low = sum(each[0] for each in sub_tasks.values()) + max(_BELOW_ANSWER, answer[0] + more * _BELOW_ANSWER)
    high = sum(each[1] for each in sub_tasks.values()) + max(_ABOVE_ANSWER, answer[1] + more * _ABOVE_ANSWER)
    usd = None
    if proposed.usd is not None:
        # A worker's model is not known here. Dollars grow as tokens do.
        usd = (
            proposed.usd[0] * low / max(1, proposed.total[0]),
            proposed.usd[1] * high / max(1, proposed.total[1]),
        )
    return Cost(sub_tasks, (low, high), usd, is_guess)
