"""An address without `/v1` is understood: the other path is tried once, learned, and named in errors."""

from typing import Any

import openai
import pytest

from orchestrator import ModelError, ModelSettings, chat_model
from orchestrator.models.capabilities import KNOWN
from orchestrator.models.endpoints.window import find_window
from orchestrator.models.error_texts import explain
from orchestrator.models.profile import ModelProfile, identity_of
from orchestrator.testing import Dialect, OpenAIServer, Stray
from orchestrator.testing.dialects.catalogue import DIALECTS
from orchestrator.testing.openai_server import Fault

CHAT, VERSIONED = "/chat/completions", "/v1/chat/completions"
PAGE = Stray(200, "<!doctype html><html><body>Open WebUI</body></html>", "text/html")
STRAYS = {
    "Ollama": Stray(404, "404 page not found", "text/plain"),
    "vLLM": Stray(404, '{"detail":"Not Found"}'),
    "LM Studio": Stray(200, '{"error":"Unexpected endpoint or method. ({method} {path})"}'),
    "Express": Stray(404, "<!DOCTYPE html><html><pre>Cannot {method} {path}</pre></html>", "text/html"),
    "a web application": PAGE,
    "OpenAI's words": Stray(
        404, '{"error":{"message":"Invalid URL ({method} {path})","type":"invalid_request_error"}}'
    ),
    "nothing at all": Stray(404, "", "text/plain"),
    "no such method": Stray(405, '{"detail":"Method Not Allowed"}'),
}


def serving(stray: Stray, **fields: Any) -> OpenAIServer:
    return OpenAIServer(["hello"] * 9, dialect=Dialect("d", stray=stray, **fields))


def model_at(server: OpenAIServer, **more: Any) -> Any:
    return chat_model(ModelSettings(base_url=server.root_url, max_retries=0, **{"model": "m", **more}))


@pytest.mark.parametrize("stray", STRAYS.values(), ids=STRAYS)
def test_a_request_finds_its_path_and_later_ones_know_it(stray: Stray) -> None:
    with serving(stray) as server:
        model = model_at(server)
        assert [model.invoke("x").text, model.invoke("x").text] == ["hello", "hello"]
        assert server.targets == [CHAT, VERSIONED, VERSIONED]
        assert model_at(server, model="another").invoke("x").text == "hello"
        assert server.targets[3:] == [VERSIONED], "it is learned for the endpoint and not for one model"


@pytest.mark.parametrize("stray", STRAYS.values(), ids=STRAYS)
async def test_so_do_streams_on_both_paths(stray: Stray) -> None:
    with serving(stray) as server:
        assert "".join(piece.text for piece in model_at(server).stream("x")) == "hello"
        KNOWN.clear()
    with serving(stray) as server:
        assert "".join([piece.text async for piece in model_at(server).astream("x")]) == "hello"
        assert (await model_at(server).ainvoke("x")).text == "hello"
        assert server.targets == [CHAT, VERSIONED, VERSIONED]


def test_the_next_process_knows_the_path() -> None:
    with serving(STRAYS["vLLM"]) as server:
        model_at(server).invoke("x")
        KNOWN.clear()
        model_at(server).invoke("x")
        assert server.targets == [CHAT, VERSIONED, VERSIONED]


@pytest.mark.parametrize("stray", STRAYS.values(), ids=STRAYS)
def test_the_list_of_models_is_found_too_and_leads_the_requests(stray: Stray) -> None:
    with serving(stray, model="the one") as server:
        model = model_at(server, model=None)
        assert model.model_name == "the one"
        assert model.invoke("x").text == "hello"
        assert server.targets == ["/models", "/v1/models", VERSIONED]


def test_so_is_the_window() -> None:
    with OpenAIServer(["hello"], dialect=DIALECTS["ollama with a model without tools"]) as server:
        model = model_at(server, model="gemma3:4b")
        find_window(model)
        assert ModelProfile.of(model).window == 6144
        assert server.targets == ["/models", "/v1/models", "/api/ps", "/api/show"]


def test_the_model_keeps_the_address_that_the_user_gave() -> None:
    with serving(STRAYS["vLLM"]) as server:
        model = model_at(server)
        before = identity_of(model)
        model.invoke("x")
        assert identity_of(model) == before == ("m", server.root_url)


def test_where_neither_path_exists_the_error_names_both() -> None:
    with serving(STRAYS["Ollama"], base="/elsewhere") as server:
        with pytest.raises(openai.NotFoundError) as raised:
            model_at(server).invoke("x")
        assert server.targets == [CHAT, VERSIONED]
        told = str(explain(raised.value))
        assert f"asked were {server.root_url}{CHAT} and {server.root_url}{VERSIONED}; check --base-url" in told
        assert "404 page not found" in told
        with pytest.raises(
            ModelError, match=r"no list of models|knows no such model or path .*/models and .*/v1/models"
        ):
            model_at(server, model=None)


def test_a_page_at_both_paths_is_told_with_both() -> None:
    with serving(PAGE, base="/elsewhere") as server:
        with pytest.raises(openai.APIError) as raised:
            model_at(server).invoke("x")
        assert f"{server.root_url}{VERSIONED}" in str(explain(raised.value))


@pytest.mark.parametrize(
    "fault",
    [
        Fault(404, "The model `m` does not exist"),
        Fault(404, "model 'm' not found, try pulling it first"),
        Fault(401, "Incorrect API key provided"),
        Fault(500, "CUDA error"),
    ],
    ids=["model", "pull", "key", "server"],
)
def test_other_failures_are_not_taken_for_a_wrong_path(fault: Fault) -> None:
    with OpenAIServer([], faults=lambda _: fault) as server:
        with pytest.raises(openai.APIStatusError):
            model_at(server).invoke("x")
        assert server.targets == [CHAT]


def test_an_address_with_a_version_is_taken_at_its_word() -> None:
    with serving(STRAYS["Ollama"]) as server:
        model = chat_model(ModelSettings(base_url=f"{server.root_url}/api/v2", model="m", max_retries=0))
        with pytest.raises(openai.NotFoundError):
            model.invoke("x")
        assert server.targets == ["/api/v2/chat/completions"]


def test_a_refusal_at_the_other_path_shows_that_it_exists() -> None:
    faults = [Fault(400, "Unsupported parameter: 'temperature'")]
    with OpenAIServer(["hello"], faults=faults, dialect=Dialect("d", stray=STRAYS["vLLM"])) as server:
        assert model_at(server, temperature=0.5).invoke("x").text == "hello"
        assert server.targets == [CHAT, VERSIONED, VERSIONED]


def test_an_endpoint_that_moves_back_is_found_again() -> None:
    with serving(STRAYS["vLLM"]) as server:
        model_at(server).invoke("x")
        assert server.speaker is not None
        server.speaker.dialect = Dialect("d", stray=STRAYS["vLLM"], base="")
        model_at(server).invoke("x")
        model_at(server).invoke("x")
        assert server.targets[2:] == [VERSIONED, CHAT, CHAT]


@pytest.mark.parametrize(
    "pasted", ["/v1/chat/completions", "/v1/completions/", "/v1/models", "/v1/chat/completions?a=b"]
)
def test_an_address_that_was_pasted_with_its_path_is_cut_to_what_is_meant(pasted: str) -> None:
    with serving(STRAYS["vLLM"]) as server:
        model = chat_model(ModelSettings(base_url=server.root_url + pasted, model="m", max_retries=0))
        assert model.invoke("x").text == "hello"
        assert server.targets[-1].partition("?")[0] == VERSIONED
