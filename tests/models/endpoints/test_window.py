"""An endpoint is asked for the window of its model once a day, before the first request, and without noise."""

import socket
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from orchestrator import ModelSettings, chat_model
from orchestrator.models.capabilities import KNOWN
from orchestrator.models.endpoint import make_endpoint
from orchestrator.models.endpoints import window as window_module
from orchestrator.models.endpoints.window import find_window, lacks_window
from orchestrator.models.openai_compatible import AdaptiveChatOpenAI
from orchestrator.models.profile import UNKNOWN_WINDOW, ModelProfile
from orchestrator.testing import Dialect, OpenAIServer
from orchestrator.testing.dialects.catalogue import DIALECTS

TEXTS = ["hello"] * 20


def named(server: OpenAIServer, name: str = "", **settings: Any) -> AdaptiveChatOpenAI:
    chosen = ModelSettings(base_url=server.base_url, model=name or server.models[0], max_retries=0, **settings)
    model = chat_model(chosen)
    assert isinstance(model, AdaptiveChatOpenAI)
    return model


def found(model: AdaptiveChatOpenAI) -> int:
    find_window(model)
    return ModelProfile.of(model).window


@pytest.mark.parametrize(
    ("dialect", "window", "requests"),
    [
        ("vllm", 32_768, ["/v1/models"]),
        ("openrouter", 40_960, ["/v1/models"]),
        ("groq", 131_072, ["/v1/models"]),
        ("llama.cpp", 8192, ["/v1/models"]),
        (
            "llama.cpp that lists what a model was trained for",
            16_384,
            ["/v1/models", "/props?model=scripted&autoload=false"],
        ),
        ("litellm", 24_000, ["/v1/models", "/model/info"]),
        (
            "gemini",
            1_048_576,
            ["/v1beta/openai/models", "/v1beta/models/gemini-3-pro-preview"],
        ),
        ("ollama with a model without tools", 6144, ["/v1/models", "/api/ps", "/api/show"]),
        ("deepseek", UNKNOWN_WINDOW, ["/v1/models"]),
    ],
)
def test_each_server_tells_its_window_in_its_own_place(dialect: str, window: int, requests: list[str]) -> None:
    with OpenAIServer([], dialect=DIALECTS[dialect]) as server:
        model = named(server)
        assert server.targets == [], "making a model sends nothing"
        assert found(model) == window
        assert server.targets == requests


@pytest.mark.parametrize("dialect", ["ollama", "lm studio"])
def test_what_a_model_gets_is_asked_again_once_it_is_loaded(dialect: str) -> None:
    with OpenAIServer(TEXTS, dialect=DIALECTS[dialect]) as server:
        model = named(server)
        assert found(model) == 4096, "the least that such a server gives"
        asked = len(server.targets)
        assert found(model) == 4096
        assert len(server.targets) == asked, "it would tell nothing else yet"
        model.invoke("hello", max_tokens=4096)
        assert server.bodies[0]["max_tokens"] == 4096, "a window that may be larger shortens no answer"
        assert found(model) == {"ollama": 32_768, "lm studio": 8192}[dialect]
        asked = len(server.targets)
        model.invoke("hello")
        find_window(model)
        assert len(server.targets) == asked + 1, "the chat, and no question"


def test_a_model_that_runs_on_ollamas_own_service_has_its_whole_window() -> None:
    shown = {"remote_host": "https://ollama.com:443", "model_info": {"gptoss.context_length": 131_072}}
    pages: dict[str, Any] = {"/api/show": lambda name, chats: shown}
    with OpenAIServer([], dialect=Dialect("cloud", owner="library", pages=pages)) as server:
        assert found(named(server)) == 131_072


def test_a_router_is_asked_again_once_it_has_loaded_the_model() -> None:
    def props(name: str, chats: list[Any]) -> object:
        return {"default_generation_settings": {"n_ctx": 16_384}} if chats else {"default_generation_settings": {}}

    dialect = replace(DIALECTS["llama.cpp that lists what a model was trained for"], pages={"/props": props})
    with OpenAIServer(TEXTS, dialect=dialect) as server:
        model = named(server)
        assert found(model) == UNKNOWN_WINDOW, "its router has not loaded the model"
        assert not lacks_window(model)
        model.invoke("hello")
        assert found(model) == 16_384


def test_the_answer_is_kept_for_a_day_for_every_process(monkeypatch: pytest.MonkeyPatch) -> None:
    with OpenAIServer([], dialect=DIALECTS["vllm"]) as server:
        assert [found(named(server)), found(named(server))] == [32_768, 32_768]
        KNOWN.clear()  # as in another process
        assert found(named(server)) == 32_768
        assert server.targets == ["/v1/models"]
        now = window_module.time.time()
        monkeypatch.setattr("time.time", lambda: now + 25 * 3600)
        assert found(named(server)) == 32_768
        KNOWN.clear()
        assert found(named(server)) == 32_768
        assert server.targets == 2 * ["/v1/models"]


def test_that_an_endpoint_tells_none_is_kept_too() -> None:
    with OpenAIServer([], dialect=Dialect("plain")) as server:
        assert found(named(server)) == UNKNOWN_WINDOW
        KNOWN.clear()
        assert found(named(server)) == UNKNOWN_WINDOW
        assert server.targets == ["/v1/models"]


def test_each_model_of_an_endpoint_has_its_own_window() -> None:
    listing = {"data": [{"id": "m", "max_model_len": 4096}, {"id": "n", "max_model_len": 16_384}]}
    with OpenAIServer([], listing=listing) as server:
        assert [found(named(server, name)) for name in ("m", "n", "o")] == [4096, 16_384, UNKNOWN_WINDOW]


def test_nothing_is_asked_where_the_window_is_set() -> None:
    with OpenAIServer([], dialect=DIALECTS["vllm"]) as server:
        assert found(named(server, window=2000)) == 2000
        assert server.targets == []


@pytest.mark.parametrize(
    "address",
    [
        None,
        "https://api.openai.com/v1",
        "https://mine.openai.azure.com/openai/v1",
        "https://mine.services.ai.azure.com/openai/v1",
    ],
)
def test_openais_own_endpoints_are_not_asked_since_they_tell_none(address: str | None) -> None:
    model = make_endpoint("gpt-4.1-mini", address, SecretStr("k"), ModelSettings())
    assert not lacks_window(model)
    assert ModelProfile.of(model).window > 1_000_000


def test_an_address_that_only_looks_like_openais_is_asked() -> None:
    address = "https://api.openai.com.example.org/v1"
    assert lacks_window(make_endpoint("m", address, SecretStr("k"), ModelSettings()))


@pytest.mark.parametrize(
    "listing", ["<html>a page</html>", {"data": None}, [], {"data": [7, None, {"id": 3}]}, [[]], "", 0]
)
def test_an_endpoint_that_answers_anything_costs_nothing_but_the_question(listing: object) -> None:
    with OpenAIServer(TEXTS, listing=listing) as server:
        model = named(server, "m")
        assert found(model) == UNKNOWN_WINDOW
        assert model.invoke("hello").text == "hello"


def test_a_window_that_a_refusal_has_told_stands() -> None:
    with OpenAIServer([], listing={"data": [{"id": "m", "max_model_len": 32_768}]}) as server:
        model = named(server, "m")
        model.capabilities.tell_window(4096, "a refusal of the endpoint")
        assert found(model) == 4096
        assert server.targets == []


def test_an_endpoint_that_never_answers_is_left_soon_and_asked_again_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(window_module, "LONGEST_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        address = f"http://127.0.0.1:{deaf.getsockname()[1]}/v1"
        model = make_endpoint("m", address, SecretStr("k"), ModelSettings(timeout_s=100))
        began = window_module.time.monotonic()
        assert found(model) == UNKNOWN_WINDOW
        assert not lacks_window(model)
        assert window_module.time.monotonic() - began < 2
        now = window_module.time.time()
        monkeypatch.setattr("time.time", lambda: now + 61)
        assert lacks_window(model)


def test_a_key_is_in_no_log_of_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "orchestrator")
    address = "http://127.0.0.1:9/v1"
    find_window(make_endpoint("m", address, SecretStr("sk-secret-0123456789"), ModelSettings()))
    assert "tells no window" in caplog.text
    assert "sk-secret" not in caplog.text
