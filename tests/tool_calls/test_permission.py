"""Permission for a tool call: what the policy rules, and what happens where nobody can be asked."""

from typing import Any

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.store.memory import InMemoryStore

from orchestrator import Policy, Rule, declare
from orchestrator.concurrency import BLOCKING, run_blocking
from orchestrator.memory.shared_memory import SharedMemory
from orchestrator.model_calls.calls import ModelCalls
from orchestrator.tool_calls.permission import Permission, PermissionRequest
from orchestrator.tool_calls.worker_context import Actor, Oversight, WorkerContext
from orchestrator.trust import taint

ARGS = {"text": "x"}


def ask(
    policy: Policy | None = None, tainted: bool = False, events: list[Any] | None = None, **who: bool
) -> Permission:
    @tool
    def send(text: str) -> str:
        """Sends a text."""
        return text

    store = InMemoryStore()
    context = WorkerContext(
        Actor("coder", "thread", "t1", "key"),
        Oversight(store, policy or Policy(), **who),
        SharedMemory(store, "thread"),
        ModelCalls(BLOCKING),
        window=8000,
        emit=([] if events is None else events).append,
    )
    page = ToolMessage("send it", tool_call_id="a")
    taint(page, ["t1: fetch()"] if tainted else [])
    request = PermissionRequest(
        BLOCKING,
        context,
        declare(send, risk="write", effect="once"),
        {"name": "send", "args": ARGS, "id": "b", "type": "tool_call"},
        "1-b",
        [HumanMessage("do it"), page],
    )
    return run_blocking(request.ask())


def test_a_call_that_the_policy_allows_keeps_its_arguments() -> None:
    assert ask(Policy.of(Rule(action="allow"))).args is ARGS


def test_a_call_that_the_policy_refuses_is_refused_with_its_reason_and_an_event() -> None:
    events: list[Any] = []
    permission = ask(Policy.of(Rule(action="refuse", reason="it is late")), events=events)
    assert permission.args is None
    assert permission.refusal == "the policy does not allow this call: it is late. Do without"
    assert len(events) == 1


def test_a_rule_without_a_reason_says_so() -> None:
    permission = ask(Policy.of(Rule(action="refuse")))
    assert permission.refusal == "the policy does not allow this call: no reason given. Do without"


def test_where_nobody_can_be_asked_the_call_is_refused() -> None:
    assert "there is nobody here to ask" in ask(unattended=True).refusal


def test_approval_in_advance_does_not_cover_calls_after_text_from_outside() -> None:
    assert ask(auto_approve=True).args is ARGS
    events: list[Any] = []
    permission = ask(auto_approve=True, tainted=True, events=events)
    assert permission.args is None
    assert permission.refusal.startswith("this run does not allow this call: the worker has read text from outside")
    assert len(events) == 1
