"""`context=`: anything of the caller's, for the user's own tools. It is neither shown to a model nor stored."""

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
from langchain.tools import InjectedState, InjectedStore, InjectedToolCallId, ToolRuntime
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime, get_runtime
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from typing_extensions import TypedDict

from orchestrator import (
    ConfigError,
    Policy,
    Rule,
    SubTask,
    Supervisor,
    TaskOrchestrator,
    Team,
    Worker,
    compile_graph,
    declare,
)
from orchestrator.testing import ScriptedModel, TeamScript, call
from tests.support.teams import step
from tests.support.traces import Traces

PLAN = [step("a", agent="clerk")]


class Unsure:
    """Refuses to say if it is true, as a data frame does."""

    tenant = "acme"

    def __bool__(self) -> bool:
        raise ValueError("ambiguous")

    def __reduce__(self) -> Any:
        raise TypeError("cannot be stored")


@dataclass
class Ctx:
    """What the tools work with."""

    tenant: str
    db: Any = None


@declare(risk="read")
@tool
def by_parameter(what: str, runtime: ToolRuntime[Any, Any]) -> str:
    """Looks."""
    return f"{what} of {runtime.context.tenant}"


@declare(risk="read")
@tool
async def by_parameter_later(what: str, runtime: ToolRuntime[Ctx, Any]) -> str:
    """Looks."""
    return f"{what} of {runtime.context.tenant}"


@declare(risk="read")
@tool
def by_function(what: str) -> str:
    """Looks."""
    return f"{what} of {get_runtime(Ctx).context.tenant}"


@declare(risk="read")
@tool
async def by_function_later(what: str) -> str:
    """Looks."""
    return f"{what} of {get_runtime(Ctx).context.tenant}"


@declare(risk="read")
def plain(what: str, runtime: ToolRuntime[Any, Any]) -> str:
    """Looks."""
    return f"{what} of {runtime.context.tenant}"


class Seen(TypedDict, total=False):
    """The state of a graph that a tool runs."""

    tenant: str


@declare(risk="read")
@tool
def by_a_graph(what: str) -> str:
    """Looks."""

    def look(state: Seen, runtime: Runtime[Ctx]) -> Seen:
        return {"tenant": runtime.context.tenant}

    graph = StateGraph(Seen, Ctx).add_node("look", look).add_edge(START, "look").compile()
    return f"{what} of {graph.invoke({})['tenant']}"


def name_of(made: Any) -> str:
    return str(getattr(made, "name", getattr(made, "__name__", "")))


def team(made: Any, *, policy: Policy | None = None, args: dict[str, Any] | None = None) -> tuple[Team, ScriptedModel]:
    calls = call(name_of(made), **(args if args is not None else {"what": "bill"}))
    model = ScriptedModel(TeamScript(PLAN, results={"a": [calls, "done"]}))
    return Team(Supervisor(), [Worker("clerk", "You look.", tools=[made])], model=model, policy=policy), model


def told(model: ScriptedModel) -> str:
    """The tool's answer, as the model saw it."""
    return next(text for request in model.requests for role, text in request.messages if role == "tool")


def by_run(team: Team, context: Any, db: str) -> None:
    with TaskOrchestrator(team=team, db=db) as orchestrator:
        assert orchestrator.run("t", auto_approve=True, context=context).status == "done"


def by_arun(team: Team, context: Any, db: str) -> None:
    orchestrator = TaskOrchestrator(team=team, db=db)
    assert asyncio.run(orchestrator.arun("t", auto_approve=True, context=context)).status == "done"


def by_stream(team: Team, context: Any, db: str) -> None:
    with TaskOrchestrator(team=team, db=db) as orchestrator:
        *_, run = orchestrator.stream("t", auto_approve=True, context=context)
    assert run.status == "done"  # type: ignore[union-attr]


def by_invoke(team: Team, context: Any, db: str) -> None:
    graph = compile_graph(team, checkpointer=InMemorySaver(), context_schema=Ctx)
    config: RunnableConfig = {"configurable": {"thread_id": "t"}}
    assert graph.invoke({"task": "t", "auto_approve": True}, config, context=context)["status"] == "done"


def by_ainvoke(team: Team, context: Any, db: str) -> None:
    graph = compile_graph(team)
    assert asyncio.run(graph.ainvoke({"task": "t", "auto_approve": True}, context=context))["status"] == "done"


WAYS = [by_run, by_arun, by_stream, by_invoke, by_ainvoke]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "made", [by_parameter, by_parameter_later, by_function, by_function_later, by_a_graph, plain], ids=name_of
)
def test_a_tool_finds_the_context(tmp_path: Path, made: Any, way: Callable[[Team, Any, str], None]) -> None:
    if way is by_invoke and getattr(made, "coroutine", None):
        pytest.skip("LangChain calls no asynchronous tool from `invoke`")
    given, model = team(made)
    way(given, Ctx("acme"), str(tmp_path / "x.db"))
    assert told(model) == "bill of acme"


@pytest.mark.parametrize("context", [sqlite3.connect(":memory:", check_same_thread=False), {}, [], 0, Unsure(), len])
def test_it_may_be_anything_and_is_the_very_object(tmp_path: Path, context: Any) -> None:
    seen: list[Any] = []

    @declare(risk="read")
    @tool
    def look(runtime: ToolRuntime[Any, Any]) -> str:
        """Looks."""
        seen.append(runtime.context)
        return "looked"

    by_run(team(look, args={})[0], context, str(tmp_path / "x.db"))
    assert len(seen) == 1
    assert seen[0] is context


def test_neither_model_nor_review_nor_callbacks_nor_database_see_the_runtime(tmp_path: Path) -> None:
    made, traces = declare(by_parameter_once(), risk="write", effect="once"), Traces()
    forged = {"what": "bill", "runtime": {"context": {"tenant": "evil"}}}
    given, model = team(made, args=forged, policy=Policy.of(Rule(action="ask", tool="look_once")))
    with TaskOrchestrator(team=given, db=str(tmp_path / "x.db")) as orchestrator:
        config: RunnableConfig = {"callbacks": [traces.handler()]}
        run = orchestrator.run("t", thread_id="t", plan=PLAN, context=Ctx("hidden-tenant"), config=config)
        [review] = run.reviews
        assert "hidden-tenant" not in str(review)
        orchestrator.decide(review, "approve")
        assert orchestrator.resume("t", context=Ctx("hidden-tenant"), config=config).status == "done"
    assert told(model) == "13 letters"
    assert "runtime" not in str(model.requests[1].tools)
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("x.db*") if path.is_file())
    assert b"hidden-tenant" not in stored
    assert "hidden-tenant" not in str(traces.rows)


def by_parameter_once() -> BaseTool:
    @tool
    def look_once(what: str, runtime: ToolRuntime[Any, Any]) -> str:
        """Looks."""
        return f"{len(runtime.context.tenant)} letters"

    return look_once


def test_each_call_gives_its_own_and_a_resume_without_one_is_told_to_the_worker(tmp_path: Path) -> None:
    given, model = team(by_parameter)
    with TaskOrchestrator(team=given, db=str(tmp_path / "x.db")) as orchestrator:
        run = orchestrator.run("t", thread_id="t", context=Ctx("acme"))
        orchestrator.decide(run.reviews[0], "approve")
        assert orchestrator.resume("t").status == "done"
    assert "'NoneType' object has no attribute 'tenant'" in told(model)
    assert "whoever runs or resumes it has to give one: context=" in told(model)


def test_the_runtime_and_the_other_injected_parameters_hold_what_langchain_says(tmp_path: Path) -> None:
    seen: dict[str, Any] = {}

    @declare(risk="read")
    @tool
    def look(
        what: str,
        runtime: ToolRuntime[Any, Any],
        state: Annotated[dict[str, Any], InjectedState],
        messages: Annotated[list[Any], InjectedState("messages")],
        store: Annotated[BaseStore, InjectedStore()],
        call_id: Annotated[str, InjectedToolCallId],
        config: RunnableConfig,
    ) -> str:
        """Looks."""
        store.put(("mine",), "k", {"v": what})
        runtime.stream_writer({"progress": 1})
        seen.update(runtime=runtime, state=state, messages=messages, store=store, call_id=call_id, config=config)
        return "looked"

    given, _ = team(look)
    graph = compile_graph(given, checkpointer=InMemorySaver(), store=InMemoryStore())
    config: RunnableConfig = {"configurable": {"thread_id": "t", "tenant": "acme"}}
    chunks = list(graph.stream({"task": "t", "auto_approve": True}, config, stream_mode="custom", subgraphs=True))
    assert any(chunk == {"progress": 1} for _, chunk in chunks)
    runtime = seen["runtime"]
    assert runtime.state["messages"] == seen["messages"] == seen["state"]["messages"]
    assert runtime.tool_call_id == seen["call_id"] == seen["messages"][-1].tool_calls[0]["id"]
    assert runtime.store.get(("mine",), "k").value == {"v": "bill"}
    assert seen["config"]["configurable"]["tenant"] == runtime.config["configurable"]["tenant"] == "acme"


def test_a_parameter_that_langchain_would_overwrite_is_refused() -> None:
    @tool
    def look(runtime: int) -> str:
        """Looks."""
        return str(runtime)

    with pytest.raises(ConfigError, match="'runtime' gets LangChain's ToolRuntime"):
        Worker("clerk", "You look.", tools=[look])


def test_a_worker_by_itself_takes_a_context_too() -> None:
    given, model = team(by_parameter)
    worker = given.workers["clerk"]
    worker.execute(SubTask(id="a", description="do a", target_agent="clerk"), tool_context=Ctx("acme"))
    assert told(model) == "bill of acme"


def test_a_graph_that_is_a_node_of_another_gets_the_context_of_the_outer_one() -> None:
    given, model = team(by_parameter)

    class Outer(TypedDict, total=False):
        task: str
        auto_approve: bool

    outer = StateGraph(Outer, Ctx).add_node("team", compile_graph(given)).add_edge(START, "team").compile()
    outer.invoke({"task": "t", "auto_approve": True}, context=Ctx("acme"))
    assert told(model) == "bill of acme"
