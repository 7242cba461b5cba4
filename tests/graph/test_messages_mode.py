"""LangGraph's own modes on the bare graph: words stream for those who ask, and for nobody else."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk

from orchestrator.testing import OpenAIServer, TeamScript, call
from tests.support.pages import endpoint, look, open_on, over_http, scripted
from tests.support.teams import step

PLAN = [step("a"), step("b", "a")]
ANSWER = "The answer is\n\nforty-two.  Truly."


def test_where_nobody_listens_requests_are_as_they_were() -> None:
    with OpenAIServer(TeamScript(PLAN)) as server:
        with open_on(endpoint(server)) as orchestrator:
            orchestrator.run("x", auto_approve=True)
            config: Any = {"configurable": {"thread_id": "g"}}
            orchestrator.graph.invoke({"task": "x", "auto_approve": True}, config)
            list(orchestrator.graph.stream({"task": "y", "auto_approve": True}, config, stream_mode="updates"))
            asyncio.run(orchestrator.graph.ainvoke({"task": "z", "auto_approve": True}, config))
        assert len(server.bodies) == 16
        assert not [body for body in server.bodies if "stream" in body or "stream_options" in body]


def tokens_of(chunks: list[Any]) -> dict[str, str]:
    """The words of LangGraph's `messages` mode, by node."""
    words: dict[str, str] = {}
    for _, (message, metadata) in chunks:
        if isinstance(message, AIMessage | AIMessageChunk):
            node = str(metadata["checkpoint_ns"]).split(":")[0]
            words[node] = words.get(node, "") + str(message.text)
    return words


@pytest.mark.parametrize("model_of", [scripted, over_http])
@pytest.mark.parametrize("is_async", [False, True], ids=["threads", "event loop"])
def test_langgraphs_own_messages_mode_shows_the_words_and_no_plans(
    model_of: Callable[..., Any], is_async: bool
) -> None:
    script = TeamScript(
        [step("a", agent="tooled")], results={"a": [call("look", at="x"), "<think>5</think>it is x"]}, summary=ANSWER
    )
    options: Any = {"stream_mode": "messages", "subgraphs": True}
    given: Any = {"task": "x", "auto_approve": True}
    config: Any = {"configurable": {"thread_id": "t"}}
    with model_of(script) as model, open_on(model, look) as orchestrator:
        graph = orchestrator.graph
        if is_async:

            async def chunks() -> list[Any]:
                return [chunk async for chunk in graph.astream(given, config, **options)]

            words = tokens_of(asyncio.run(chunks()))
        else:
            words = tokens_of(list(graph.stream(given, config, **options)))
        assert graph.get_state(config).values["answer"] == ANSWER
    assert words["summarize"] == ANSWER
    assert words["tooled"].endswith("it is x")
    assert "supervisor" not in words
    if model_of is over_http:
        assert words["tooled"] == "it is x"
