"""The first message of an attempt."""

from typing import Any

from langgraph.store.memory import InMemoryStore

from orchestrator import SubTask
from orchestrator.agents.assignment import Assignment
from orchestrator.agents.task_message import task_message
from orchestrator.concurrency import BLOCKING, run_blocking
from orchestrator.memory.entry import Entry
from orchestrator.memory.shared_memory import SharedMemory
from orchestrator.model_calls.calls import ModelCalls
from orchestrator.tool_calls.worker_context import Actor, Oversight, WorkerContext
from orchestrator.trust import tainted_by


def written(*entries: Entry, is_small: bool = False, feedback: Any = (), attempt: int = 1, **of: Any) -> Any:
    store = InMemoryStore()
    memory = SharedMemory(store, "thread")
    run_blocking(memory.write(BLOCKING, *entries))
    sub_task = SubTask(id="b", description="add them up", target_agent="coder", feedback=feedback, attempt=attempt)
    context = WorkerContext(Actor("coder", "thread", "b", "b-1"), Oversight(store), memory, ModelCalls(BLOCKING), 8000)
    assignment = Assignment(sub_task=sub_task, task="write a report", key="b-1", **of)
    return run_blocking(task_message(BLOCKING, assignment, context, is_small=is_small))


def test_it_ends_with_the_sub_task_and_shows_the_results_that_it_needs() -> None:
    message = written(Entry(key="a-1", text="4 and 5", sub_task_id="a"), needs=("a-1",))
    assert message.text.startswith("The whole task, to know what it is about: write a report\n\n")
    assert "Results of other sub-tasks:\n[a]" in message.text
    assert message.text.endswith("\n\nSub-task b: add them up")


def test_a_small_model_is_not_shown_the_whole_task() -> None:
    assert written(is_small=True).text == "Sub-task b: add them up"


def test_a_result_that_was_cut_off_is_gone_on_with() -> None:
    before = Entry(key="b-0", text="4 +", sub_task_id="b", status="note")
    text = written(before, previous="b-0").text
    assert "Your result of the attempt before, which was cut off: go on from there:\n" in text


def test_a_result_that_was_not_accepted_is_done_differently() -> None:
    before = Entry(key="b-0", text="10", sub_task_id="b", status="note")
    text = written(before, previous="b-0", feedback=("it is 9",), attempt=2).text
    assert "Your result of the attempt before:\n" in text
    assert "It was not accepted. Do it differently:\n- it is 9\n\nSub-task b (attempt 2): add them up" in text


def test_feedback_without_a_result_is_what_an_earlier_attempt_was_told() -> None:
    assert "What an earlier attempt was told:\n- it is 9" in written(feedback=("it is 9",)).text


def test_it_is_as_tainted_as_what_it_shows() -> None:
    page = Entry(key="a-1", text="4", sub_task_id="a", trusted=False, tainted_by=("a: fetch()",))
    assert tainted_by([written(page, needs=("a-1",), tainted_by=("plan",))]) == ("a: fetch()", "plan")
