"""Whole runs whose models write their tool calls as text, break the arguments, or call what is not there."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import BaseTool, tool

import orchestrator.memory.recall
from orchestrator import Limits, Run, Supervisor, TaskOrchestrator, Team, Worker, declare
from orchestrator.testing import (
    Dialect,
    EffectLog,
    Fault,
    OpenAIServer,
    Reply,
    ScriptedModel,
    TeamScript,
    call,
    run_until_killed,
    say,
)
from orchestrator.testing.dialects import hostile
from tests.models.call_reading.forms import CALL, NO_CALL, ONE_CALL, TOLD
from tests.support.endpoints import model_at
from tests.support.pages import Page
from tests.support.teams import step

PLAN = [step("a", agent="clerk")]


def lookup_of(calls: list[str], risk: str = "read") -> BaseTool:
    @tool
    def lookup(lake: str) -> str:
        """Looks a lake up."""
        calls.append(lake)
        return f"{lake} is 5 m deep"

    return declare(lookup, risk=risk, effect="none" if risk == "read" else "once")  # type: ignore[arg-type]


def run_on(model: BaseChatModel, *tools: BaseTool, page: Page | None = None, **limits: Any) -> Run:
    team = Team(Supervisor(), [Worker("clerk", "You work.", tools=tools)], model=model, limits=Limits(**limits))
    with TaskOrchestrator(team=team, db="memory://") as engine:
        return engine.run("go", thread_id="t", auto_approve=True, on_event=page)


def result(run: Run) -> str:
    return run.outcomes["a"].digest


@pytest.mark.parametrize("text", ONE_CALL.values(), ids=ONE_CALL)
def test_a_call_that_stands_as_text_is_made_and_is_no_result(text: str) -> None:
    calls: list[str] = []
    page = Page()
    model = ScriptedModel(TeamScript(PLAN, results={"a": [say(text), say("It is 5 m deep.")]}))
    run = run_on(model, lookup_of(calls), page=page)
    assert (run.status, calls, result(run)) == ("done", ["Onda"], "It is 5 m deep.")
    assert "Onda is 5 m deep" in model.requests[2].text, "the model is told what the tool has found"
    assert page.shown["a"] == "It is 5 m deep.", "the call does not stay on the screen"


@pytest.mark.parametrize("text", TOLD.values(), ids=TOLD)
def test_a_call_that_cannot_be_made_is_told_in_the_same_attempt(text: str) -> None:
    calls: list[str] = []
    model = ScriptedModel(TeamScript(PLAN, results={"a": [say(text), call("lookup", lake="Iri"), say("5 m")]}))
    run = run_on(model, lookup_of(calls))
    assert (run.status, calls, result(run)) == ("done", ["Iri"], "5 m")
    assert "rror" in model.requests[2].messages[-1][1]


@pytest.mark.parametrize("text", [CALL, TOLD["unknown, alone"], TOLD["cut off"]])
def test_a_model_that_goes_on_calling_in_text_ends_its_attempt_and_never_with_the_call_as_result(text: str) -> None:
    script = TeamScript(
        PLAN, results={"a": [say(text)] * 9}, revisions=[{"reason": "no use", "decision": "finish", "changes": []}] * 3
    )
    run = run_on(ScriptedModel(script), lookup_of([]), steps=4, attempts=1)
    assert run.outcomes["a"].status == "failed"
    assert "lookup" not in run.answer


@pytest.mark.parametrize(
    "text", [text for text in NO_CALL.values() if text], ids=[name for name in NO_CALL if NO_CALL[name]]
)
def test_a_result_that_only_shows_a_call_is_the_result(text: str) -> None:
    calls: list[str] = []
    run = run_on(ScriptedModel(TeamScript(PLAN, results={"a": text})), lookup_of(calls))
    assert (run.status, calls) == ("done", [])
    assert result(run)[:20] == " ".join(text.split())[:20]


def test_a_worker_without_tools_is_told_that_it_has_none() -> None:
    model = ScriptedModel(TeamScript(PLAN, results={"a": [say(CALL), say("in words")]}))
    run = run_on(model)
    assert (run.status, result(run)) == ("done", "in words")
    assert "you have no tools" in model.requests[2].last_user
    assert run.outcomes["a"].usage["model_calls"] == 2, "both calls are counted"


def test_the_answer_is_never_a_call() -> None:
    answers = iter([CALL, "The answer, in words."])

    def script(request: Any) -> Reply:
        if "Write the final answer" in request.text and not request.title:
            return say(next(answers))
        return TeamScript(PLAN)(request)

    assert run_on(ScriptedModel(script)).answer == "The answer, in words."
    answers = iter([CALL] * 2)
    run = run_on(ScriptedModel(script))
    assert "lookup" not in run.answer
    assert "result of a" in run.answer, "the results stand in the answer's place"


@pytest.mark.parametrize(
    "dialect",
    [*hostile.CALLS_IN_TEXT, *hostile.BROKEN_ARGUMENTS, *hostile.FORMS_OF_CALLS],
    ids=lambda dialect: str(dialect.name),
)
@pytest.mark.parametrize("is_heard", [False, True], ids=["whole", "streamed"])
def test_whatever_form_an_endpoint_gives_calls_the_tool_is_called_and_the_attempt_goes_on(
    dialect: Dialect, is_heard: bool
) -> None:
    calls: list[str] = []
    script = TeamScript(PLAN, results={"a": [*[call("lookup", lake="Onda")] * 3, say("5 m")]})

    def once_known(request: Any) -> Reply:
        return say("5 m") if "Onda is 5 m deep" in request.text and not request.title else script(request)

    def answers(request: Any) -> Reply:
        return script(request) if "Write the final answer" in request.text else once_known(request)

    with OpenAIServer(answers, dialect=dialect) as server:
        page = Page() if is_heard else None
        run = run_on(model_at(server.base_url), lookup_of(calls), page=page)
    assert (run.status, calls, result(run)) == ("done", ["Onda"], "5 m")


def test_half_an_argument_is_never_guessed_for_a_tool_that_writes() -> None:
    calls: list[str] = []
    broken = hostile.breaking("in the middle of a text", lambda text: text[:-4])
    script = TeamScript(PLAN, results={"a": [*[call("lookup", lake="all lakes but Onda")] * 3, say("5 m")]})
    for page in (None, Page()):
        calls.clear()
        with OpenAIServer(script, dialect=broken) as server:
            run_on(model_at(server.base_url), lookup_of(calls, "write"), page=page)
        assert set(calls) == {"all lakes but Onda"}


def test_a_call_that_the_endpoint_could_not_read_is_read_here_and_tools_stay_native() -> None:
    calls: list[str] = []
    error = {
        "message": "Failed to call a function. Please adjust your prompt.",
        "type": "invalid_request_error",
        "code": "tool_use_failed",
        "failed_generation": '<function=lookup>{"lake": "Onda"}</function>',
    }
    bodies = [{"error": error}, {"error": {**error, "failed_generation": "hm"}}]
    faults = iter([None, *(Fault(400, raw=json.dumps(body)) for body in bodies)])
    script = TeamScript(PLAN, results={"a": [say("unused"), say("unused"), say("5 m")]})
    with OpenAIServer(script, faults=lambda _: next(faults, None)) as server:
        run = run_on(model_at(server.base_url), lookup_of(calls))
    assert (run.status, calls, result(run)) == ("done", ["Onda"], "5 m")
    assert all("tools" in body for body in server.bodies[1:4]), "the refusal was about the answer"
    assert "Failed to call a function" in json.dumps(server.bodies[3])


class Foreign(BaseChatModel):
    """A model of another client, which leaves broken calls to LangChain."""

    answers: Any

    @property
    def _llm_type(self) -> str:
        return "foreign"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self.answers.pop(0))])


def test_the_calls_of_any_other_model_are_mended_too() -> None:
    calls: list[str] = []
    unread = {"name": "functions.lookup", "id": "", "error": "x", "type": "invalid_tool_call"}
    answers = [
        AIMessage("", invalid_tool_calls=[{**unread, "args": "{'lake': 'Onda'}"}]),
        AIMessage("", invalid_tool_calls=[{**unread, "args": '{"lake": "Iri"} {"lake": "Ula"}'}]),
        AIMessage(f"<tool_call>{CALL}</tool_call>"),
        AIMessage("5 m"),
    ]
    model = ScriptedModel(TeamScript(PLAN))
    worker = Worker("clerk", "You work.", tools=[lookup_of(calls)], model=Foreign(answers=answers))
    with TaskOrchestrator(team=Team(Supervisor(), [worker], model=model), db="memory://") as engine:
        run = engine.run("go", auto_approve=True)
    assert (run.status, calls, result(run)) == ("done", ["Onda", "Onda"], "5 m")


def test_a_call_in_text_waits_for_the_same_review_as_any_other(tmp_path: Path) -> None:
    calls: list[str] = []
    script = TeamScript(PLAN, results={"a": [say(CALL), say("done")]})
    clerk = Worker("clerk", "You work.", tools=[lookup_of(calls, "write")])
    team = Team(Supervisor(), [clerk], model=ScriptedModel(script))
    with TaskOrchestrator(team=team, db=str(tmp_path / "x.db")) as engine:
        engine.decide(engine.run("go", thread_id="t").reviews[0].id, "approve")
        [review] = engine.resume("t").reviews
        assert review.kind == "tool"
        assert not calls
        engine.decide(review.id, "approve")
        assert engine.resume("t").status == "done"
    assert calls == ["Onda"]


def write_and_die(folder: Path) -> None:
    """Runs or resumes; the tool has its effect once, and then the process dies."""
    orchestrator.memory.recall.has_embedder = lambda: False
    effects = EffectLog(folder / "effects")

    @tool
    def lookup(lake: str) -> str:
        """Looks a lake up."""
        effects.record(lake)
        return "noted"

    @tool
    def die() -> str:
        """Dies."""
        effects.record("die")
        if effects.counts()["die"] == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return "alive"

    tools = [declare(lookup, risk="write", effect="once"), declare(die, risk="read", effect="none")]
    dying = '<tool_call>{"name": "die", "arguments": {}}</tool_call>'
    script = TeamScript(PLAN, results={"a": [say(CALL), say(dying), say("5 m")]})
    model = ScriptedModel(script)
    team = Team(Supervisor(), [Worker("clerk", "You work.", tools=tools)], model=model)
    with TaskOrchestrator(team=team, db=str(folder / "x.db")) as engine:
        known = any(record.id == "t" for record in engine.threads())
        run = engine.resume("t") if known else engine.run("go", thread_id="t", auto_approve=True)
        (folder / "end").write_text(f"{run.status} {result(run)} {len(model.requests)}")


def test_a_kill_behind_a_call_in_text_repeats_nothing(tmp_path: Path) -> None:
    assert run_until_killed(write_and_die, tmp_path) == -signal.SIGKILL
    assert run_until_killed(write_and_die, tmp_path) == 0
    assert EffectLog(tmp_path / "effects").counts() == {"Onda": 1, "die": 2}
    assert (tmp_path / "end").read_text() == "done 5 m 2", "the worker's last step, and the answer"
