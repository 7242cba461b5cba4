"""Why an attempt ended early: it is marked on the messages, and so it outlives the process."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.store.base import BaseStore, Op, PutOp, Result

from orchestrator import Budget, Limits, compile_graph, declare
from orchestrator.agents.attempt_end import AttemptEnd
from orchestrator.budget.budget import BudgetSpentError
from orchestrator.budget.spend import Spend
from orchestrator.messages import mark_stopped
from orchestrator.testing import TeamScript, call
from tests.support.teams import open_team, step


def test_an_attempt_that_the_worker_finished_has_no_early_end() -> None:
    assert AttemptEnd.of([]) is None
    assert AttemptEnd.of([HumanMessage("do it"), AIMessage("done")]) is None


@pytest.mark.parametrize("end", [AttemptEnd(stopped=True), AttemptEnd(stalled="it called 'x' twice")])
def test_a_reason_is_read_from_the_message_that_it_was_marked_on(end: AttemptEnd) -> None:
    assert AttemptEnd.of([end.message("so far")]) == end
    assert AttemptEnd.of([end.message("so far"), AIMessage("done")]) is None


def test_a_spent_limit_is_the_same_error_afterwards() -> None:
    limit = BudgetSpentError("nano_usd", "t1", Spend(nano_usd=7_000_000), 9_000_000)
    end = AttemptEnd.of([AttemptEnd(limit=limit).message("so far")])
    assert end is not None
    assert end.limit is not None
    assert (str(end.limit), end.limit.plain(), end.limit.is_of_run) == (str(limit), limit.plain(), False)


def test_a_stop_counts_even_where_no_message_of_the_model_follows() -> None:
    stopped = mark_stopped(ToolMessage("error: stopped by a human", tool_call_id="a"))
    assert AttemptEnd.of([HumanMessage("do it"), stopped]) == AttemptEnd(stopped=True)


class LosesTheResult(BaseStore):
    """A store that fails at the first outcome it is to keep, as a kill right before that write would."""

    def __init__(self, inner: BaseStore) -> None:
        self.inner = inner
        self.has_failed = False

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        raise NotImplementedError

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        listed = list(ops)
        if not self.has_failed and any(isinstance(op, PutOp) and (op.value or {}).get("outcome") for op in listed):
            self.has_failed = True
            raise KeyError("the process is gone")
        return await self.inner.abatch(listed)


def test_half_a_result_is_not_a_whole_one_after_a_crash(tmp_path: Path) -> None:
    def look(text: str) -> str:
        """Looks."""
        return f"the same long answer to {text} " * 8

    script: Any = TeamScript([step("a", agent="tooled")], results={"a": [call("look", text="x")] * 6})
    limits = Limits(attempts=1, rounds=1, revisions=0)
    with open_team(script, tmp_path / "x.db", declare(tool(look)), limits=limits) as team:
        store = LosesTheResult(team.persistence.store)
        graph = team.graph
        team.graph = compile_graph(team.team, checkpointer=team.persistence.checkpointer, store=store)
        with pytest.raises(KeyError):
            team.run("task", thread_id="t", auto_approve=True)
        assert store.has_failed
        team.graph = graph
        run = team.resume("t")
        assert run.outcomes["a"].status == "failed"
        assert "going round in circles" in run.outcomes["a"].error


def test_a_worker_that_calls_on_after_the_runs_tool_calls_are_used_up_fails_for_that_reason(tmp_path: Path) -> None:
    @declare(risk="read")
    @tool
    def look(place: str) -> str:
        """Look."""
        return "deep"

    script = TeamScript(
        [step("a", agent="tooled")],
        results={"a": [call("look", place="lake"), call("look", place="sea"), "no"]},
        revisions=[{"reason": "x", "decision": "finish", "changes": []}],
    )
    with open_team(script, tmp_path / "x.db", look) as team:
        run = team.run("go", budget=Budget(tool_calls=1), auto_approve=True)
    assert "it called tools after the tool calls of the run were used up" in run.outcomes["a"].error
