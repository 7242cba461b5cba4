"""A call whose effect must happen once, killed over and over: each repetition is asked anew."""

import os
import shutil
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import tool
from langgraph.types import interrupt

import orchestrator.memory.recall
from orchestrator import Review, Supervisor, TaskOrchestrator, Team, Worker, declare
from orchestrator.graph.build import compile_graph
from orchestrator.testing import (
    CrashAfter,
    CrashingStore,
    EffectLog,
    ScriptedModel,
    TeamScript,
    call,
    run_until_killed,
    say,
)
from tests.support.teams import step

KILLED = -signal.SIGKILL


def send_and_die(folder: Path, dies: bool = True, store_point: CrashAfter | None = None) -> None:
    """Runs or resumes; the tool has its effect, and then the process dies."""
    orchestrator.memory.recall.has_embedder = lambda: False  # as in the other tests
    effects = EffectLog(folder / "effects")

    @tool
    def send(text: str) -> str:
        """Sends a letter."""
        effects.record(text)
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)
        return "sent"

    declare(send, risk="write", effect="once")
    script = TeamScript([step("a", agent="clerk")], results={"a": [call("send", text="x"), say("done")]})
    team = Team(Supervisor(), [Worker("clerk", "You send.", tools=[send])], model=ScriptedModel(script))
    with TaskOrchestrator(team=team, db=str(folder / "x.db")) as engine:
        if store_point is not None:
            engine.graph = compile_graph(
                team,
                checkpointer=engine.persistence.checkpointer,
                store=CrashingStore(engine.persistence.store, store_point),
            )
        if not any(record.id == "t" for record in engine.threads()):
            engine.run("go", thread_id="t")
        else:
            engine.resume("t")


def look(folder: Path, action: Any = None) -> list[str]:
    """The open questions; answered when there is an action."""
    script = TeamScript([])
    team = Team(Supervisor(), [Worker("clerk", "You send.")], model=ScriptedModel(script))
    with TaskOrchestrator(team=team, db=str(folder / "x.db")) as engine:
        reviews = engine.reviews("t")
        if action is not None:
            (review,) = reviews
            engine.decide(review.id, action, "no" if action == "reject" else "")
        return [f"{review.question} {review.stake}" for review in reviews]


def sent(folder: Path) -> int:
    return EffectLog(folder / "effects").counts()["x"]


def begin(folder: Path) -> None:
    """The plan and the call are approved; the first call is made and killed."""
    assert run_until_killed(send_and_die, folder) == 0
    look(folder, "approve")
    assert run_until_killed(send_and_die, folder) == 0
    look(folder, "approve")
    assert run_until_killed(send_and_die, folder) == KILLED
    assert sent(folder) == 1


def test_each_repetition_of_an_effect_is_asked_anew(tmp_path: Path) -> None:
    begin(tmp_path)
    asked = set()
    for repetition in range(1, 4):
        assert run_until_killed(send_and_die, tmp_path) == 0, "it waits for a human"
        assert sent(tmp_path) == repetition
        (question,) = look(tmp_path, "approve")
        assert "again" in question
        asked.add(question)
        assert run_until_killed(send_and_die, tmp_path) == KILLED
        assert sent(tmp_path) == repetition + 1
    assert len(asked) == 3
    assert any("begun 3 times" in question for question in asked)
    assert run_until_killed(send_and_die, tmp_path) == 0
    look(tmp_path, "reject")
    assert run_until_killed(send_and_die, tmp_path) == 0
    assert look(tmp_path) == []
    assert sent(tmp_path) == 4


@pytest.mark.parametrize("before", [True, False])
def test_killed_at_the_note_of_a_repetition_the_approval_is_not_used_twice(tmp_path: Path, before: bool) -> None:
    begin(tmp_path)
    assert run_until_killed(send_and_die, tmp_path, False) == 0
    look(tmp_path, "approve")
    assert run_until_killed(send_and_die, tmp_path, False, CrashAfter("store", 1, before)) == KILLED
    assert sent(tmp_path) == 1
    assert run_until_killed(send_and_die, tmp_path, False) == 0
    if before:  # nothing was noted: the approval is still unused
        assert sent(tmp_path) == 2
    else:  # the call may have been made for all that anybody knows
        assert sent(tmp_path) == 1
        look(tmp_path, "approve")
        assert run_until_killed(send_and_die, tmp_path, False) == 0
        assert sent(tmp_path) == 2
    assert look(tmp_path) == []


def ask_and_send(folder: Path, *, dies: bool = False, point: CrashAfter | None = None, finishes: bool = False) -> None:
    """Run or resume a tool that asks before its effect. The process dies after the effect, or at a write.

    Args:
        folder: For the database, the effects and the approved repetitions.
        dies: Die when the effect has happened.
        point: The write to die at.
        finishes: Answer every review as it comes, and go on to the end.
    """
    orchestrator.memory.recall.has_embedder = lambda: False  # as in the other tests
    effects = EffectLog(folder / "effects")

    @tool
    def send(text: str) -> str:
        """Sends a letter."""
        answer = interrupt("Send it?")
        effects.record(text)
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)
        return f"sent: {answer}"

    declare(send, risk="read", effect="once")
    script = TeamScript([step("a", agent="clerk")], results={"a": [call("send", text="x"), say("done")]})
    team = Team(Supervisor(), [Worker("clerk", "You send.", tools=[send])], model=ScriptedModel(script))
    with TaskOrchestrator(team=team, db=str(folder / "x.db")) as engine:
        saver, store = engine.persistence.checkpointer, engine.persistence.store
        if point is not None:
            engine.graph = compile_graph(team, checkpointer=saver, store=CrashingStore(store, point))
        known = [record.id for record in engine.threads()]
        run = engine.resume("t") if "t" in known else engine.run("go", thread_id="t")
        while finishes and run.reviews:
            for review in run.reviews:
                decide(folder, engine, review)
            run = engine.resume("t")
        assert not finishes or run.status == "done", run


def decide(folder: Path, engine: TaskOrchestrator, review: Review) -> None:
    if review.kind == "question":
        engine.decide(review, "answer", "yes")
        return
    if review.kind == "tool":
        EffectLog(folder / "repetitions").record(review.id)
    engine.decide(review, "approve")


def answer_all(folder: Path) -> list[str]:
    """Decide what is open; return the kinds."""
    team = Team(Supervisor(), [Worker("clerk", "You send.")], model=ScriptedModel(TeamScript([])))
    with TaskOrchestrator(team=team, db=str(folder / "x.db")) as engine:
        reviews = engine.reviews("t")
        for review in reviews:
            decide(folder, engine, review)
        return [review.kind for review in reviews]


def until(folder: Path, stage: str) -> None:
    """Go on to the moment before the tool asks, before it has its answer, or before its call is repeated."""
    assert run_until_killed(ask_and_send, folder) == 0
    assert answer_all(folder) == ["plan"]
    if stage == "question":
        return
    assert run_until_killed(ask_and_send, folder) == 0
    assert answer_all(folder) == ["question"]
    if stage == "answer":
        return
    assert run_until_killed(partial(ask_and_send, dies=True), folder) == KILLED
    assert sent(folder) == 1
    assert run_until_killed(ask_and_send, folder) == 0
    assert answer_all(folder) == ["tool"]


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("stage", ["question", "answer", "repetition"])
def test_a_tool_that_asks_first_is_killed_at_each_write_and_repeats_no_effect_unasked(
    tmp_path: Path, stage: str, before: bool
) -> None:
    """Each repetition is asked anew, and an effect beyond the first one has its approval."""
    base = tmp_path / "base"
    base.mkdir()
    until(base, stage)
    number, was_killed = 0, True
    while was_killed:
        number += 1
        folder = tmp_path / str(number)
        shutil.copytree(base, folder)
        code = run_until_killed(partial(ask_and_send, point=CrashAfter("store", number, before)), folder)
        assert code in (0, KILLED)
        was_killed = code == KILLED
        # The second kill, after the effect if it comes now, must not be taken for the first one.
        assert run_until_killed(partial(ask_and_send, dies=True), folder) in (0, KILLED)
        assert run_until_killed(partial(ask_and_send, finishes=True), folder) == 0, number
        repetitions = EffectLog(folder / "repetitions").counts()
        assert set(repetitions.values()) <= {1}, "no review is asked twice"
        assert 1 <= sent(folder) <= 1 + len(repetitions), (number, repetitions)
        assert answer_all(folder) == []
    assert number > 3, "there were writes to die at"
