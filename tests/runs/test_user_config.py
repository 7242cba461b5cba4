"""`run(…, config=…)`: the caller's callbacks, tags and metadata reach every model and tool, and can break nothing."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler, CallbackManager
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_config

from orchestrator import ConfigError, TaskOrchestrator, Team, Worker, compile_graph, declare
from orchestrator.agents.supervisor import Supervisor
from orchestrator.testing import ScriptedModel, TeamScript, call
from tests.support.teams import step
from tests.support.traces import Traces

PLAN = [step("a", agent="clerk"), step("b", "a", agent="clerk"), step("c", "a", "b", agent="clerk")]


@declare(risk="read")
@tool
def look(what: str, config: RunnableConfig) -> str:
    """Looks."""
    inner = get_config()["configurable"]["tenant"]
    return f"{config['configurable']['tenant']} {inner} {config['tags']}"


@declare(risk="read")
@tool
async def look_later(what: str) -> str:
    """Looks."""
    return "looked"


def opened(*tools: BaseTool, model: ScriptedModel | None = None) -> TaskOrchestrator:
    return TaskOrchestrator(team=team(*tools, model=model), db="memory://")


def team(*tools: BaseTool, model: ScriptedModel | None = None) -> Team:
    calls = [call(each.name, what="x") for each in tools]
    model = model or ScriptedModel(TeamScript(PLAN, results={"a": [*calls, "done"]} if calls else {}))
    return Team(Supervisor(), [Worker("clerk", "You look.", tools=tools)], model=model)


def by_run(config: RunnableConfig) -> str:
    return opened(look, look_later).run("t", auto_approve=True, thread_id="t", config=config).status


def by_arun(config: RunnableConfig) -> str:
    return asyncio.run(opened(look, look_later).arun("t", auto_approve=True, thread_id="t", config=config)).status


def in_graph(config: RunnableConfig) -> tuple[Any, dict[str, Any], RunnableConfig]:
    configurable = {**config["configurable"], "thread_id": "t"}
    graph = compile_graph(team(look, look_later), checkpointer=InMemorySaver())
    return graph, {"task": "t", "auto_approve": True}, {**config, "configurable": configurable}


def by_invoke(config: RunnableConfig) -> str:
    graph, value, merged = in_graph(config)
    return str(graph.invoke(value, merged)["status"])


def by_ainvoke(config: RunnableConfig) -> str:
    graph, value, merged = in_graph(config)
    return str(asyncio.run(graph.ainvoke(value, merged))["status"])


@pytest.mark.parametrize("is_async", [False, True], ids=["sync handler", "async handler"])
@pytest.mark.parametrize("way", [by_run, by_arun, by_invoke, by_ainvoke])
def test_a_handler_sees_one_tree_with_the_names_and_facts_of_every_call(
    way: Callable[[RunnableConfig], str], is_async: bool
) -> None:
    traces = Traces()
    config: RunnableConfig = {
        "callbacks": [traces.handler(is_async=is_async)],
        "tags": ["nightly"],
        "metadata": {"customer": "17"},
        "run_name": "my run",
        "configurable": {"tenant": "acme"},
    }
    assert way(config) == "done"
    assert traces.paths("tool") == [f"/my run/clerk/clerk/tools/{name}" for name in ("look", "look_later")]
    workers = [path for path in traces.paths("model") if "clerk" in path]
    assert workers == ["/my run/clerk/clerk/model/model"] * 5
    assert {path.split("/")[2] for path in traces.paths("model")} == {"supervisor", "clerk", "summarize"}
    assert {path.split("/")[1] for path in traces.paths("chain")} == {"my run"}
    assert all("nightly" in tags for _, _, _, tags, _ in traces.rows.values())
    for facts in traces.metadata("model") + traces.metadata("tool"):
        assert (facts["customer"], facts["thread_id"]) == ("17", "t")
    facts = traces.metadata("tool")[0]
    assert {"agent": "clerk", "sub_task_id": "a", "attempt": 1, "round": 1}.items() <= facts.items()
    assert traces.metadata("model")[0]["agent"] == traces.metadata("model")[-1]["agent"] == "supervisor"


def test_tools_find_what_is_configured_in_their_config() -> None:
    model = ScriptedModel(TeamScript(PLAN, results={"a": [call("look", what="x"), "done"]}))
    config: RunnableConfig = {"configurable": {"tenant": "acme"}, "tags": ["nightly"]}
    assert opened(look, model=model).run("t", auto_approve=True, config=config).status == "done"
    [told] = [text for request in model.requests for role, text in request.messages if role == "tool"]
    assert told == "acme acme ['nightly']"


def test_a_resume_has_a_config_of_its_own() -> None:
    first, second = Traces(), Traces()
    orchestrator = opened()
    orchestrator.run("t", thread_id="t", config={"callbacks": [first.handler()]})
    orchestrator.decide(orchestrator.reviews()[0], "approve")
    count = len(first.rows)
    assert orchestrator.resume("t", config={"callbacks": [second.handler()]}).status == "done"
    assert len(first.rows) == count
    assert any("clerk" in path for path in second.paths("model"))


def test_without_a_name_of_the_callers_the_root_has_the_engines() -> None:
    traces = Traces()
    opened().run("t", auto_approve=True, config={"callbacks": CallbackManager([traces.handler()])})
    assert {path.split("/")[1] for path in traces.paths("chain")} == {"orchestrator"}


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("way", ["run", "arun"])
def test_a_handler_that_raises_or_exits_breaks_nothing(error: type[BaseException], is_async: bool, way: str) -> None:
    raised: list[str] = []

    def fail() -> None:
        raised.append("")
        raise error("from the handler")

    class Blocking(BaseCallbackHandler):
        run_inline = True

        def on_chain_start(self, *_: Any, **__: Any) -> None:
            fail()

        def on_chat_model_start(self, *_: Any, **__: Any) -> None:
            fail()

        def on_tool_end(self, *_: Any, **__: Any) -> None:
            fail()

    class Awaited(AsyncCallbackHandler):
        async def on_chain_start(self, *_: Any, **__: Any) -> None:
            fail()

        async def on_chat_model_start(self, *_: Any, **__: Any) -> None:
            fail()

        async def on_tool_end(self, *_: Any, **__: Any) -> None:
            fail()

    orchestrator = opened(look_later)
    config: RunnableConfig = {"callbacks": [Awaited() if is_async else Blocking()]}
    if way == "run":
        status = orchestrator.run("t", auto_approve=True, config=config).status
    else:
        status = asyncio.run(orchestrator.arun("t", auto_approve=True, config=config)).status
    assert (status, len(raised) > 5) == ("done", True)


def test_what_was_given_is_not_written_to_and_one_handler_is_told_once() -> None:
    traces = Traces()
    handler = traces.handler()
    config: RunnableConfig = {"callbacks": [handler, handler]}
    opened().run("t", auto_approve=True, config=config)
    assert config == {"callbacks": [handler, handler]}
    assert vars(handler) == {"traces": traces}
    assert len(traces.paths("model")) == 5


@pytest.mark.parametrize("limit", [1, 2])
def test_a_bound_of_langgraphs_makes_a_run_slower_and_not_stuck(limit: int) -> None:
    run = opened().run("t", auto_approve=True, config={"max_concurrency": limit})
    assert run.status == "done"


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"configurable": {"thread_id": "x"}}, "cannot set thread_id: name the thread with thread_id="),
        ({"configurable": {"checkpoint_ns": "x"}}, "cannot set checkpoint_ns: it belongs to the engine"),
        ({"configurable": {"checkpoint_id": "x"}}, "cannot set checkpoint_id"),
        ({"configurable": {"__pregel_send": "x"}}, "cannot set __pregel_send"),
        ({"recursion_limit": 7}, "cannot set recursion_limit: bound a run with limits="),
        ({"run_id": "x"}, "cannot set run_id"),
        ({"metadata": {"run_id": "x"}}, "metadata cannot set run_id"),
        ({"max_concurrency": 0}, "has to be 1 or more"),
        ({"callback": []}, "config has no 'callback', use callbacks"),
        ({"callbacks": [Traces]}, "callback handlers of LangChain, not the class Traces"),
        ({"tags": "nightly"}, "tags has to be a list of texts"),
        ("nightly", "config has to be a config of LangChain"),
    ],
)
def test_what_would_break_a_run_is_refused_before_it_begins(config: Any, problem: str) -> None:
    orchestrator = opened()
    for begin in (lambda: orchestrator.run("t", config=config), lambda: orchestrator.resume("t", config=config)):
        with pytest.raises(ConfigError, match=problem):
            begin()
    assert orchestrator.threads() == []


def test_a_config_of_a_chain_is_taken_as_it_is() -> None:
    from langchain_core.runnables.config import ensure_config

    assert opened().run("t", auto_approve=True, config=ensure_config({"tags": ["x"]})).status == "done"
