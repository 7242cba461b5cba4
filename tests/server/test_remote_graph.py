"""A graph on a LangGraph server as a worker: it answers, asks, and goes on where it stood, for another process too."""

import gc
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.pregel.remote import RemoteGraph

from orchestrator import Supervisor, TaskOrchestrator, Team, Worker, compile_graph
from orchestrator.testing import ScriptedModel, TeamScript
from tests.support.studio import Studio
from tests.support.teams import step

# LangGraph's SDK leaves the connections of a `RemoteGraph` to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
PLAN = [step("a", agent="asker")]
GRAPH = """
from pathlib import Path
from langchain_core.messages import AIMessage
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt

begun = []

def begin(state: MessagesState):
    begun.append("begun")
    return {}

def ask(state: MessagesState):
    return {"messages": [AIMessage(f"{len(begun)} {interrupt('Which city?')}")]}

graph = StateGraph(MessagesState).add_node("begin", begin).add_node("ask", ask)
graph = graph.add_edge(START, "begin").add_edge("begin", "ask").compile()
"""


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """The connections are collected here, where their warnings are expected, and not in whatever test comes next."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    folder = tmp_path_factory.mktemp("remote")
    (folder / "app.py").write_text(GRAPH)
    config = folder / "langgraph.json"
    config.write_text(json.dumps({"dependencies": ["."], "graphs": {"asker": "./app.py:graph"}}))
    server = Studio(folder, "http://127.0.0.1:9", config)
    try:
        server.start()
        yield server
    finally:
        server.end()


def team(url: str) -> Team:
    worker = Worker.of(RemoteGraph("asker", url=url), name="asker", description="asks", risk="read")
    revisions = [{"reason": "x", "decision": "finish", "changes": []}]
    return Team(Supervisor(), [worker], model=ScriptedModel(TeamScript(PLAN, revisions=revisions)))


@pytest.mark.timeout(600)
def test_it_asks_and_goes_on_from_its_question(server: Studio, tmp_path: Path) -> None:
    db = str(tmp_path / "x.db")
    with TaskOrchestrator(team=team(server.url), db=db) as orchestrator:
        run = orchestrator.run("t", thread_id="t", auto_approve=True)
        assert [(review.kind, review.question) for review in run.reviews] == [("question", "Which city?")]
        orchestrator.decide(run.reviews[0], "answer", "Oslo")
    with TaskOrchestrator(team=team(server.url), db=db) as orchestrator:
        assert orchestrator.resume("t").status == "done"
        assert [entry.text for entry in orchestrator.memory.all()] == ["1 Oslo"]  # it began once


@pytest.mark.timeout(600)
def test_the_bare_graph_asks_it_from_a_thread(server: Studio) -> None:
    graph = compile_graph(team(server.url), checkpointer=InMemorySaver())
    config: RunnableConfig = {"configurable": {"thread_id": "t"}}
    graph.invoke({"task": "t", "auto_approve": True}, config)
    assert [each.value["question"] for each in graph.get_state(config).interrupts] == ["Which city?"]


def test_a_server_that_is_gone_is_a_failure_in_its_own_words() -> None:
    with TaskOrchestrator(team=team("http://127.0.0.1:9"), db="memory://") as orchestrator:
        run = orchestrator.run("t", auto_approve=True)
    assert (run.status, "connect" in run.outcomes["a"].error.lower()) == ("failed", True)
