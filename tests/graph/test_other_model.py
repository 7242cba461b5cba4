"""A bare graph warns when a run goes on with another model: it cannot ask."""

import logging
from collections.abc import Iterator

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore
from langgraph.types import Command

from orchestrator import ModelSettings, Supervisor, Team, Worker, chat_model, compile_graph
from orchestrator.testing import OpenAIServer, TeamScript
from tests.support.teams import step


@pytest.fixture
def servers() -> Iterator[list[OpenAIServer]]:
    script = TeamScript([step("a", approval=True), step("b", "a")])
    with OpenAIServer(script) as one, OpenAIServer(script) as other:
        yield [one, other]


@pytest.mark.parametrize("has_changed", [True, False])
def test_a_resumed_run_warns_of_another_model_once(
    servers: list[OpenAIServer], has_changed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    saver, store = InMemorySaver(), InMemoryStore()
    config = {"configurable": {"thread_id": "t"}}

    def graph(server: OpenAIServer):  # type: ignore[no-untyped-def]
        model = chat_model(ModelSettings(base_url=server.base_url, model="m"))
        return compile_graph(
            Team(Supervisor(), [Worker("worker", "You work.")], model=model), checkpointer=saver, store=store
        )

    waiting = graph(servers[0]).invoke({"task": "go"}, config)
    assert waiting["status"] == "waiting"
    with caplog.at_level(logging.WARNING, "orchestrator"):
        again = graph(servers[has_changed])
        decision = {"review_id": waiting["reviews"][0]["id"], "action": "approve"}
        state = again.invoke(Command(resume=decision), config)
    assert state["reviews"][0]["kind"] == "result"
    told = [record.getMessage() for record in caplog.records if "now it would be" in record.getMessage()]
    assert len(told) == has_changed
    assert all(f"thread 't' ran with m at {servers[0].base_url.removesuffix('/v1')}" in line for line in told)


def test_another_task_on_the_thread_warns_too(servers: list[OpenAIServer], caplog: pytest.LogCaptureFixture) -> None:
    saver, store = InMemorySaver(), InMemoryStore()
    config = {"configurable": {"thread_id": "t"}}
    for server in servers:
        caplog.clear()
        model = chat_model(ModelSettings(base_url=server.base_url, model="m"))
        team = Team(Supervisor(), [Worker("worker", "You work.")], model=model)
        compile_graph(team, checkpointer=saver, store=store).invoke({"task": "go", "auto_approve": True}, config)
    assert [r.getMessage() for r in caplog.records if "now it would be" in r.getMessage()]
