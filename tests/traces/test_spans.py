"""Spans are made from what a journal tells, also of processes that were killed, and of any endpoint."""

from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator import JournalRecord
from orchestrator.reports.history.reading import histories
from orchestrator.traces.endpoints import endpoint_attributes
from orchestrator.traces.span import TraceSpan
from orchestrator.traces.spans import first_unsent, spans_of


def record(seq: int, kind: str, sub_task: str = "", at: int | None = None, **data: Any) -> JournalRecord:
    time = datetime.fromtimestamp(1000 + (seq if at is None else at), UTC)
    return JournalRecord(seq, time, "t", kind, sub_task, 1 if sub_task else 0, data=data)


KILLED = [
    record(1, "run_began", task="x", host="h", pid=1),
    record(2, "round_began", round=1),
    record(3, "sub_task_started", "a", agent="worker"),
    record(4, "model_asked", "a", call="1", model="m", agent="worker"),
    record(5, "run_resumed", at=50, host="h", pid=2),
    record(6, "model_lost", "a", at=51, call="1", agent="worker", spent={"input_tokens": 5}),
    record(7, "model_asked", "a", at=52, call="2", model="m", agent="worker"),
    record(8, "model_answered", "a", at=53, call="2", model="m", agent="worker", text="y"),
    record(9, "sub_task_ended", "a", at=54, status="succeeded", text="y"),
    record(10, "run_ended", at=55, status="done"),
]


def of(records: list[JournalRecord]) -> list[TraceSpan]:
    (task,) = histories(records)
    return spans_of("t", task, first_unsent(task))


def times(spans: list[TraceSpan], name: str) -> list[tuple[int, int]]:
    return [(int(s.began.timestamp()) - 1000, int(s.ended.timestamp()) - 1000) for s in spans if s.name == name]


def test_the_spans_of_a_killed_process_end_with_the_last_thing_that_it_told() -> None:
    spans = of(KILLED)
    assert times(spans, "invoke_workflow") == [(1, 4), (50, 55)]
    assert times(spans, "invoke_agent worker") == [(3, 4), (50, 54)]
    assert times(spans, "chat m") == [(4, 4), (52, 53)]
    lost = next(span for span in spans if span.key == "model 1")
    assert (lost.error, lost.attributes["error.type"]) == ("its process was killed", "_OTHER")
    assert lost.attributes["gen_ai.usage.input_tokens"] == 5
    assert [s.attributes["orchestrator.run.status"] for s in spans if s.name == "invoke_workflow"] == [
        "unfinished",
        "done",
    ]


def test_a_stretch_that_was_sent_at_its_pause_is_not_sent_again() -> None:
    paused = [*KILLED[:4], record(5, "run_paused", status="waiting"), *KILLED[5:]]
    assert times(of(paused), "invoke_workflow") == [(51, 55)]


def test_an_attempt_that_is_done_again_under_its_number_has_a_span_of_its_own() -> None:
    again = [record(20 + n, kind, "a", at=54, status="succeeded") for n, kind in enumerate(
        ("sub_task_started", "sub_task_ended")
    )]  # fmt: skip
    spans = of([*KILLED[:9], *again, KILLED[9]])
    assert len({span.span_id for span in spans}) == len(spans)
    assert len([span for span in spans if span.name.startswith("invoke_agent")]) == 3


def test_a_model_that_failed_names_the_class_of_its_error() -> None:
    failed = record(8, "model_failed", "a", at=53, call="2", agent="worker", error="no", error_type="TimeoutError")
    (chat,) = [span for span in of([*KILLED[:7], failed, *KILLED[8:]]) if span.key == "model 2"]
    assert (chat.error, chat.attributes["error.type"]) == ("no", "TimeoutError")


@pytest.mark.parametrize(
    ("endpoint", "wanted"),
    [
        ("https://api.openai.com/v1", ("openai", "api.openai.com", 443)),
        ("https://x.openai.azure.com/openai", ("azure.ai.openai", "x.openai.azure.com", 443)),
        ("https://generativelanguage.googleapis.com/v1beta", ("gcp.gemini", "generativelanguage.googleapis.com", 443)),
        ("https://notx.ai/v1", ("openai", "notx.ai", 443)),
        ("http://localhost:11434/v1", ("openai", "localhost", 11434)),
        ("http://[::1]:99999/v1", ("openai", None, None)),
        ("ChatAnthropic", ("anthropic", None, None)),
        ("this machine", ("llama_cpp", None, None)),
        ("OwnModel", ("OwnModel", None, None)),
        ("", (None, None, None)),
    ],
)
def test_the_provider_and_the_address_come_from_the_endpoint(endpoint: str, wanted: tuple[Any, ...]) -> None:
    models = {"agents": {"worker": {"model": "m", "endpoint": endpoint}}}
    told = endpoint_attributes(models, "worker", "m")
    assert tuple(map(told.get, ("gen_ai.provider.name", "server.address", "server.port"))) == wanted


def test_a_fallback_has_an_endpoint_of_its_own() -> None:
    models = {
        "agents": {"worker": {"model": "m", "endpoint": "https://api.openai.com/v1"}},
        "others": [{"model": "n", "endpoint": "https://api.mistral.ai/v1"}],
    }
    assert endpoint_attributes(models, "worker", "n")["gen_ai.provider.name"] == "mistral_ai"
    assert endpoint_attributes(models, "worker", "o")["gen_ai.provider.name"] == "openai"
