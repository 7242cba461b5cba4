"""Progress of a model that reads a long prompt, as the embedded model's engine tells it."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from orchestrator import Event, Limits, PromptRead, TaskOrchestrator
from orchestrator.models.completions.prompt_progress import LISTENER, ProgressReader
from orchestrator.models.endpoint import make_endpoint
from orchestrator.models.settings import ModelSettings
from orchestrator.testing import OpenAIServer, TeamScript, structure
from orchestrator.testing.dialects.dialect import Dialect, Streaming
from tests.support.teams import make_team, step


def progress(processed: int) -> dict[str, Any]:
    """A chunk as llama.cpp sends it before the first word."""
    delta = {"role": "assistant", "content": None}
    told = {"total": 900, "cache": 0, "processed": processed, "time_ms": 40}
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}], "prompt_progress": told}


@pytest.fixture
def server() -> Any:
    dialect = Dialect("llama.cpp", model="m", streaming=Streaming(before=(progress(256), progress(900))))
    with OpenAIServer(TeamScript([step("a")], results={"a": "5 lakes"}), dialect=dialect) as opened:
        yield opened


def orchestrator_on(server: OpenAIServer) -> TaskOrchestrator:
    team = make_team(TeamScript([]), limits=Limits(parallel_workers=1))
    settings = ModelSettings(base_url=server.base_url, tool_mode="json")
    for agent in (team.supervisor, *team.workers.values()):
        agent.model = make_endpoint("m", server.base_url, SecretStr("k"), settings, tells_progress=True)
    return TaskOrchestrator(team=team, db="memory://")


def test_each_request_tells_how_far_its_prompt_was_read(server: OpenAIServer) -> None:
    heard: list[Event] = []
    with orchestrator_on(server) as team:
        run = team.run("count", auto_approve=True, on_event=heard.append)
    events = [event for event in heard if isinstance(event, PromptRead)]
    assert (run.status, run.answer) == ("done", "the answer")
    told = [(event.sub_task_id, event.agent, event.tokens, event.total) for event in events]
    agents = [("", "supervisor"), ("a", "worker"), ("", "supervisor")]
    assert told == [(*agent, read, 900) for agent in agents for read in (256, 900)]
    assert len({event.call_id for event in events}) == 3
    assert all(body["return_progress"] for body in server.bodies)
    assert run.spending.total.tokens > 0, "the usage of streams counts"


def test_where_nobody_listens_requests_are_as_always(server: OpenAIServer) -> None:
    with orchestrator_on(server) as team:
        assert team.run("count", auto_approve=True).status == "done"
    assert not any("return_progress" in body or body.get("stream") for body in server.bodies)


def test_a_stream_that_breaks_off_is_a_failure_that_is_repeated() -> None:
    script = TeamScript([step("a")])
    broken = [replace(structure({"sub_tasks": [step("a")]}), breaks_after=0)]
    with OpenAIServer(lambda request: broken.pop() if broken else script(request)) as server:
        with orchestrator_on(server) as team:
            assert team.run("count", auto_approve=True, on_event=lambda _: None).status == "done"
        assert len(server.bodies) == 4


def test_progress_that_comes_in_pieces_is_read_and_a_models_own_words_are_not() -> None:
    told: list[tuple[int, int]] = []
    token = LISTENER.set(lambda tokens, total: told.append((tokens, total)))
    reader = ProgressReader()
    LISTENER.reset(token)
    reader.feed(b'data: {"choices": [], "prompt_pro')
    reader.feed(b'gress": {"total": 9, "cache": 1, "proc')
    reader.feed(b'essed": 4, "time_ms": 1}}\n\n')
    reader.feed(rb'data: {"content": "\"prompt_progress\": {\"total\": 1, \"processed\": 1}"}' + b"\n\n")
    assert told == [(4, 9)]
