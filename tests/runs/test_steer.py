"""Instructions to a run that goes on: every later step sees them once and in order, and no work is repeated."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore

from orchestrator import (
    ConfigError,
    OrchestratorClient,
    Run,
    Steered,
    TaskOrchestrator,
    UnknownThreadError,
    compile_graph,
    declare,
)
from orchestrator.concurrency import BLOCKING, run_blocking
from orchestrator.reviews import instructions
from orchestrator.reviews.instructions import record_instruction
from orchestrator.testing import Gate, Request, TeamScript, call, say
from tests.support.teams import make_team, open_team, retry, step, worked

CHAIN = [step("a", agent="tooled"), step("b", "a")]


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def look(text: str) -> str:
    """Look something up."""
    return f"found {text}"


def requests_for(one: TaskOrchestrator, sub_task: str) -> list[Request]:
    """Return the requests of the workers of one sub-task, in their order."""
    requests: list[Request] = one.supervisor.model.requests  # type: ignore[attr-defined]
    return [r for r in requests if not r.title and f"Sub-task {sub_task}: " in r.text and "final answer" not in r.text]


def texts(request: Request, role: str = "user") -> list[str]:
    return [text for each, text in request.messages if each == role]


def steps_of_a(gate: Gate) -> dict[str, Any]:
    """Three steps of a, the second of which hangs at the gate."""
    return {"a": [call("look", text="x"), call("look", text="y").behind(gate), say("result of a")]}


def test_every_later_step_sees_it_once_behind_what_is_there(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    gate, told = Gate(), []
    with open_team(TeamScript(CHAIN, results=steps_of_a(gate)), tmp_path / "x.db", look) as one:
        running = pool.submit(one.run, "go", thread_id="t", auto_approve=True, on_event=told.append)
        assert gate.entered.wait(10)
        one.steer("t", "prefer Spanish sources")
        one.steer("t", "and be brief")
        gate.release()
        run = running.result(10)
        assert run.status == "done"
        first, second, third = requests_for(one, "a")
        assert "Spanish" not in first.text + second.text
        assert third.messages[: len(second.messages)] == second.messages  # an endpoint's cache still fits
        assert [role for role, _ in third.messages[len(second.messages) :]] == ["assistant", "tool", "user"]
        assert third.last_user.endswith("- prefer Spanish sources\n- and be brief")
        [of_b] = requests_for(one, "b")
        assert len(texts(of_b)) == 1
        assert of_b.text.count("prefer Spanish sources") == 1
        answer = one.supervisor.model.requests[-1]  # type: ignore[attr-defined]
        assert "Write the final answer" in answer.last_user
        assert "prefer Spanish sources" in answer.text
        assert [e.text for e in told if isinstance(e, Steered)] == ["prefer Spanish sources", "and be brief"]
        assert [i.text for i in run.instructions] == ["prefer Spanish sources", "and be brief"]
        assert worked(one.supervisor.model).count("b") == 1


def test_a_later_step_still_sees_it_in_its_place(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    gate = Gate()
    steps = [call("look", text="x").behind(gate), *(call("look", text=str(n)) for n in range(3)), say("result of a")]
    with open_team(TeamScript(CHAIN, results={"a": steps}), tmp_path / "x.db", look) as one:
        running = pool.submit(one.run, "go", thread_id="t", auto_approve=True)
        assert gate.entered.wait(10)
        one.steer("t", "prefer Spanish sources")
        gate.release()
        assert running.result(10).status == "done"
        _, second, *later = requests_for(one, "a")
        for request in later:
            assert request.messages[: len(second.messages)] == second.messages
            assert request.text.count("prefer Spanish sources") == 1


def test_another_connection_is_heard_by_the_very_next_step(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    gate = Gate()
    with open_team(TeamScript(CHAIN, results=steps_of_a(gate)), tmp_path / "x.db", look) as one:
        running = pool.submit(one.run, "go", thread_id="t", auto_approve=True)
        assert gate.entered.wait(10)
        with OrchestratorClient(tmp_path / "x.db") as other:
            # As another process does it: nothing in this process counts it.
            before = instructions._Recorded.count
            other.steer("t", "prefer Spanish sources")
            instructions._Recorded.count = before
        gate.release()
        assert running.result(10).status == "done"
        assert "prefer Spanish sources" in requests_for(one, "a")[2].text


def test_a_run_without_instructions_reads_the_store_once_for_them(tmp_path: Path) -> None:
    steps = [*(call("look", text=str(n)) for n in range(5)), say("result of a")]
    with open_team(TeamScript(CHAIN, results={"a": steps}), tmp_path / "x.db", look) as one:
        searched = []
        batch = one.persistence.store.batch

        def counted(ops: Any) -> Any:
            operations = list(ops)
            searched.extend(op for op in operations if "steering" in getattr(op, "namespace_prefix", ()))
            return batch(operations)

        one.persistence.store.batch = counted  # type: ignore[method-assign]
        assert one.run("go", thread_id="t", auto_approve=True).status == "done"
        assert len(searched) == 2  # the beginning, and the `Run` at the end


def test_it_is_kept_over_an_interruption_and_in_its_place(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    first, second = Gate(), Gate()
    steps = [call("look", text="x").behind(first), call("look", text="y"), call("look", text="z").behind(second)]
    script = TeamScript(CHAIN, results={"a": [*steps, say("result of a")]})
    with open_team(script, tmp_path / "x.db", look) as one:
        running = pool.submit(one.run, "go", thread_id="t", auto_approve=True)
        assert first.entered.wait(10)
        one.steer("t", "first word")
        first.release()
        assert second.entered.wait(10)
        assert one.cancel("t") == "cancelled"
        assert running.result(10).status == "interrupted"
        one.steer("t", "second word")
        second.release()
        run = one.resume("t")
        assert run.status == "done"
        _, sees_first, cancelled, again, last = requests_for(one, "a")
        assert again.messages[: len(cancelled.messages)] == cancelled.messages
        assert again.last_user.endswith("- second word")
        for request in (sees_first, cancelled, again, last):
            assert request.text.count("first word") == 1
        assert last.text.count("second word") == 1
        assert [i.text for i in run.instructions] == ["first word", "second word"]


def test_a_run_that_waits_sees_it_when_it_goes_on(tmp_path: Path) -> None:
    with open_team(TeamScript(CHAIN, results={"a": say("it")}), tmp_path / "x.db", look) as one:
        run = one.run("go", thread_id="t")
        one.steer("t", "prefer Spanish sources")
        one.decide(run.reviews[0], "approve")
        assert one.resume("t").status == "done"
        assert all("prefer Spanish sources" in requests_for(one, i)[0].text for i in "ab")


def test_a_plan_that_is_made_again_sees_it(tmp_path: Path) -> None:
    with open_team(TeamScript([CHAIN, CHAIN]), tmp_path / "x.db", look) as one:
        run = one.run("go", thread_id="t")
        one.steer("t", "prefer Spanish sources")
        one.decide(run.reviews[0], "reject", "shorter")
        one.resume("t")
        plans = [r for r in one.supervisor.model.requests if r.title == "Plan"]  # type: ignore[attr-defined]
        assert ["prefer Spanish sources" in r.text for r in plans] == [False, True]


def test_a_revision_sees_it_and_finished_work_stays(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    gate = Gate()
    script = TeamScript(
        [step("a"), step("b")],
        results={"a": say("result of a"), "b": say("").behind(gate), ("b", 2): say("result of b")},
        revisions=[{"decision": "revise", "reason": "", "changes": [retry("b")]}],
    )
    with open_team(script, tmp_path / "x.db") as one:
        running = pool.submit(one.run, "go", thread_id="t", auto_approve=True)
        assert gate.entered.wait(10)
        one.steer("t", "prefer Spanish sources")
        gate.release()
        assert running.result(10).status == "done"
        [revision] = [r for r in one.supervisor.model.requests if r.title == "Revision"]  # type: ignore[attr-defined]
        assert "prefer Spanish sources" in revision.text
        assert worked(one.supervisor.model).count("a") == 1


def test_a_reviewer_sees_it_in_its_verdict(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    gate = Gate()
    plan = [step("a"), step("r", "a", agent="reviewer")]
    with open_team(TeamScript(plan, results={"a": say("it").behind(gate)}), tmp_path / "x.db") as one:
        running = pool.submit(one.run, "go", thread_id="t", auto_approve=True)
        assert gate.entered.wait(10)
        one.steer("t", "prefer Spanish sources")
        gate.release()
        assert running.result(10).status == "done"
        [verdict] = [r for r in one.supervisor.model.requests if r.title == "Verdict"]  # type: ignore[attr-defined]
        assert verdict.text.count("prefer Spanish sources") == 1


def test_a_new_task_on_the_thread_does_not_inherit_it(tmp_path: Path) -> None:
    with open_team(TeamScript(CHAIN, results={"a": say("it")}), tmp_path / "x.db", look) as one:
        run = one.run("go", thread_id="t")
        one.steer("t", "prefer Spanish sources")
        one.decide(run.reviews[0], "approve")
        assert one.resume("t").status == "done"
        asked = len(one.supervisor.model.requests)  # type: ignore[attr-defined]
        again = one.run("go on", thread_id="t", auto_approve=True)
        assert again.instructions == ()
        later = one.supervisor.model.requests[asked:]  # type: ignore[attr-defined]
        assert later
        assert not any("Spanish" in request.text for request in later)


def test_the_new_task_sees_what_came_before_its_first_step(tmp_path: Path) -> None:
    """Given when the thread is durable and nothing has run yet."""
    with open_team(TeamScript(CHAIN, results={"a": say("it")}), tmp_path / "x.db", look) as one:
        one.run("before", thread_id="t", auto_approve=True)
        begun = threading.Event()

        def steer_now(thread_id: str) -> None:
            with OrchestratorClient(tmp_path / "x.db") as other:
                run_blocking(record_instruction(BLOCKING, other.persistence.store, thread_id, "be brief", "me"))
            begun.set()

        one.on_begin = steer_now
        run = one.run("go", thread_id="t", auto_approve=True)
        assert begun.is_set()
        assert [i.text for i in run.instructions] == ["be brief"]
        [*_, plan] = [r for r in one.supervisor.model.requests if r.title == "Plan"]  # type: ignore[attr-defined]
        assert "be brief" in plan.text


def test_it_does_not_taint_and_does_not_stop(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    gate, written = Gate(), []

    def write(text: str) -> str:
        """Write a text down."""
        written.append(text)
        return "written"

    declare(write, risk="write")
    steps = [call("look", text="x").behind(gate), call("write", text="it"), say("result of a")]
    with open_team(
        TeamScript(CHAIN, results={"a": steps}), tmp_path / "x.db", declare(look, risk="read"), write
    ) as one:
        running = pool.submit(one.run, "go", thread_id="t", auto_approve=True)
        assert gate.entered.wait(10)
        one.steer("t", "stop")
        gate.release()
        run = running.result(10)
        assert run.status == "done"
        assert written == ["it"]  # auto-approval refuses it to a worker that has read untrusted text


@pytest.mark.parametrize("text", ["", "  \n", "x" * 4001, 7])
def test_what_is_no_instruction_is_refused_in_one_line(tmp_path: Path, text: Any) -> None:
    with open_team(TeamScript(CHAIN), tmp_path / "x.db", look) as one:
        one.run("go", thread_id="t")
        with pytest.raises(ConfigError) as refused:
            one.steer("t", text)
        assert "\n" not in str(refused.value)
        assert one.show("t").instructions == ()


def test_a_thread_that_is_unknown_or_has_ended_takes_none(tmp_path: Path) -> None:
    with open_team(TeamScript(CHAIN, results={"a": say("it")}), tmp_path / "x.db", look) as one:
        with pytest.raises(UnknownThreadError):
            one.steer("t", "be brief")
        one.run("go", thread_id="t", auto_approve=True)
        with pytest.raises(ConfigError, match="thread 't' is done"):
            one.steer("t", "be brief")


def test_characters_that_no_database_takes_are_replaced(tmp_path: Path) -> None:
    with open_team(TeamScript(CHAIN), tmp_path / "x.db", look) as one:
        one.run("go", thread_id="t")
        one.steer("t", "half \ud83d of it")
        [instruction] = one.show("t").instructions
        assert instruction.text.encode()
        assert one.show("t").to_dict()["instructions"] == [instruction.plain()]


def test_numbers_are_in_order_whoever_writes_at_once(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    with open_team(TeamScript(CHAIN), tmp_path / "x.db", look) as one:
        one.run("go", thread_id="t")
        with OrchestratorClient(tmp_path / "x.db") as other:
            given = [pool.submit((one, other)[n % 2].steer, "t", f"word {n}") for n in range(20)]
            numbers = sorted(each.result(10).number for each in given)
        assert numbers == list(range(1, 21))
        kept = one.show("t").instructions
        assert [i.number for i in kept] == numbers
        assert {i.number: i.text for i in kept} == {f.result().number: f.result().text for f in given}


@pytest.mark.parametrize("is_async", [False, True])
def test_a_bare_graph_sees_it_too(pool: ThreadPoolExecutor, is_async: bool) -> None:
    gate, store = Gate(), InMemoryStore()
    team = make_team(TeamScript(CHAIN, results=steps_of_a(gate)), look)
    graph = compile_graph(team, checkpointer=InMemorySaver(), store=store)
    config: Any = {"configurable": {"thread_id": "t"}}
    given = {"task": "go", "auto_approve": True}

    def run() -> Any:
        return asyncio.run(graph.ainvoke(given, config)) if is_async else graph.invoke(given, config)

    running = pool.submit(run)
    assert gate.entered.wait(10)
    run_blocking(record_instruction(BLOCKING, store, "t", "prefer Spanish sources", "me"))
    gate.release()
    assert running.result(10)["status"] == "done"
    requests = team.supervisor.model.requests  # type: ignore[attr-defined]
    assert sum("prefer Spanish sources" in r.text for r in requests) == 4  # a's last step, b, plan, answer
    before = len(requests)
    assert isinstance(graph.invoke({"task": "another", "auto_approve": True}, config), dict)
    assert not any("Spanish" in r.text for r in requests[before:])


def test_a_run_lists_them_in_its_output(tmp_path: Path) -> None:
    with open_team(TeamScript(CHAIN), tmp_path / "x.db", look) as one:
        run: Run = one.run("go", thread_id="t")
        given = one.steer("t", "be brief")
        assert one.show("t").instructions == (given,)
        assert run.instructions == ()
