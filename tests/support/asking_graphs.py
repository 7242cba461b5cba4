"""Graphs of users that ask by `interrupt()`, and tools that run them."""

from collections.abc import Callable
from typing import Any

from langchain_core.tools import BaseTool, tool
from langgraph.graph import START, StateGraph
from langgraph.types import Send, interrupt
from typing_extensions import TypedDict

from orchestrator import declare


class Trip(TypedDict, total=False):
    """The state of the user's graphs."""

    told: list[str]
    city: str


def trip_graph(log: list[str], *questions: str, **options: Any) -> Any:
    """Book, then ask one question after the other in one node, then pay."""

    def book(state: Trip) -> Trip:
        log.append("book")
        return {}

    def ask(state: Trip) -> Trip:
        return {"told": [repr(interrupt({"question": question})) for question in questions]}

    def pay(state: Trip) -> Trip:
        log.append("pay")
        return {}

    graph = StateGraph(Trip).add_sequence([book, ask, pay]).add_edge(START, "book")
    return graph.compile(**options)


def told_by(graph: Any, *, is_async: bool = False) -> BaseTool:
    """A tool that runs a graph and says what it was told."""
    # LangGraph 1.2 fails on a graph without a checkpointer inside a run with durability "sync".
    options: dict[str, Any] = {"durability": "async"} if graph.checkpointer is False else {}
    if is_async:

        @tool
        async def plan_trip(about: str) -> str:
            """Plans a trip."""
            return f"told {', '.join((await graph.ainvoke({}, **options))['told'])}"
    else:

        @tool
        def plan_trip(about: str) -> str:
            """Plans a trip."""
            return f"told {', '.join(graph.invoke({}, **options)['told'])}"

    return declare(plan_trip, risk="read")


class Parts(TypedDict, total=False):
    """The state of a graph with branches."""

    left: str
    right: str
    names: list[str]


def branching_graph(on_answer: Callable[[str], None] = lambda answer: None, **options: Any) -> Any:
    """Ask in two nodes at once."""

    def left(state: Parts) -> Parts:
        answer = interrupt("Left?")
        on_answer(answer)
        return {"left": answer}

    def right(state: Parts) -> Parts:
        answer = interrupt("Right?")
        on_answer(answer)
        return {"right": answer}

    graph = StateGraph(Parts).add_node(left).add_node(right)
    return graph.add_edge(START, "left").add_edge(START, "right").compile(**options)


def sending_graph(**options: Any) -> Any:
    """Ask the same node twice at once."""

    def ask(state: Any) -> Any:
        interrupt(f"{state['name']} one?")
        heard.append(f"{state['name']} {interrupt(state['name'] + ' two?')}")
        return {}

    heard: list[str] = []
    graph = StateGraph(Parts).add_node("ask", ask)
    graph.add_conditional_edges(START, lambda _: [Send("ask", {"name": name}) for name in ("A", "B")])
    graph.add_node("end", lambda _: {"left": heard[-2], "right": heard[-1]})
    return graph.add_edge("ask", "end").compile(**options)


def looping_graph(**options: Any) -> Any:
    def ask(state: Trip) -> Trip:
        answers = state.get("told", [])
        return {"told": [*answers, interrupt(f"City {len(answers)}?")]}

    graph = StateGraph(Trip).add_node("ask", ask).add_edge(START, "ask")
    graph.add_conditional_edges("ask", lambda state: "ask" if len(state["told"]) < 3 else "__end__")
    return graph.compile(**options)


def nested_graph(inner: Any) -> Any:
    """A graph whose node calls another one, twice."""

    def call_inner(state: Trip) -> Trip:
        first = inner.invoke({})
        return {"told": [*first["told"], *inner.invoke({"told": first["told"][:2]})["told"]]}

    return StateGraph(Trip).add_node("inside", call_inner).add_edge(START, "inside").compile()


def shown(make: Callable[[], Any], **options: Any) -> BaseTool:
    """A tool that shows a graph's whole state."""

    @tool
    def plan_trip(about: str) -> str:
        """Plans a trip."""
        return repr(sorted(make().invoke({}, **options).items()))

    return declare(plan_trip, risk="read")
