"""Forecast: the likely cost of a plan, before it is approved.

The range of a sub-task comes from the real cost of the same worker's sub-tasks on this thread, or else on earlier
threads of the database. Before there are any, it comes from the worker's prompt and its way of working. A worker
without tools is asked once. A worker with tools is asked again after every tool's answer, and reads the whole
conversation each time.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator import prompts
from orchestrator.agents.worker import Worker
from orchestrator.budget.limits import Limits
from orchestrator.budget.price import UNPRICED_LOCAL, Price
from orchestrator.budget.prices import booked_name, nano_usd
from orchestrator.budget.spend import NANO, Spend
from orchestrator.model_calls.prompt_tokens import tools_tokens
from orchestrator.models.profile import ModelProfile
from orchestrator.planning.outcome import Outcome
from orchestrator.planning.plan import Plan
from orchestrator.planning.sub_task import SubTask
from orchestrator.text import count_tokens
from orchestrator.tool_calls.results import result_allowance

_FEW, _MANY = 2, 4  # model calls of a worker with tools, when it goes well and when it takes longer
_SHORT, _LONG = 60, 300  # tokens of an answer
_SMALL_RESULT, _LARGE_RESULT = 700, 1000  # tokens of a tool's answer
_MOST_READ = 2  # earlier results in a worker's first message, when there are many
_BELOW, _ABOVE = 0.7, 1.4  # how far a sub-task may lie outside the range of earlier ones
_OUTLIERS = 10  # the lowest and the highest of so many sub-tasks are left out

Range = tuple[int, int]


@dataclass(frozen=True)
class Forecast:
    """The likely cost of a plan.

    Args:
        sub_tasks: Tokens, from and to, by the id of each unfinished sub-task.
        total: Tokens of all of them and of the answer.
        usd: The total in US dollars; None if a price is unknown or was not looked up.
        spent: The amount that the run has spent so far.
        earlier: Number of earlier sub-tasks that the ranges come from.
        unknown: Names of workers without any earlier sub-task, whose ranges are guesses.
    """

    sub_tasks: dict[str, Range]
    total: Range
    usd: tuple[float, float] | None
    spent: Spend
    earlier: int = 0
    unknown: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """Return the JSON-plain form."""
        value: dict[str, Any] = {
            "tokens": {task_id: list(tokens) for task_id, tokens in self.sub_tasks.items()},
            "total_tokens": list(self.total),
            "spent_tokens": self.spent.tokens,
            "earlier_sub_tasks": self.earlier,
            "guessed": list(self.unknown),
        }
        if self.usd is not None:
            value["total_usd"] = [round(dollars, 6) for dollars in self.usd]
        return value

    def __str__(self) -> str:
        low, high = self.total
        dollars = f" (${self.usd[0]:.4f} to ${self.usd[1]:.4f})" if self.usd is not None else ""
        spent = f", {self.spent.tokens:,} spent so far" if self.spent.tokens else ""
        return f"likely {low:,} to {high:,} tokens{dollars}{spent}, {self.origin}"

    @property
    def origin(self) -> str:
        """The source of the ranges, in words."""
        if not self.earlier:
            return "a guess: no earlier runs of this team"
        plural = "" if self.earlier == 1 else "s"
        guessed = f"; a guess for {', '.join(self.unknown)}" if self.unknown else ""
        return f"from {self.earlier} earlier sub-task{plural}{guessed}"


def history_key(worker: Worker) -> str:
    """Return what a worker's earlier sub-tasks are kept under: another prompt, tool or model is another worker."""
    model = "" if worker.guest is not None else ModelProfile.of(worker.model).name
    parts = [worker.name, worker.prompt, model, worker.steps, *sorted(each.name for each in worker.declared_tools)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def forecast(
    plan: Plan,
    workers: Mapping[str, Worker],
    limits: Limits,
    outcomes: Mapping[str, Outcome],
    spent: Spend,
    *,
    prices: Mapping[str, Price] | None = None,
    past: Mapping[str, Sequence[int]] | None = None,
) -> Forecast:
    """Estimate the cost of the unfinished sub-tasks of a plan.

    Args:
        plan: The plan.
        workers: The workers by name.
        limits: The limits of the run.
        outcomes: Outcomes so far by sub-task id, those of removed sub-tasks included.
        spent: The amount spent so far.
        prices: Prices that go before published ones; None to look up no prices at all.
        past: Tokens of sub-tasks on earlier threads, by the worker's name.
    """
    seen: dict[str, list[int]] = {}
    for outcome in outcomes.values():
        tokens = Spend.of_usage(outcome.usage).tokens
        if tokens:
            seen.setdefault(outcome.agent, []).append(tokens)
    for name, amounts in (past or {}).items():
        if amounts:
            seen.setdefault(name, list(amounts))
    ranges, costs = {}, []
    # Once for each worker and not for each sub-task: a plan may have many, and describing tools takes time.
    tools_sizes = {name: tools_tokens(workers[name].tools) for name in {t.target_agent for t in plan.sub_tasks}}
    for number, task in enumerate(plan.sub_tasks):
        before = outcomes.get(task.id)
        if before is not None and before.status == "succeeded" and before.key == plan.keys[task.id]:
            continue
        worker = workers[task.target_agent]
        ranges[task.id] = _range(
            task, worker, tools_sizes[worker.name], limits, seen.get(worker.name, []), min(number, _MOST_READ)
        )
        if prices is not None:
            # A local model can have the name of a published one, and costs what its owner knows.
            is_known = worker.guest is None and not booked_name(worker.model, prices).endswith(UNPRICED_LOCAL)
            ends = ranges[task.id]
            costs.append([nano_usd(worker.model, *_split(tokens), prices) if is_known else None for tokens in ends])
    answer = (sum(_SHORT for _ in plan.sub_tasks) + _SHORT, sum(_LONG for _ in plan.sub_tasks) + _LONG)
    total = (sum(low for low, _ in ranges.values()) + answer[0], sum(high for _, high in ranges.values()) + answer[1])
    usd = None
    if prices is not None and all(cost is not None for pair in costs for cost in pair):
        usd = (sum(low or 0 for low, _ in costs) / NANO, sum(high or 0 for _, high in costs) / NANO)
    used = {plan.by_id[task_id].target_agent for task_id in ranges}
    earlier = sum(len(seen.get(name, ())) for name in used)
    return Forecast(ranges, total, usd, spent, earlier, tuple(sorted(name for name in used if not seen.get(name))))


def _range(
    task: SubTask, worker: Worker, tools_size: int, limits: Limits, seen: list[int], results_before: int
) -> Range:
    if seen:
        within = sorted(seen)[1:-1] if len(seen) >= _OUTLIERS else seen
        return int(min(within) * _BELOW), int(max(within) * _ABOVE)
    first = count_tokens(worker.prompt) + count_tokens(prompts.text("worker_rules")) + count_tokens(task.description)
    # A worker is shown the results that it depends on, and further ones as far as there is room.
    low, high = len(task.depends_on) * _SHORT, min(worker.window // 3, results_before * _LONG)
    if not worker.tools:
        return first + low + _SHORT, first + max(low, high) + _LONG
    first += tools_size
    steps = worker.steps or limits.steps
    large = min(_LARGE_RESULT, result_allowance(worker.window))
    return (
        _loop(first + low, min(_FEW, steps), min(_SMALL_RESULT, large), _SHORT),
        _loop(first + max(low, high), min(_MANY, steps), large, _LONG),
    )


def _loop(first: int, calls: int, result: int, answer: int) -> int:
    """Return the tokens of a conversation in which every call reads all messages before it."""
    return sum(first + at * (result + answer) + answer for at in range(calls))


def _split(tokens: int) -> tuple[int, int]:
    """Split tokens into those of prompts and of answers. Prompts make up most of an agent's tokens."""
    return tokens * 9 // 10, tokens - tokens * 9 // 10
