"""The ledger: what was spent and what is reserved never passes a limit, and no reservation is lost."""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langgraph.store.base import PutOp
from langgraph.store.memory import InMemoryStore

from orchestrator.budget.accounts import Account, Reservation
from orchestrator.budget.budget import Budget, BudgetSpentError
from orchestrator.budget.ledger import Ledger
from orchestrator.budget.ledger_store import begin_ledger
from orchestrator.budget.prompt_margins import PromptMargins
from orchestrator.budget.saved.ledger_rows import read_rows
from orchestrator.budget.spend import Spend
from orchestrator.concurrency import AWAITING, BLOCKING, Bridge, run_blocking

CODER = Account("coder", "t1")
SUMMARY = Account("supervisor", is_summary=True)


def open_ledger(budget: Budget, store: Any = None, bridge: Bridge = BLOCKING, **more: Any) -> Ledger:
    return Ledger(budget, store or InMemoryStore(), "thread", bridge.lock(), **more)


def tokens(prompt: int, answer: int = 0) -> Spend:
    return Spend(prompt, answer, 1)


def reserve(ledger: Ledger, worst: Spend, account: Account = CODER, least: Spend | None = None) -> Reservation:
    return run_blocking(ledger.reserve(BLOCKING, account, "m", worst, least or worst))


def settle(ledger: Ledger, reservation: Reservation, actual: Spend | None) -> None:
    run_blocking(ledger.settle(BLOCKING, reservation, actual))


CALLS = st.lists(
    st.tuples(st.integers(1, 200), st.integers(0, 300), st.floats(0, 1), st.integers(0, 5)), min_size=1, max_size=6
)


@settings(max_examples=60)
@given(
    limit=st.integers(200, 5000),
    workers=st.integers(1, 64),
    calls=CALLS,
    summary=st.sampled_from([0.0, 0.15, 0.5]),
    share=st.sampled_from([1.0, 0.3]),
)
def test_parallel_workers_never_pass_the_limit_together(
    limit: int, workers: int, calls: list[tuple[int, int, float, int]], summary: float, share: float
) -> None:
    budget = Budget(tokens=limit, summary=summary, sub_task=share)
    most_at_once = 0

    async def work(ledger: Ledger, number: int) -> None:
        nonlocal most_at_once
        account, spent = Account(f"w{number % 3}", f"t{number}"), 0
        for prompt, answer, used, waits in calls:
            try:
                got = await ledger.reserve(
                    AWAITING, account, "m", tokens(prompt, answer), tokens(prompt, min(answer, 10))
                )
            except BudgetSpentError:
                return
            under_way.append(got.worst.tokens)
            most_at_once = max(most_at_once, ledger.spent.tokens + sum(under_way))
            for _ in range(waits):
                await asyncio.sleep(0)
            under_way.remove(got.worst.tokens)
            actual = tokens(prompt, int(got.worst.output_tokens * used))
            await ledger.settle(AWAITING, got, actual)
            spent += actual.tokens
            assert spent <= int(limit * share)

    async def everybody() -> Ledger:
        ledger = open_ledger(budget, bridge=AWAITING)
        async with asyncio.timeout(60):
            await asyncio.gather(*(work(ledger, number) for number in range(workers)))
        return ledger

    under_way: list[int] = []
    ledger = asyncio.run(everybody())
    assert most_at_once <= limit - budget.kept_back()["tokens"]
    assert ledger.spent.tokens <= limit - budget.kept_back()["tokens"]


def test_threads_never_pass_the_limit_together() -> None:
    ledger = open_ledger(Budget(tokens=1000, summary=0))
    barrier = threading.Barrier(16)

    def work(number: int) -> None:
        barrier.wait()
        try:
            while True:
                settle(ledger, reserve(ledger, tokens(30, 20), Account("w", f"t{number}")), tokens(30, 19))
        except BudgetSpentError:
            return

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))
    assert 1000 - 50 < ledger.spent.tokens <= 1000


def test_a_call_that_does_not_fit_waits_for_what_others_give_back() -> None:
    async def scene() -> list[str]:
        ledger = open_ledger(Budget(tokens=100, summary=0), bridge=AWAITING)
        seen = []
        first = await ledger.reserve(AWAITING, CODER, "m", tokens(80), tokens(80))

        async def second() -> None:
            await ledger.reserve(AWAITING, Account("w", "t2"), "m", tokens(50), tokens(50))
            seen.append("second")

        waiting = asyncio.create_task(second())
        await asyncio.sleep(0)
        seen.append("first settles")
        await ledger.settle(AWAITING, first, tokens(20))
        await waiting
        return seen

    assert asyncio.run(scene()) == ["first settles", "second"]


def test_a_call_that_can_never_fit_is_refused_even_while_others_are_under_way() -> None:
    ledger = open_ledger(Budget(tokens=100, summary=0))
    reserve(ledger, tokens(80))
    with pytest.raises(BudgetSpentError, match=r"the budget of tokens is spent \(80 of 100 used"):
        reserve(ledger, tokens(101))


def test_the_answer_is_shortened_to_what_is_left() -> None:
    ledger = open_ledger(Budget(tokens=100, summary=0))
    got = reserve(ledger, tokens(40, 500), least=tokens(40, 10))
    assert got.worst == tokens(40, 60)


def test_the_price_of_a_shortened_answer_is_rounded_up_and_fits() -> None:
    ledger = open_ledger(Budget(cost_usd=0.000_000_010, summary=0))
    got = reserve(ledger, Spend(1, 9, 1, 0, 28), least=Spend(1, 1, 1, 0, 4))
    assert got.worst == Spend(1, 3, 1, 0, 10)


def test_what_is_kept_back_is_for_the_summary_alone() -> None:
    ledger = open_ledger(Budget(tokens=100, model_calls=3, summary=0.2))
    with pytest.raises(BudgetSpentError):
        reserve(ledger, tokens(81))
    settle(ledger, reserve(ledger, tokens(80)), tokens(80))
    settle(ledger, reserve(ledger, tokens(20), SUMMARY), tokens(20))
    assert ledger.spent == Spend(100, 0, 2)


def test_a_worker_has_its_share_and_a_sub_task_has_its_own() -> None:
    ledger = open_ledger(Budget(tokens=100, summary=0, workers={"coder": 0.5}, sub_task=0.3))
    with pytest.raises(BudgetSpentError, match="the share of t1 of tokens"):
        reserve(ledger, tokens(31))
    for task in ("t1", "t2"):
        settle(ledger, reserve(ledger, tokens(25), Account("coder", task)), None)
    with pytest.raises(BudgetSpentError, match="the share of coder of tokens") as refused:
        reserve(ledger, tokens(1), Account("coder", "t3"))
    assert not refused.value.is_of_run
    settle(ledger, reserve(ledger, tokens(25), Account("other", "t3")), None)


def test_usage_that_is_not_reported_counts_as_reserved() -> None:
    ledger = open_ledger(Budget(tokens=100, summary=0))
    settle(ledger, reserve(ledger, tokens(40, 10)), None)
    assert ledger.spent == tokens(40, 10)


def test_a_refused_request_costs_nothing() -> None:
    ledger = open_ledger(Budget(tokens=100, summary=0))
    settle(ledger, reserve(ledger, tokens(100)), Spend())
    assert ledger.spent == Spend()


def test_a_reservation_is_durable_before_its_call_and_counts_as_spent_after_a_crash() -> None:
    store = InMemoryStore()
    ledger = open_ledger(Budget(tokens=100, summary=0), store)
    settle(ledger, reserve(ledger, tokens(10)), tokens(7))
    reserve(ledger, tokens(40, 10))
    survivor = open_ledger(Budget(tokens=100, summary=0), store)
    run_blocking(survivor.load(BLOCKING))
    assert survivor.spent == Spend(47, 10, 2)
    with pytest.raises(BudgetSpentError):
        reserve(survivor, tokens(44))


def test_a_raised_budget_and_the_time_so_far_are_durable() -> None:
    store, now = InMemoryStore(), [0.0]
    ledger = open_ledger(Budget(wall_clock_s=10, summary=0), store, clock=lambda: now[0])
    now[0] = 6.0
    settle(ledger, reserve(ledger, tokens(1)), None)
    run_blocking(ledger.set_budget(BLOCKING, ledger.budget.raised({"tokens": 5})))
    later = open_ledger(Budget(), store, clock=lambda: now[0])
    run_blocking(later.load(BLOCKING))
    assert later.budget == Budget(tokens=5, wall_clock_s=10, summary=0)
    assert later.seconds == 6.0
    now[0] = 10.0
    with pytest.raises(BudgetSpentError, match="time"):
        reserve(later, tokens(1))


def test_another_task_begins_with_nothing_spent_and_the_same_run_goes_on() -> None:
    store = InMemoryStore()
    run_blocking(begin_ledger(BLOCKING, store, "thread", Budget(tokens=100), "run 1"))
    ledger = open_ledger(Budget(), store)
    run_blocking(ledger.load(BLOCKING))
    reserve(ledger, tokens(50))
    run_blocking(begin_ledger(BLOCKING, store, "thread", Budget(tokens=100), "run 1"))
    assert set(run_blocking(read_rows(BLOCKING, store, "thread"))) == {"budget", "coder"}
    run_blocking(begin_ledger(BLOCKING, store, "thread", Budget(tokens=9), "run 2"))
    rows = run_blocking(read_rows(BLOCKING, store, "thread"))
    assert rows == {"budget": {"budget": {"tokens": 9}, "run": "run 2"}}


async def test_callers_that_load_at_once_count_what_was_spent_once() -> None:
    class SlowStore(InMemoryStore):
        async def abatch(self, ops: Any) -> Any:
            await asyncio.sleep(0)
            return self.batch(ops)

    store = SlowStore()
    ledger = open_ledger(Budget(tokens=100, summary=0), store, AWAITING)
    await ledger.settle(AWAITING, await ledger.reserve(AWAITING, CODER, "m", tokens(10), tokens(10)), None)
    later = open_ledger(Budget(), store, AWAITING)
    await asyncio.gather(*(later.load(AWAITING) for _ in range(3)))
    await later.load(AWAITING)
    assert later.spent == tokens(10)


class CountingStore(InMemoryStore):
    """Counts the rows that are written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = 0

    def batch(self, ops: Any) -> Any:
        listed = list(ops)
        self.written += sum(isinstance(op, PutOp) for op in listed)
        return super().batch(listed)


def test_only_rows_that_have_changed_are_written() -> None:
    store = CountingStore()
    ledger = open_ledger(Budget(tokens=100, summary=0), store)
    for account in (CODER, Account("writer", "t2")):
        settle(ledger, reserve(ledger, tokens(10), account), None)
    assert store.written == 4, "each reservation and each settlement is one row"
    run_blocking(ledger.flush(BLOCKING))
    later = open_ledger(Budget(tokens=100, summary=0), store)
    run_blocking(later.load(BLOCKING))
    run_blocking(later.flush(BLOCKING))
    assert store.written == 4


def test_rows_are_not_indexed_where_the_store_has_an_embedder() -> None:
    embedded: list[str] = []

    def embed(texts: Sequence[str]) -> list[list[float]]:
        embedded.extend(texts)
        return [[1.0] for _ in texts]

    store = InMemoryStore(index={"embed": embed, "dims": 1})
    run_blocking(begin_ledger(BLOCKING, store, "thread", Budget(tokens=100), "run-1"))
    ledger = open_ledger(Budget(tokens=100, summary=0), store)
    settle(ledger, reserve(ledger, tokens(10)), None)
    assert run_blocking(read_rows(BLOCKING, store, "thread")).keys() == {"budget", "coder"}
    assert embedded == []


def test_the_default_is_written_like_a_report_until_much_is_used() -> None:
    store = InMemoryStore()
    ledger = open_ledger(Budget.default(), store, clock=lambda: 0.0)
    settle(ledger, reserve(ledger, tokens(0)), tokens(349_999))
    assert run_blocking(read_rows(BLOCKING, store, "thread")) == {}
    settle(ledger, reserve(ledger, tokens(0)), tokens(1))
    reserve(ledger, tokens(900, 100))
    again = open_ledger(Budget.default(), store)
    run_blocking(again.load(BLOCKING))
    assert again.spent.tokens == 351_000, "a killed process leaves its reservation behind"


def test_where_nothing_is_limited_rows_are_written_every_three_seconds() -> None:
    store, now = CountingStore(), [0.0]
    ledger = open_ledger(Budget(), store, clock=lambda: now[0])
    written = []
    for seconds in (1.0, 2.9, 3.0, 5.9, 6.0):
        now[0] = seconds
        settle(ledger, reserve(ledger, tokens(10)), None)
        written.append(store.written)
    assert written == [0, 0, 1, 1, 2]


def test_the_limit_that_was_reached_first_is_the_one_that_is_asked_about() -> None:
    store = InMemoryStore()
    ledger = open_ledger(Budget(tokens=100), store)
    assert ledger.asked == ""
    for problem in ("tokens are spent", "time is up"):
        run_blocking(ledger.ask(BLOCKING, problem))
    later = open_ledger(Budget(), store)
    run_blocking(later.load(BLOCKING))
    assert ledger.asked == later.asked == "tokens are spent"
    run_blocking(later.set_budget(BLOCKING, Budget(tokens=200)))
    assert later.asked == ""


def test_without_tool_calls_the_other_limits_still_have_their_stages() -> None:
    ledger = open_ledger(Budget(tokens=100, tool_calls=0, summary=0))
    assert (ledger.used_share, ledger.stage()) == (0, "")
    settle(ledger, reserve(ledger, tokens(75)), None)
    assert (ledger.used_share, ledger.stage()) == (0.75, "warn")
    with pytest.raises(BudgetSpentError, match="tool calls is spent"):
        run_blocking(ledger.count_tool_call(BLOCKING, CODER))


def test_tool_calls_are_counted_before_they_are_made() -> None:
    ledger = open_ledger(Budget(tool_calls=2))
    for _ in range(2):
        run_blocking(ledger.count_tool_call(BLOCKING, CODER))
    with pytest.raises(BudgetSpentError, match="tool calls is spent"):
        run_blocking(ledger.count_tool_call(BLOCKING, CODER))


def test_stages_are_told_once_each() -> None:
    ledger = open_ledger(Budget(tokens=100, summary=0, warn_at=0.5, shrink_at=0.8))
    told = []
    for _ in range(10):
        settle(ledger, reserve(ledger, tokens(10)), None)
        told.append(ledger.new_stage())
    assert told == ["", "", "", "", "warn", "", "", "short", "", "spent"]


def test_few_calls_are_under_way_at_once_when_little_is_left() -> None:
    async def scene() -> int:
        ledger = open_ledger(Budget(tokens=1000, summary=0, shrink_at=0.5), bridge=AWAITING)
        await ledger.settle(AWAITING, await ledger.reserve(AWAITING, CODER, "m", tokens(500), tokens(500)), None)
        at_once, most = 0, 0

        async def work(number: int) -> None:
            nonlocal at_once, most
            got = await ledger.reserve(AWAITING, Account("w", f"t{number}"), "m", tokens(10), tokens(10))
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0)
            at_once -= 1
            await ledger.settle(AWAITING, got, None)

        await asyncio.gather(*(work(number) for number in range(8)))
        return most

    assert asyncio.run(scene()) == 2


def test_a_prompt_that_was_counted_too_low_raises_later_counts() -> None:
    margins = PromptMargins()
    margins.learn("m", 100, 90)
    assert margins.of("m") == 1.0
    margins.learn("m", 100, 120)
    assert margins.of("m") == pytest.approx(1.26)
    margins.learn("m", 126, 150)
    assert margins.of("m") > 1.26
