"""The same whole job in the other ways of use: the bare graph, blocking and asynchronous, and the command line."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore
from langgraph.types import Command

from orchestrator import SharedMemory, Supervisor, Team, Worker, chat_model, compile_graph, declare, reviewer
from orchestrator.models.settings import ModelSettings
from orchestrator.testing import OpenAIServer
from orchestrator.testing.dialects.asking import is_step
from orchestrator.testing.dialects.catalogue import DIALECTS
from orchestrator.testing.dialects.dialect import Dialect
from orchestrator.testing.dialects.quirks import THOUGHT
from tests.scenarios.test_dialects import ANSWER, LEVELS, RESULTS, answered

KINDS = [
    DIALECTS[name]
    for name in (
        "vllm",
        "vllm with a template of Mistral",
        "openai o1-mini",
        "deepseek",
        "gemini",
        "dashscope",
        "groq",
        "calls in text: hermes",
        "broken arguments: single quotes",
        "the same ids",
        "calls without index",
        "json as octets",
        "always streams as json",
        "never streams",
        "text in reasoning",
        "thoughts without a beginning",
        "429 inside 200",
        "calls in a choice of their own",
        "chunks on lines",
        "unknown words: system role",
        "unknown words: tools",
    )
]
AS_A_PROCESS = [one for one in KINDS if one.name in ("deepseek", "gemini", "calls in text: hermes", "never streams")]

Step = Callable[[Any, Any], dict[str, Any]]
"""Invokes a graph once, with an input."""


CONFIG: Any = {"configurable": {"thread_id": "t"}}
MODES: Any = ["messages", "values"]  # who listens to messages has all answers streamed


def invoked(graph: Any, given: Any) -> dict[str, Any]:
    return dict(graph.invoke(given, CONFIG))


def awaited(graph: Any, given: Any) -> dict[str, Any]:
    return dict(asyncio.run(graph.ainvoke(given, CONFIG)))


def streamed(graph: Any, given: Any) -> dict[str, Any]:
    return _last(list(graph.stream(given, CONFIG, stream_mode=MODES)))


def awaited_stream(graph: Any, given: Any) -> dict[str, Any]:
    async def read() -> list[Any]:
        return [part async for part in graph.astream(given, CONFIG, stream_mode=MODES)]

    return _last(asyncio.run(read()))


def _last(parts: list[Any]) -> dict[str, Any]:
    return dict([state for mode, state in parts if mode == "values"][-1])


@pytest.mark.parametrize("step", [invoked, awaited, streamed, awaited_stream])
@pytest.mark.parametrize("dialect", KINDS, ids=[dialect.name for dialect in KINDS])
def test_the_bare_graph_does_the_whole_job(dialect: Dialect, step: Step) -> None:
    read: list[str] = []

    @declare(risk="read")
    def level(lake: str) -> str:
        """Tell the level of a lake.

        Args:
            lake: The name of the lake.
        """
        read.append(lake)
        return f"{lake}: {LEVELS[lake]} m"

    store = InMemoryStore()
    with OpenAIServer(answered, dialect=dialect) as server:
        model = chat_model(ModelSettings(base_url=server.base_url, temperature=0.1, timeout_s=20))
        team = Team(Supervisor(), [Worker("surveyor", "You survey lakes.", tools=[level]), reviewer()], model=model)
        graph = compile_graph(team, checkpointer=InMemorySaver(), store=store)
        given: Any = {"task": "Which lake lies highest?", "budget": {"tokens": 500_000}}
        for _ in range(5):
            state = step(graph, given)
            asked = state.get("reviews") or [each.value for each in state.get("__interrupt__", ())]
            if not asked:
                break
            given = Command(resume={review["id"]: {"action": "approve"} for review in asked})
        assert (state["status"], state["answer"]) == ("done", ANSWER), (state, [r.answer for r in server.refused])
        assert sorted(read) == sorted(LEVELS)
        texts = {entry.sub_task_id: entry.text for entry in SharedMemory(store, "t").all()}
        assert {name: texts[name] for name in RESULTS} == RESULTS
        assert THOUGHT not in str(texts)
        refused = [id(each.body) for each in server.refused]
        assert any(is_step(body) for body in server.bodies if id(body) not in refused) != dialect.tools


TEAM = '''
from orchestrator import Supervisor, Team, Worker, declare, reviewer

@declare(risk="read")
def level(lake: str) -> str:
    """Tell the level of a lake.

    Args:
        lake: The name of the lake.
    """
    return f"{lake}: {LEVELS[lake]} m"

LEVELS = %r
team = Team(Supervisor(), [Worker("surveyor", "You survey lakes.", tools=[level]), reviewer()])
'''


@pytest.mark.parametrize("dialect", AS_A_PROCESS, ids=[dialect.name for dialect in AS_A_PROCESS])
def test_the_command_line_does_the_whole_job(dialect: Dialect, tmp_path: Path) -> None:
    (tmp_path / "lakes.py").write_text(TEAM % LEVELS)
    command = [sys.executable, "-m", "orchestrator", "run", "Which lake lies highest?", "--team", "lakes:team"]
    with OpenAIServer(answered, dialect=dialect) as server:
        done = subprocess.run(
            [
                *command,
                "--base-url",
                server.base_url,
                "--auto-approve",
                "--json-stream",
                "--db",
                str(tmp_path / "x.db"),
            ],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=False,
        )
        refusals = [each.answer for each in server.refused]
    assert done.returncode == 0, (done.stderr, done.stdout[-2000:], refusals)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["answer"] == ANSWER
    heard = "".join(event.get("text", "") for event in events if event.get("event") == "text_delta")
    assert THOUGHT not in heard
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["model", "thread"], "nothing else is told"
