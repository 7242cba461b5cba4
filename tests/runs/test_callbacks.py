"""The blocking interface beside its callbacks: streams that are not read to the end, questions asked on the spot."""

import asyncio
import re
import threading
from pathlib import Path
from typing import Any

import pytest

from orchestrator import Decision, Review
from orchestrator.errors import CallbackError, ConfigError
from orchestrator.events import Event
from orchestrator.persistence.leases import Leases
from orchestrator.testing import Gate, TeamScript, say
from tests.support.teams import model_of, open_team, step, worked

PLAN = [step("a"), step("b", "a")]


def approve(review: Review) -> Decision:
    return Decision(review_id=review.id, action="approve")


def test_a_stream_that_is_not_read_to_the_end_cancels_its_run_and_lets_go_of_the_thread(tmp_path: Path) -> None:
    gate = Gate()
    script = TeamScript(PLAN, results={"a": say("done a").behind(gate)})
    with open_team(script, tmp_path / "runs.db") as orchestrator:
        for _ in orchestrator.stream("x", thread_id="t", auto_approve=True):
            if gate.entered.is_set():
                break
            gate.entered.wait(0.01)
        gate.release()
        assert orchestrator.show("t").status == "interrupted"
        assert "b" not in worked(model_of(orchestrator))
        assert orchestrator.resume("t").status == "done"


def test_whoever_is_asked_may_look_at_the_thread_and_decide_there(tmp_path: Path) -> None:
    with open_team(TeamScript([step("a", approval=True)]), tmp_path / "runs.db") as orchestrator:
        seen = []

        def ask(review: Review) -> Decision:
            seen.append((review.kind, orchestrator.show("t").status, threading.current_thread().name))
            return approve(review)

        assert orchestrator.run("x", thread_id="t", on_review=ask).status == "done"
    assert [kind for kind, _, _ in seen] == ["plan", "result"]
    assert all(name != "orchestrator-loop" for _, _, name in seen), "other runs go on while a person thinks"


def test_a_blocking_call_from_an_event_says_so_instead_of_waiting_for_itself(tmp_path: Path) -> None:
    errors: list[BaseException] = []
    with open_team(TeamScript(PLAN), tmp_path / "runs.db") as orchestrator:

        def look(_: Event) -> None:
            try:
                orchestrator.show("t")
            except ConfigError as error:
                errors.append(error)

        assert orchestrator.run("x", thread_id="t", auto_approve=True, on_event=look).status == "done"
    assert errors
    assert "would wait for itself" in str(errors[0])


async def test_on_an_event_loop_of_ones_own_the_question_is_asked_there(tmp_path: Path) -> None:
    threads = []
    with open_team(TeamScript(PLAN), tmp_path / "runs.db") as orchestrator:

        def ask(review: Review) -> Decision:
            threads.append(asyncio.get_running_loop())
            return approve(review)

        run = await orchestrator.arun("x", thread_id="t", on_review=ask)
    assert run.status == "done"
    assert threads == [asyncio.get_running_loop()]


def test_a_second_task_that_was_cut_off_before_its_first_checkpoint_is_not_taken_for_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    async def killed(*_: object) -> None:
        raise Killed

    with open_team(TeamScript([step("a")], summary="an answer"), tmp_path / "runs.db") as orchestrator:
        first = orchestrator.run("the first", thread_id="t", auto_approve=True)
        assert first.status == "done"
        with monkeypatch.context() as patch:
            patch.setattr(orchestrator, "_invoke", killed)
            with pytest.raises(Killed):
                orchestrator.run("the second", thread_id="t", auto_approve=True)
        second = orchestrator.resume("t")
    assert (second.status, second.task) == ("done", "the second")


def test_finished_runs_leave_nothing_behind_in_the_process(tmp_path: Path) -> None:
    from orchestrator.graph.invocation import SHARED, shared_key

    with open_team(TeamScript(PLAN), tmp_path / "runs.db") as orchestrator:
        for at in range(3):
            orchestrator.run("x", thread_id=f"left-{at}", auto_approve=True)
        config: Any = {"configurable": {"thread_id": "left-by-the-graph-alone"}}
        asyncio.run(orchestrator.graph.ainvoke({"task": "x", "auto_approve": True}, config))
    assert not [key for key in SHARED.held_keys() if re.search("left-[0-9]", str(key))]
    kept = SHARED.get(shared_key("", "left-by-the-graph-alone"))
    assert kept is None or not kept._rounds


def test_looking_at_a_thread_does_not_keep_it_from_being_run(tmp_path: Path) -> None:
    with open_team(TeamScript(PLAN), tmp_path / "runs.db") as orchestrator:
        orchestrator.run("x", thread_id="t", auto_approve=True)
    with (
        open_team(TeamScript(PLAN), tmp_path / "runs.db") as one,
        open_team(TeamScript(PLAN), tmp_path / "runs.db") as two,
    ):
        looking = threading.Event()

        def look() -> None:
            with one.persistence.lease("t"):
                looking.set()
                threading.Event().wait(0.05)

        looker = threading.Thread(target=look)
        looker.start()
        assert looking.wait(10)
        with Leases(two.persistence.path).hold("t", patience_s=10):
            pass
        looker.join()


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()], ids=repr)
@pytest.mark.parametrize("name", ["on_event", "on_review"])
def test_a_callback_that_exits_is_an_error_with_its_name(tmp_path: Path, name: str, error: BaseException) -> None:
    def leave(_: object) -> None:
        raise error

    callback: Any = {name: leave}
    with open_team(TeamScript(PLAN), tmp_path / "runs.db") as orchestrator:
        with pytest.raises(CallbackError, match=f"{name} ended with {type(error).__name__}"):
            orchestrator.run("x", thread_id="t", **callback)
        with pytest.raises(CallbackError, match=name):
            asyncio.run(orchestrator.arun("x", thread_id="u", **callback))
        assert orchestrator.resume("t", on_review=approve).status == "done"


async def test_closing_a_stream_returns_when_its_run_has_let_go(tmp_path: Path) -> None:
    gate = Gate()
    script = TeamScript(PLAN, results={"a": say("done a").behind(gate)})
    with open_team(script, tmp_path / "runs.db") as orchestrator:
        stream = orchestrator.astream("x", thread_id="t", auto_approve=True)
        async for _ in stream:
            if gate.entered.is_set():
                break
        await stream.aclose()  # type: ignore[attr-defined]
        gate.release()
        assert (await orchestrator.aresume("t")).status == "done"
