"""Prompts fit the window that an endpoint tells, in its list of models or in a refusal, from the next prompt on."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver

from orchestrator import (
    Budget,
    ModelSettings,
    Supervisor,
    TaskOrchestrator,
    Team,
    Worker,
    chat_model,
    compile_graph,
    declare,
)
from orchestrator.testing import Dialect, OpenAIServer, Refusal, Reply, TeamScript, Window, call
from orchestrator.testing.dialects import conditions
from tests.support.teams import statuses, step

LONG = " ".join(["ab"] * 6000)
PLAN = [step("a"), step("b", "a", agent="tooled")]
WORDS = "This model's maximum context length is {window} tokens, and your request has {prompt} input tokens."


def endpoint(window: int, field_name: str = "") -> Dialect:
    """Return a server that counts each word, and refuses what does not fit."""
    refusal = Refusal(conditions.always, WORDS)
    return Dialect("small", model="m", window=Window(window, refusal, field_name))


def team_on(server: OpenAIServer, *tools: Any, budget: Budget | None = None) -> Team:
    model = chat_model(ModelSettings(base_url=server.base_url, model="m", max_retries=0, timeout_s=20))
    workers = [Worker("worker", "You work."), Worker("tooled", "You use tools.", tools=tools)]
    return Team(Supervisor(), workers, model=model, budget=budget)


@declare(risk="read")
@tool
def look(page: int) -> str:
    """Looks."""
    return f"page {page}: {LONG}"


def results(calls: int) -> dict[str, Any]:
    return {"a": LONG, "b": [*(call("look", page=number) for number in range(calls)), "seen"]}


@pytest.mark.parametrize("window", [2000, 32_000])
def test_prompts_fit_the_window_in_the_list_of_models_from_the_first_one_on(tmp_path: Path, window: int) -> None:
    script = TeamScript(PLAN, results=results(3))
    with OpenAIServer(script, dialect=endpoint(window, "max_model_len")) as server:
        team = team_on(server, look)
        assert server.targets == [], "making a team asks nothing"
        with TaskOrchestrator(team=team, db=str(tmp_path / "x")) as orchestrator:
            assert server.targets == []
            run = orchestrator.run(f"task {LONG}", auto_approve=True)
        assert (run.status, run.answer) == ("done", "the answer")
        assert server.refused == []
        assert [target for target in server.targets if "models" in target] == ["/v1/models"]
        longest = max(len(str(body["messages"]).split()) for body in server.bodies)
        assert (longest > 6000) is (window == 32_000), "a larger window is used"


def test_a_window_that_a_refusal_tells_shortens_the_prompts_of_the_same_attempt(tmp_path: Path) -> None:
    script = TeamScript(PLAN, results=results(3))
    with (
        OpenAIServer(script, dialect=endpoint(2000)) as server,
        TaskOrchestrator(team=team_on(server, look), db=str(tmp_path / "x")) as orchestrator,
    ):
        run = orchestrator.run("task", auto_approve=True)
        assert (run.status, statuses(run.outcomes)) == ("done", {"a": "succeeded", "b": "succeeded"})
        assert not any("(attempt 2)" in str(body) for body in server.bodies)
        assert len(server.refused) == 1, "what one refusal tells holds for the next prompts"


def test_the_conversation_of_an_attempt_is_shortened_when_a_later_step_is_refused(tmp_path: Path) -> None:
    script = TeamScript([step("b", agent="tooled")], results=results(4))
    with (
        OpenAIServer(script, dialect=endpoint(3000)) as server,
        TaskOrchestrator(team=team_on(server, look), db=str(tmp_path / "x")) as orchestrator,
    ):
        run = orchestrator.run("task", auto_approve=True)
        assert run.status == "done"
        assert not any("(attempt 2)" in str(body) for body in server.bodies)
        assert len(server.refused) == 1
        assert server.refused[0].body["messages"][-1]["role"] == "tool"


@pytest.mark.parametrize("is_async", [False, True])
def test_so_it_is_in_the_bare_graph(is_async: bool) -> None:
    with OpenAIServer(TeamScript(PLAN, results=results(1)), dialect=endpoint(2000)) as server:
        graph = compile_graph(team_on(server, look), checkpointer=InMemorySaver())
        config: Any = {"configurable": {"thread_id": "t"}}
        task = {"task": f"task {LONG}", "auto_approve": True}
        state = asyncio.run(graph.ainvoke(task, config)) if is_async else graph.invoke(task, config)
        assert state["answer"] == "the answer"
        assert len(server.refused) == 1


def test_a_plan_whose_task_does_not_fit_is_asked_for_with_a_shorter_task(tmp_path: Path) -> None:
    with (
        OpenAIServer(TeamScript([step("a")]), dialect=endpoint(2000)) as server,
        TaskOrchestrator(team=team_on(server), db=str(tmp_path / "x")) as orchestrator,
    ):
        run = orchestrator.run(f"task {LONG}", auto_approve=True)
        assert run.status == "done"
        assert len(server.refused) == 1


def test_a_prompt_that_cannot_become_shorter_fails_as_before(tmp_path: Path) -> None:
    with (
        OpenAIServer(TeamScript([step("a")]), dialect=endpoint(1024)) as server,
        TaskOrchestrator(
            Supervisor(prompt=LONG), [Worker("worker", "You work.")], model=team_on(server).supervisor.model,
            db=str(tmp_path / "x"),
        ) as orchestrator,
        pytest.raises(Exception, match="maximum context length is 1024"),
    ):  # fmt: skip
        orchestrator.run("task", auto_approve=True)


def test_an_answer_is_limited_to_what_the_window_in_the_list_leaves(tmp_path: Path) -> None:
    budget = Budget(tokens=9000, answer_tokens=4096)
    script = TeamScript([step("a")], results={"a": Reply("done")})
    with (
        OpenAIServer(script, dialect=endpoint(3000, "max_model_len")) as server,
        TaskOrchestrator(team=team_on(server, budget=budget), db=str(tmp_path / "x")) as orchestrator,
    ):
        run = orchestrator.run("task", auto_approve=True)
        assert (run.status, server.refused) == ("done", [])
        assert all(64 <= body["max_tokens"] < 3000 for body in server.bodies)
