"""The spending of a run over time, against its limits."""

from collections.abc import Callable
from datetime import timedelta
from xml.etree import ElementTree

import pytest
from hypothesis import given

from orchestrator.budget.spend import Spend
from orchestrator.budget.spending import Spending
from orchestrator.reports.history.task import TaskHistory
from orchestrator.reports.history.uses import ModelUse
from orchestrator.reports.timeline.drawing import timeline_html
from orchestrator.reports.timeline.money import money_tracks, prices_of
from orchestrator.reports.timeline.timeline import timeline_of
from tests.support.simulated_runs import BEGAN, SimulatedRun, simulated_runs


def priced(nano_usd: int | None) -> Callable[[ModelUse], int | None]:
    return lambda use: nano_usd


@given(simulated_runs())
def test_the_line_never_falls_and_ends_at_the_whole(task: TaskHistory) -> None:
    [track] = money_tracks(task)
    amounts = [amount for _, amount in track.steps]
    assert track.unit == "tokens"
    assert amounts == sorted(amounts)
    assert amounts[-1] == task.spent.tokens
    ElementTree.fromstring(timeline_html(timeline_of(task, BEGAN, is_running=False), None, [track]))


def test_dollars_are_shown_where_all_prices_are_known_and_tokens_where_they_are_limited() -> None:
    task = SimulatedRun([[]], [[1, 1, 1]], 1).run()
    dollars, tokens = money_tracks(task, priced(2_000_000))
    assert (dollars.words(), tokens.words()) == ("$0.0080", "40 of 1,000 tokens")
    task.budget = {"cost_usd": 0.5}
    [dollars] = money_tracks(task, priced(2_000_000))
    assert dollars.words() == "$0.0080 of $0.5000"
    assert [track.unit for track in money_tracks(task, priced(None))] == ["tokens"]


def test_a_raised_limit_is_a_step() -> None:
    task = SimulatedRun([[]], [[1, 1, 1]], 1).run()
    task.budget = {"tokens": 15}
    at = BEGAN + timedelta(seconds=2)
    task.limits = [{"budget": {"tokens": 60}, "by": "mira", "at": at.isoformat()}]
    [track] = money_tracks(task)
    assert track.limits == [(0.0, 15.0), (2.0, 60.0)]
    assert track.words() == "40 of 60 tokens"


def test_nothing_spent_is_no_track() -> None:
    assert money_tracks(SimulatedRun([[]], [[1, 1, 1]], 1).run(until=0.5)) == []


def test_prices_are_those_of_the_thread_s_spending() -> None:
    paid = Spend(input_tokens=1_000_000, output_tokens=1_000_000, model_calls=1)
    spending = Spending(paid, {"gpt-4.1-mini": paid})
    price = prices_of(spending)
    use = ModelUse("w", "gpt-4.1-mini", "1", BEGAN, spent=Spend(input_tokens=2000, output_tokens=500))
    whole = spending.nano_usd_of("gpt-4.1-mini", use.spent)
    assert whole
    assert price(use) == pytest.approx(whole, abs=20)
    assert price(ModelUse("w", "nobody-knows", "2", BEGAN, spent=Spend(input_tokens=1))) is None
    free = Spending(by_model={"qwen (embedded)": paid})
    assert prices_of(free)(ModelUse("w", "qwen", "3", BEGAN, spent=Spend(input_tokens=1))) == 0
