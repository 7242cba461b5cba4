"""Events: what is put on the stream is JSON, and comes back as it was."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import Plan, Review
from orchestrator.budget.spend import NANO
from orchestrator.events import (
    Answered,
    BudgetShort,
    Cancelled,
    Event,
    Planned,
    Planning,
    ReviewAsked,
    RoundStarted,
    RunStarted,
    Spent,
    Steered,
    SubTaskChanged,
    Summarizing,
    TextDelta,
    TextVoided,
    ToolCalled,
    ToolRefused,
    ToolReturned,
    parse_event,
)
from orchestrator.model_calls.call_events import FellBack, ModelAsked, ModelLoading, ModelReturned, PromptRead
from tests.support.strategies import plans

COUNTS = st.integers(0, 10**12)
TEXTS = st.text(max_size=40)
NAMES = st.text(min_size=1, max_size=12)
JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(NAMES, values, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(NAMES, JSON_VALUES, max_size=4)
REVIEWS = st.builds(
    Review,
    id=NAMES,
    kind=st.sampled_from(["plan", "result", "tool", "steer"]),
    question=TEXTS,
    subject=OBJECTS,
    allowed=st.sampled_from([("approve", "stop"), ("approve", "edit", "reject", "stop")]),
)
EVENTS: dict[type[Event], st.SearchStrategy[Event]] = {
    RunStarted: st.builds(RunStarted, st.booleans()),
    Planning: st.just(Planning()),
    Planned: st.builds(Planned, plans(), st.dictionaries(NAMES, TEXTS, max_size=3)),
    RoundStarted: st.builds(RoundStarted, COUNTS),
    SubTaskChanged: st.builds(
        SubTaskChanged,
        NAMES,
        st.sampled_from(["pending", "running", "waiting", "succeeded", "failed", "skipped"]),
        COUNTS,
        st.dictionaries(NAMES, COUNTS, max_size=4),
        st.floats(0, 1e9),
        TEXTS,
    ),
    ToolCalled: st.builds(ToolCalled, NAMES, NAMES, OBJECTS),
    ToolReturned: st.builds(ToolReturned, NAMES, NAMES, NAMES, TEXTS, TEXTS, st.booleans(), COUNTS, st.floats(0, 1e9)),
    ToolRefused: st.builds(ToolRefused, NAMES, NAMES, TEXTS),
    ReviewAsked: st.builds(ReviewAsked, REVIEWS),
    Spent: st.builds(
        Spent, COUNTS, COUNTS.map(lambda nano: nano / NANO), COUNTS, st.dictionaries(NAMES, st.floats(0, 1e9))
    ),
    BudgetShort: st.builds(BudgetShort, st.sampled_from(["warn", "short", "spent"]), TEXTS),
    FellBack: st.builds(FellBack, TEXTS, NAMES, NAMES, TEXTS),
    ModelAsked: st.builds(ModelAsked, TEXTS, NAMES, NAMES, NAMES),
    ModelReturned: st.builds(ModelReturned, TEXTS, NAMES, NAMES, NAMES, TEXTS, st.floats(0, 1e9)),
    PromptRead: st.builds(PromptRead, TEXTS, NAMES, NAMES, NAMES, COUNTS, COUNTS),
    ModelLoading: st.builds(ModelLoading, TEXTS, TEXTS, st.floats(0, 1e9)),
    TextDelta: st.builds(TextDelta, TEXTS, NAMES, TEXTS, NAMES, COUNTS),
    TextVoided: st.builds(TextVoided, TEXTS, NAMES, NAMES, TEXTS),
    Cancelled: st.builds(Cancelled, TEXTS),
    Steered: st.builds(Steered, TEXTS, NAMES, COUNTS),
    Summarizing: st.just(Summarizing()),
    Answered: st.builds(Answered, TEXTS, st.sampled_from(["done", "failed", "limited", "stopped"])),
}


def test_every_kind_of_event_is_tested_below() -> None:
    assert set(Event.__subclasses__()) == set(EVENTS)


@given(st.one_of(*EVENTS.values()))
def test_an_event_comes_back_from_json_as_it_was(event: Event) -> None:
    assert parse_event(json.loads(json.dumps(event.plain()))) == event


@given(st.one_of(*EVENTS.values()))
def test_keys_that_a_newer_version_adds_are_ignored(event: Event) -> None:
    assert parse_event({**event.plain(), "from_a_newer_version": [1]}) == event


@pytest.mark.parametrize(
    ("event", "plain"),
    [
        (RoundStarted(2), {"event": "round", "round": 2}),
        (
            Spent(30, 0.0025, 4, {"tokens": 500}),
            {"event": "spend", "tokens": 30, "nano_usd": 2_500_000, "calls": 4, "limits": {"tokens": 500}},
        ),
        (
            FellBack("a", "big", "small", "it is down"),
            {"event": "fallback", "sub_task_id": "a", "from": "big", "to": "small", "error": "it is down"},
        ),
        (
            ToolCalled("a", "add", {"x": 1}, "2-c1"),
            {"event": "tool", "sub_task_id": "a", "tool": "add", "args": {"x": 1}, "call_id": "2-c1"},
        ),
        (Planned(Plan(sub_tasks=())), {"event": "plan", "plan": {"sub_tasks": []}, "retries": {}}),
        (Answered("42", "done"), {"event": "answer", "answer": "42", "status": "done"}),
    ],
)
def test_readers_of_the_custom_stream_find_these_keys(event: Event, plain: dict[str, Any]) -> None:
    assert event.plain() == {**plain, "at": event.at.isoformat(), "thread_id": ""}


@given(st.one_of(*EVENTS.values()), st.datetimes(timezones=st.just(UTC)), TEXTS)
def test_time_and_thread_of_an_event_come_back_from_json(event: Event, at: datetime, thread_id: str) -> None:
    read = parse_event(json.loads(json.dumps(replace(event, at=at, thread_id=thread_id).to_dict())))
    assert read is not None
    assert (read.at, read.thread_id) == (at, thread_id)


@given(st.one_of(*EVENTS.values()))
def test_an_event_of_a_version_without_times_is_read(event: Event) -> None:
    older = {key: value for key, value in event.plain().items() if key not in ("at", "thread_id")}
    read = parse_event(older)
    assert read == event
    assert read is not None
    assert read.at.utcoffset() == timedelta(0)


def test_a_time_without_a_zone_is_taken_for_utc() -> None:
    read = parse_event({"event": "planning", "at": "2026-11-28T09:30:00"})
    assert read is not None
    assert read.at == datetime(2026, 11, 28, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "chunk",
    [
        None,
        "planning",
        7,
        [],
        {},
        {"event": None},
        {"event": ["plan"]},
        {"event": "from_a_newer_version", "text": "…"},
        {"event": "tool"},
        {"event": "plan", "plan": "look it up, then add"},
        {"event": "plan", "plan": {"sub_tasks": [{"id": 1}]}},
        {"event": "review", "review": {"id": "t/plan-1", "kind": "from_a_newer_version"}},
        {"event": "spend", "nano_usd": "much"},
        {"event": "planning", "at": "yesterday"},
        {"event": "planning", "at": 7},
    ],
)
def test_what_is_no_event_of_this_version_is_skipped(chunk: object) -> None:
    assert parse_event(chunk) is None
