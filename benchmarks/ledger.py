"""Measure the CPU time that the budget adds to a model call: count the prompt, reserve and settle on a real database.

    python benchmarks/ledger.py [CALLS]

For comparison: one plain write to the same SQLite store, and the same call without limits. A limited call makes two
durable writes, one before sending and one after. These writes are most of its cost.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langgraph.store.base import PutOp

from orchestrator import Budget, Persistence
from orchestrator.budget.accounts import Account
from orchestrator.budget.allowance import Allowance
from orchestrator.budget.ledger import Ledger
from orchestrator.concurrency import AWAITING
from orchestrator.model_calls.calls import ModelCalls, Question
from orchestrator.testing import ScriptedModel

SUB_TASKS = 50
ANSWER = AIMessage("fine", usage_metadata={"input_tokens": 700, "output_tokens": 20, "total_tokens": 720})
PROMPT = "The population of Iceland is 360,872 (2023 est.), and its land area is 100,250 square kilometres. " * 30


async def measure(calls: int, one: Callable[[int], Awaitable[object]]) -> float:
    """Return the median CPU milliseconds of a call. A mean would include the pauses of a shared machine."""
    spent = []
    for at in range(calls):
        began = time.process_time_ns()
        await one(at)
        spent.append(time.process_time_ns() - began)
    return statistics.median(spent) / 1e6


async def run(calls: int) -> None:
    """Print the figures."""
    model = ScriptedModel([])
    with tempfile.TemporaryDirectory() as folder, Persistence(str(Path(folder) / "bench.db")) as opened:

        async def write(at: int) -> None:
            await AWAITING.batch(opened.store, [PutOp(("bench",), f"row{at % 8}", {"at": at}, index=False)])

        def calling(budget: Budget | None, name: str) -> Callable[[int], Awaitable[object]]:
            ledger = None if budget is None else Ledger(budget, opened.store, name, AWAITING.lock())

            async def send(*_: object) -> AIMessage:
                return ANSWER

            async def one(at: int) -> AIMessage:
                # As in a run: the system prompt stays the same, and the task differs.
                question = Question([SystemMessage("You work."), HumanMessage(f"{at} {PROMPT}")])
                allowance = Allowance(ledger, Account("worker", f"t{at % SUB_TASKS}"))
                answer: AIMessage = await ModelCalls(AWAITING, allowance).call(
                    model, question, send, lambda reply: [reply]
                )
                return answer

            return one

        limits = Budget(tokens=10**9, model_calls=10**9, wall_clock_s=10**6)
        figures = {
            "one durable write": await measure(calls, write),
            "a call without a ledger": await measure(calls, calling(None, "")),
            "a call, nothing limited": await measure(calls, calling(Budget(), "free")),
            "a call, limited": await measure(calls, calling(limits, "limited")),
        }
    for name, figure in figures.items():
        print(f"{name:26} {figure:7.3f} ms")
    added = figures["a call, limited"] - figures["a call without a ledger"]
    print(f"{'the budget adds':26} {added:7.3f} ms, {added / figures['one durable write']:.1f} writes")


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1]) if len(sys.argv) > 1 else 500))
