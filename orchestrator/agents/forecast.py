"""Forecast: what a plan is likely to cost, before it is approved.

A sub-task's range comes from what sub-tasks of the same worker have really cost on this thread; before there are any,
from the size of the worker's prompt and how it works: without tools it is asked once; with tools it is asked again
after every tool's answer, and each time reads the whole conversation.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.agents.worker import Worker
from orchestrator.budget.limits import Limits
from orchestrator.budget.prices import Price, nano_usd
from orchestrator.budget.spend import NANO, Spend
from orchestrator.model_calls.prompt_tokens import tools_tokens
from orchestrator.planning.outcome import Outcome
from orchestrator.planning.plan import Plan
from orchestrator.planning.sub_task import SubTask
from orchestrator.text import count_tokens
from orchestrator.tool_calls.results import result_allowance

_RULES_TOKENS = 120
_FEW, _MANY = 2, 5  # model calls of a worker with tools, when it goes well and when it takes longer
_SHORT, _LONG = 60, 400  # tokens of an answer
_BELOW, _ABOVE = 0.7, 1.4  # how far a sub-task may lie outside of what was seen before

Range = tuple[int, int]


@dataclass(frozen=True)
class Forecast:
    """What a plan is likely to cost.

    Args:
        sub_tasks: Tokens, from and to, by sub-task id; those that are finished are left out.
        total: Tokens of all of them, with the answer.
        usd: The same in US dollars; None where a price is not known or was not looked up.
        spent: What the run has spent so far.
    """

    sub_tasks: dict[str, Range]
    total: Range
    usd: tuple[float, float] | None
    spent: Spend

    def plain(self) -> dict[str, Any]:
        """JSON-plain form."""
        made: dict[str, Any] = {
            "tokens": {task_id: list(found) for task_id, found in self.sub_tasks.items()},
            "total_tokens": list(self.total),
            "spent_tokens": self.spent.tokens,
        }
        if self.usd is not None:
            made["total_usd"] = [round(dollars, 6) for dollars in self.usd]
        return made

    def __str__(self) -> str:
        low, high = self.total
        dollars = f" (${self.usd[0]:.4f} to ${self.usd[1]:.4f})" if self.usd is not None else ""
        spent = f", {self.spent.tokens:,} spent so far" if self.spent.tokens else ""
        return f"likely {low:,} to {high:,} tokens{dollars}{spent}"


def forecast(
    plan: Plan,
    workers: Mapping[str, Worker],
    limits: Limits,
    outcomes: Mapping[str, Outcome],
    spent: Spend,
    *,
    prices: Mapping[str, Price] | None = None,
) -> Forecast:
    """What the unfinished sub-tasks of a plan are likely to cost.

    Args:
        plan: The plan.
        workers: By name.
        limits: Of the run.
        outcomes: What there is already, by sub-task id; also of sub-tasks that are not in the plan any more.
        spent: So far.
        prices: Prices that go before published ones; None to look no prices up at all.
    """
    seen: dict[str, list[int]] = {}
    for outcome in outcomes.values():
        tokens = Spend.of_usage(outcome.usage).tokens
        if tokens:
            seen.setdefault(outcome.agent, []).append(tokens)
    found, costs = {}, []
    about_tools = {name: tools_tokens(workers[name].tools) for name in {t.target_agent for t in plan.sub_tasks}}
    for task in plan.sub_tasks:
        before = outcomes.get(task.id)
        if before is not None and before.status == "succeeded" and before.key == plan.keys[task.id]:
            continue
        worker = workers[task.target_agent]
        found[task.id] = _range(task, worker, about_tools[worker.name], limits, seen.get(worker.name, []))
        if prices is not None:
            costs.append([nano_usd(worker.model, *_split(tokens), prices) for tokens in found[task.id]])
    answer = (sum(_SHORT for _ in plan.sub_tasks) + _SHORT, sum(_LONG for _ in plan.sub_tasks) + _LONG)
    total = (sum(low for low, _ in found.values()) + answer[0], sum(high for _, high in found.values()) + answer[1])
    usd = None
    if prices is not None and all(cost is not None for pair in costs for cost in pair):
        usd = (sum(low or 0 for low, _ in costs) / NANO, sum(high or 0 for _, high in costs) / NANO)
    return Forecast(found, total, usd, spent)


def _range(task: SubTask, worker: Worker, about_tools: int, limits: Limits, seen: list[int]) -> Range:
    if seen:
        return int(min(seen) * _BELOW), int(max(seen) * _ABOVE)
    first = count_tokens(worker.prompt) + _RULES_TOKENS + count_tokens(task.description)
    if not worker.tools:
        return first + _SHORT, first + worker.window // 3 + _LONG
    first += about_tools
    steps = worker.steps or limits.steps
    result = result_allowance(worker.window)
    return _loop(first, min(_FEW, steps), _SHORT, _SHORT), _loop(first, min(_MANY, steps), result // 2, _LONG)


def _loop(first: int, calls: int, result: int, answer: int) -> int:
    """Tokens of a conversation in which every call reads all that was said before."""
    return sum(first + at * (result + answer) + answer for at in range(calls))


def _split(tokens: int) -> tuple[int, int]:
    """Prompts make up most of what an agent uses."""
    return tokens * 9 // 10, tokens - tokens * 9 // 10
