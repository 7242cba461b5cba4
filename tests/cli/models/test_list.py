"""`orchestrator model list`: the embedded models, and what endpoints have taught, without a request."""

import json
from typing import Any

import pytest

from orchestrator import ModelSettings, chat_model
from orchestrator.cli.main import main
from orchestrator.models.endpoints.window import find_window
from orchestrator.models.requests import lessons
from orchestrator.testing import Dialect, OpenAIServer, Stray, say
from orchestrator.testing.dialects.catalogue import DIALECTS
from orchestrator.testing.openai_server import Fault


def listed(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    with pytest.raises(SystemExit) as exited:
        main(["model", "list", *options])
    assert exited.value.code == 0
    return capsys.readouterr().out


def model_at(server: OpenAIServer, name: str = "m", url: str = "") -> Any:
    return chat_model(ModelSettings(base_url=url or server.base_url, model=name, max_retries=0, temperature=0.5))


def test_without_lessons_only_embedded_models_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    out = listed(capsys)
    assert "fetched" in out
    assert "learned" not in out
    assert json.loads(listed(capsys, "--json"))["endpoints"] == []


def test_what_was_learned_is_told_with_its_source_and_age(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dialect = DIALECTS["ollama with a model without tools"]
    with OpenAIServer(lambda _: say("hello"), dialect=dialect) as server:
        model = model_at(server, dialect.model)
        find_window(model)
        model.invoke("x", tools=[{"type": "function", "function": {"name": "f", "parameters": {}}}])
        asked = len(server.targets)
        now = lessons.time.time()
        monkeypatch.setattr("time.time", lambda: now + 2 * 3600)
        out = listed(capsys)
        assert len(server.targets) == asked, "nothing was asked"
    line = next(line for line in out.splitlines() if line.startswith("gemma3:4b at "))
    assert line.startswith(f"gemma3:4b at {server.base_url}  ")
    assert "window: 6,144 tokens (what Ollama tells of the model, 2 h ago)" in line
    assert "tools: as JSON" in line
    assert "tool calls as JSON in words (2 h ago)" in line


def test_json_has_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    faults = [Fault(400, "Unsupported parameter: 'temperature'")]
    listing = {"data": [{"id": "m", "max_model_len": 4096}]}
    with OpenAIServer(["hello"], faults=faults, listing=listing) as server:
        model = model_at(server)
        find_window(model)
        model.invoke("x")
    [endpoint] = json.loads(listed(capsys, "--json"))["endpoints"]
    assert (endpoint["endpoint"], endpoint["model"], endpoint["native_tools"]) == (server.base_url, "m", True)
    assert endpoint["window"] == {"tokens": 4096, "source": "the endpoint's list of models", "age_s": 0}
    assert list(endpoint["forms"]) == ["without temperature"]


def test_a_path_that_was_found_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with OpenAIServer(["hello"], dialect=Dialect("d", stray=Stray())) as server:
        model_at(server, url=server.root_url).invoke("x")
    assert f"{server.root_url}  requests go to {server.root_url}/v1" in listed(capsys)


def test_lessons_of_yesterday_and_damaged_files_are_left_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with OpenAIServer([], dialect=DIALECTS["vllm"]) as server:
        find_window(model_at(server))
    (lessons.lessons_folder() / "x.json").write_text("{")
    assert f"m at {server.base_url}" in listed(capsys)
    now = lessons.time.time()
    monkeypatch.setattr("time.time", lambda: now + 25 * 3600)
    assert "learned" not in listed(capsys)
