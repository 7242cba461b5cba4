"""Whatever is limited, and for whomever: no interleaving and no crash lets spending pass a limit."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langgraph.store.memory import InMemoryStore

from orchestrator.budget.accounts import Account
from orchestrator.budget.budget import Budget, BudgetSpentError
from orchestrator.budget.ledger import Ledger
from orchestrator.budget.spend import Spend
from orchestrator.concurrency import AWAITING, BLOCKING, run_blocking

NANO_A_TOKEN = 700
SHARES = st.sampled_from([0.1, 0.35, 0.8, 1.0])
BUDGETS = st.builds(
    Budget,
    tokens=st.none() | st.integers(200, 5000),
    cost_usd=st.none() | st.integers(200, 5000).map(lambda tokens: tokens * NANO_A_TOKEN / 1e9),
    model_calls=st.none() | st.integers(1, 60),
    tool_calls=st.none() | st.integers(1, 20),
    workers=st.dictionaries(st.sampled_from(["w0", "w1", "w2"]), SHARES),
    sub_task=SHARES,
    summary=st.sampled_from([0.0, 0.15, 0.5]),
).filter(lambda budget: budget.is_limited)
CALLS = st.lists(
    st.tuples(
        st.integers(1, 200),
        st.integers(0, 300),
        st.sampled_from(["all", "some", "unreported", "free", "tool"]),
        st.floats(0, 1),
        st.integers(0, 4),
    ),
    min_size=1,
    max_size=6,
)


def priced(prompt: int, answer: int) -> Spend:
    return Spend(prompt, answer, 1, 0, (prompt + answer) * NANO_A_TOKEN)


class Witness:
    """Keeps its own books beside the ledger's, and compares them with every limit at every change."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.books: dict[tuple[str, str], Spend] = defaultdict(Spend)

    def book(self, account: Account, amount: Spend, instead_of: Spend | None = None) -> None:
        """Takes an amount in."""
        scopes = [("run", "", 1.0), ("worker", account.agent, self.budget.workers.get(account.agent, 1.0))]
        scopes.append(("sub-task", account.sub_task_id, self.budget.sub_task))
        for kind, name, share in scopes:
            self.books[kind, name] += amount - (instead_of or Spend())
            kept = self.budget.kept_back() if kind == "run" else {}
            for dimension, limit in self.budget.limits(share).items():
                assert getattr(self.books[kind, name], dimension) <= limit - kept.get(dimension, 0), (kind, dimension)


class Crowd:
    """Workers that call at once, until they are done or their process is killed."""

    def __init__(self, budget: Budget, store: InMemoryStore, killed_at: int) -> None:
        self.witness = Witness(budget)
        self.ledger = Ledger(budget, store, "thread", AWAITING.lock())
        self.left = killed_at
        self.killed = asyncio.Event()

    async def work(self, number: int, calls: list[Any]) -> None:
        """One worker."""
        account = Account(f"w{number % 4}", f"t{number}")
        for prompt, answer, what, share, waits in calls:
            try:
                if what == "tool":
                    await self.ledger.count_tool_call(AWAITING, account)
                    self.witness.book(account, Spend(tool_calls=1))
                    continue
                least = priced(prompt, min(answer, 10))
                got = await self.ledger.reserve(AWAITING, account, "m", priced(prompt, answer), least)
            except BudgetSpentError:
                return
            self.witness.book(account, got.worst)
            for _ in range(waits):
                await asyncio.sleep(0)
            self.left -= 1
            if self.left <= 0:
                self.killed.set()
            if self.killed.is_set():
                return  # in the middle of a call
            actual = None
            if what in ("some", "free"):
                used = 0 if what == "free" else int(got.worst.output_tokens * share)
                actual = Spend() if what == "free" else priced(prompt, used)
            self.witness.book(account, got.worst if actual is None else actual, instead_of=got.worst)
            await self.ledger.settle(AWAITING, got, actual)

    async def all(self, workers: int, calls: list[Any]) -> None:
        """Everybody."""
        at_work = asyncio.gather(*(self.work(number, calls) for number in range(workers)))
        end = asyncio.ensure_future(self.killed.wait())
        async with asyncio.timeout(60):
            await asyncio.wait([at_work, end], return_when=asyncio.FIRST_COMPLETED)
        end.cancel()
        if self.killed.is_set() and not at_work.done():
            at_work.cancel()
            await asyncio.wait([at_work])
        elif at_work.done():
            at_work.result()


@settings(max_examples=120)
@given(budget=BUDGETS, workers=st.integers(1, 64), calls=CALLS, killed_at=st.integers(1, 80))
def test_no_limit_is_passed_before_a_crash_nor_after_it(
    budget: Budget, workers: int, calls: list[Any], killed_at: int
) -> None:
    store = InMemoryStore()

    async def crowd() -> Crowd:
        made = Crowd(budget, store, killed_at)
        await made.ledger.set_budget(AWAITING, budget)
        await made.all(workers, calls)
        return made

    witness = asyncio.run(crowd()).witness
    again = Ledger(Budget(), store, "thread", BLOCKING.lock())
    run_blocking(again.load(BLOCKING))
    assert again.budget == budget
    for dimension in budget.limits():
        assert getattr(again.spent, dimension) >= getattr(witness.books["run", ""], dimension), dimension
    for number in range(8):
        account = Account(f"w{number % 4}", f"t{number % 5}")
        try:
            got = run_blocking(again.reserve(BLOCKING, account, "m", priced(90, 60), priced(90, 5)))
        except BudgetSpentError:
            continue
        witness.book(account, got.worst)
        run_blocking(again.settle(BLOCKING, got, None))


@given(
    limit=st.floats(1, 100),
    summary=st.sampled_from([0.0, 0.2, 0.5]),
    steps=st.lists(st.tuples(st.floats(0, 30), st.booleans()), max_size=12),
)
def test_no_call_begins_after_the_time_is_up_whoever_resumes_it(
    limit: float, summary: float, steps: list[tuple[float, bool]]
) -> None:
    store, now, ran = InMemoryStore(), [0.0], 0.0
    budget = Budget(wall_clock_s=limit, summary=summary)

    def opened(reader: Callable[[], float]) -> Ledger:
        made = Ledger(budget, store, "thread", BLOCKING.lock(), clock=reader)
        run_blocking(made.load(BLOCKING))
        return made

    ledger = opened(lambda: now[0])
    run_blocking(ledger.set_budget(BLOCKING, budget))
    for seconds, is_killed in steps:
        now[0] += seconds
        ran += seconds
        try:
            got = run_blocking(ledger.reserve(BLOCKING, Account("w", "t"), "m", priced(1, 1), priced(1, 1)))
            assert ran <= limit * (1 - summary) + 1e-3 * (len(steps) + 1)
            run_blocking(ledger.settle(BLOCKING, got, None))
            if is_killed:
                now[0] += 1000  # nobody worked on it
                ledger = opened(lambda: now[0])
        except BudgetSpentError:
            assert ran >= limit * (1 - summary) - 1e-3 * (len(steps) + 1)
            return


def test_the_witness_would_see_a_limit_passed() -> None:
    with pytest.raises(AssertionError, match="model_calls"):
        Witness(Budget(model_calls=2, summary=0)).book(Account("w", "t"), Spend(model_calls=3))
