"""The journal of tool calls: what is noted of a call, and how a resumed process reads it."""

from typing import Any

import pytest
from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.prebuilt import ToolRuntime
from langgraph.store.memory import InMemoryStore

from orchestrator import declare
from orchestrator.concurrency import BLOCKING, run_blocking
from orchestrator.memory.shared_memory import SharedMemory
from orchestrator.model_calls.calls import ModelCalls
from orchestrator.tool_calls.calls import call_tool
from orchestrator.tool_calls.journals.effects import CallJournal, call_identity, is_answered, is_paused, repetition_of
from orchestrator.tool_calls.worker_context import Actor, Oversight, WorkerContext


def journal(store: InMemoryStore, identity: str = "1-a") -> CallJournal:
    return CallJournal(BLOCKING, SharedMemory(store, "thread"), "key", identity, "send")


def context(memory: SharedMemory) -> WorkerContext:
    return WorkerContext(
        actor=Actor("worker", "thread", "t1", "key"),
        oversight=Oversight(InMemoryStore(), auto_approve=True),
        memory=memory,
        calls=ModelCalls(BLOCKING),
        window=8000,
    )


def test_a_call_is_noted_before_it_is_made_and_its_answer_after() -> None:
    store = InMemoryStore()
    assert run_blocking(journal(store).read()) is None
    run_blocking(journal(store).begin())
    begun = run_blocking(journal(store).read())
    assert begun is not None
    assert not is_answered(begun)
    run_blocking(journal(store).finish("sent", trusted=False, tainted_by=("t1: send()",)))
    ended = run_blocking(journal(store).read())
    assert ended is not None
    assert is_answered(ended)
    assert (ended.text, ended.taint, ended.agent) == ("sent", ("t1: send()",), "send")
    assert run_blocking(journal(store, "2-a").read()) is None


def test_a_note_counts_the_repetitions_of_its_call_through_a_pause() -> None:
    made = journal(InMemoryStore())
    for repetition in (0, 2):
        run_blocking(made.begin(repetition))
        begun = run_blocking(made.read())
        assert begun is not None
        assert (repetition_of(begun), is_paused(begun)) == (repetition, False)
        run_blocking(made.pause())
        paused = run_blocking(made.read())
        assert paused is not None
        assert (repetition_of(paused), is_paused(paused), is_answered(paused)) == (repetition, True, False)


@pytest.mark.parametrize(
    ("steps", "stored"),
    [
        (lambda made: [made.begin()], {}),
        (lambda made: [made.begin(2)], {"repetition": 2}),
        (lambda made: [made.pause()], {"paused": True}),
        (lambda made: [made.begin(2), made.pause()], {"paused": True, "repetition": 2}),
        (lambda made: [made.begin(2), made.finish("sent", trusted=True, tainted_by=())], {"done": True}),
    ],
    ids=["begun", "begun again", "paused", "begun again and paused", "finished"],
)
def test_a_note_is_stored_as_it_always_was(steps: Any, stored: dict[str, Any]) -> None:
    made = journal(InMemoryStore())
    for part in steps(made):
        run_blocking(part)
    note = run_blocking(made.read())
    assert note is not None
    assert (note.key, note.status, note.outcome) == ("call-key-1-a", "note", stored)
    assert repetition_of(note) == stored.get("repetition", 0)


def test_a_note_is_no_result_that_another_worker_would_be_shown() -> None:
    made = journal(InMemoryStore())
    run_blocking(made.begin())
    assert made.memory.all() == []
    run_blocking(made.pause())
    assert made.memory.all() == []
    run_blocking(made.finish("sent", trusted=True, tainted_by=()))
    assert made.memory.all() == made.memory.get_recent() == []


def test_calls_of_two_steps_are_told_apart_though_an_endpoint_repeats_its_ids() -> None:
    first = [HumanMessage("do it"), AIMessage("", tool_calls=[{"name": "send", "args": {}, "id": "a"}])]
    second = [*first, ToolMessage("sent", tool_call_id="a"), AIMessage("again")]
    assert call_identity(first, "a") != call_identity(second, "a")
    assert call_identity(first, "a") == call_identity([*first], "a")


def test_an_answer_from_the_journal_is_as_short_as_it_was_at_first() -> None:
    @tool
    def report() -> str:
        """Writes the report."""
        return "line of the report " * 40

    declare(report, risk="read", effect="once", output_limit=100)
    memory = SharedMemory(InMemoryStore(), "thread")
    runtime: Any = ToolRuntime({}, context(memory), {}, lambda _: None, "a", None)
    request = ToolCallRequest(
        tool=report,
        tool_call={"name": "report", "args": {}, "id": "a", "type": "tool_call"},
        state={"messages": [AIMessage("", tool_calls=[{"name": "report", "args": {}, "id": "a"}])]},
        runtime=runtime,
    )

    def handler(_: Any) -> ToolMessage:
        return ToolMessage(report.invoke({}), tool_call_id="a", name="report")

    first = run_blocking(call_tool(BLOCKING, request, handler))
    # As after a kill between the call and the checkpoint that holds its answer.
    again = run_blocking(call_tool(BLOCKING, request, lambda _: pytest.fail("called again")))
    assert isinstance(first, ToolMessage)
    assert isinstance(again, ToolMessage)
    assert again.text == first.text
    assert len(first.text) < 250
