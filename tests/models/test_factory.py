"""Finding a model: settings, an endpoint's list of models, proxies, and the prices of local models."""

import asyncio
from typing import Any

import pytest
from pydantic import SecretStr

from orchestrator import Budget, Supervisor, TaskOrchestrator, Worker, chat_model
from orchestrator.budget.price import Price
from orchestrator.errors import ConfigError, MissingModelError, ModelError
from orchestrator.models.capabilities import KNOWN
from orchestrator.models.configured import is_configured
from orchestrator.models.endpoint import make_endpoint
from orchestrator.models.profile import UNKNOWN_WINDOW, ModelProfile
from orchestrator.models.proxies import is_private_network, proxy_for
from orchestrator.models.requests.lessons import recall
from orchestrator.models.settings import ModelSettings
from orchestrator.runs.run import Run
from orchestrator.testing import Dialect, OpenAIServer, TeamScript
from tests.support.teams import step

ELSEWHERE = "http://models.example/v1"
NO_ROUTE = "http://192.0.2.1:3128"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.delenv("OPENAI_PROXY", raising=False)


# -- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("ORCHESTRATOR_TIMEOUT_S", "2m", "a number of seconds over 0"),
        ("ORCHESTRATOR_TIMEOUT_S", "0", "a number of seconds over 0"),
        ("ORCHESTRATOR_TIMEOUT_S", "inf", "a number of seconds over 0"),
        ("ORCHESTRATOR_MAX_RETRIES", "-1", "a whole number, 0 or more"),
        ("ORCHESTRATOR_TEMPERATURE", "warm", "a number"),
        ("ORCHESTRATOR_CONTEXT_WINDOW", "512", "a whole number of tokens, 1024 or more"),
        ("ORCHESTRATOR_TOOL_MODE", "JSON", "auto, native or json"),
        ("ORCHESTRATOR_REASONING_EFFORT", "very high", "one word"),
        ("OPENAI_BASE_URL", "localhost:11434/v1", "begin with http:// or https://, as in http://localhost:11434/v1$"),
        ("OPENAI_BASE_URL", "10.0.0.5", "begin with http:// or https://, as in http://10.0.0.5$"),
        ("OPENAI_BASE_URL", "models.example/v1", "begin with http:// or https://, as in https://models.example/v1$"),
        ("OPENAI_BASE_URL", "ftp://models.example", "begin with http:// or https://, as in https://models.example$"),
    ],
)
def test_a_setting_that_makes_no_sense_is_one_line_with_its_name_and_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, allowed: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=f"^{name} is '{value}', and has to (be )?{allowed}") as raised:
        chat_model()
    assert "\n" not in str(raised.value)


def test_all_wrong_settings_are_told_at_once() -> None:
    with pytest.raises(ConfigError, match=r"timeout_s is -1, .* seconds over 0.*; window is 5, "):
        ModelSettings(timeout_s=-1, window=5)


def test_a_misspelled_setting_is_refused_with_the_names_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"there is no setting 'timeout': use one of model, base_url, .*timeout_s"):
        ModelSettings(timeout=30)


def test_an_empty_setting_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ORCHESTRATOR_TIMEOUT_S", "ORCHESTRATOR_CONTEXT_WINDOW", "OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "")
    assert ModelSettings().timeout_s == 120
    assert not is_configured()


def test_a_model_that_is_not_embedded_needs_a_key_or_an_address() -> None:
    with pytest.raises(MissingModelError, match=r"'gpt-4o'.*OPENAI_API_KEY.*--base-url.*OPENAI_BASE_URL"):
        chat_model(ModelSettings(model="gpt-4o"))


# -- the list of models -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["https://api.openai.com/v1", "https://api.openai.com/v1/", "https://eu.api.openai.com"]
)
def test_openais_own_address_has_the_default_model_and_its_list_is_not_asked_for(url: str) -> None:
    model: Any = chat_model(ModelSettings(base_url=url, api_key="k"))
    assert model.model_name == "gpt-4.1-mini"


@pytest.mark.parametrize(
    "other",
    [
        "text-embedding-nomic-embed-text-v1.5",
        "nomic-embed-text:latest",
        "bge-m3:latest",
        "BAAI/bge-reranker-v2-m3",
        "intfloat/e5-large",
        "all-minilm",
        "whisper-1",
        "gpt-4o-transcribe",
        "tts-1-hd",
        "dall-e-3",
        "omni-moderation-latest",
        "llama-guard3",
    ],
)
def test_a_model_that_is_not_for_chat_is_not_taken_because_it_is_listed_first(other: str) -> None:
    with OpenAIServer([], models=[other, "qwen3:8b", "llama3.1"]) as server:
        model: Any = chat_model(ModelSettings(base_url=server.base_url))
    assert model.model_name == "qwen3:8b"


@pytest.mark.parametrize("name", ["embedder", "me5-chat", "bgelm", "attsaluto-7b", "fluxion"])
def test_the_first_model_is_taken_where_nothing_speaks_against_it_or_nothing_else_is_there(name: str) -> None:
    with OpenAIServer([], models=[name, *(["chat"] if name != "embedder" else [])]) as server:
        model: Any = chat_model(ModelSettings(base_url=server.base_url))
    assert model.model_name == name


@pytest.mark.parametrize("listing", [[{"id": "m"}], ["m"], {"data": [{"id": "m", "owned_by": "x"}]}])
def test_lists_of_models_are_read_in_every_form_that_servers_have(listing: object) -> None:
    with OpenAIServer([], listing=listing) as server:
        model: Any = chat_model(ModelSettings(base_url=server.base_url))
    assert model.model_name == "m"


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", "text/html", "application/json"])
def test_a_list_of_models_counts_whatever_content_type_it_has(kind: str) -> None:
    with OpenAIServer([], dialect=Dialect("d", model="m", content_type=kind, prefix=b"\xef\xbb\xbf")) as server:
        model: Any = chat_model(ModelSettings(base_url=server.base_url))
    assert model.model_name == "m"


@pytest.mark.parametrize(
    ("told", "window"),
    [
        ({"max_model_len": 32_768}, 32_768),
        ({"meta": {"n_ctx": 4096, "n_ctx_train": 131_072}}, 4096),
        ({"context_length": 131_072, "top_provider": {"context_length": 65_536}}, 65_536),
        ({"context_window": 131_072}, 131_072),
        ({"max_context_length": 40_960}, 40_960),
        ({"max_model_len": None, "meta": "none", "context_length": True}, UNKNOWN_WINDOW),
    ],
)
def test_the_window_in_a_list_of_models_counts_unless_another_is_set(told: Any, window: int) -> None:
    with OpenAIServer([], listing={"data": [{"id": "m", **told}]}) as server:
        assert ModelProfile.of(chat_model(ModelSettings(base_url=server.base_url))).window == window
        own = chat_model(ModelSettings(base_url=server.base_url, window=2000))
    assert ModelProfile.of(own).window == 2000


def test_a_window_in_a_list_is_kept_and_gives_way_to_one_that_a_refusal_has_told() -> None:
    with OpenAIServer([], listing={"data": [{"id": "m", "max_model_len": 32_768}]}) as server:
        settings = ModelSettings(base_url=server.base_url)
        chat_model(settings)
        KNOWN.clear()  # as in another process
        assert recall(server.base_url, "m").window == 32_768
        server.listing = {"data": [{"id": "m", "max_model_len": 16_384}]}  # it was started anew
        assert ModelProfile.of(chat_model(settings)).window == 16_384
        recall(server.base_url, "m").tell_window(4096, "a refusal of the endpoint")
        assert ModelProfile.of(chat_model(settings)).window == 4096


def test_ollama_without_a_model_lists_none() -> None:
    with (
        OpenAIServer([], listing={"object": "list", "data": None}) as server,
        pytest.raises(MissingModelError, match="lists no models"),
    ):
        chat_model(ModelSettings(base_url=server.base_url))


@pytest.mark.parametrize("listing", ["<html>a web UI</html>", {"detail": "hello"}, {"data": "all"}, 7])
def test_what_is_no_endpoint_is_one_line_that_asks_about_the_address(listing: object) -> None:
    with OpenAIServer([], listing=listing) as server:
        told = r"is no OpenAI-compatible endpoint: no list of models at http.*/models and http.*/v1/models$"
        with pytest.raises(ModelError, match=told) as raised:
            chat_model(ModelSettings(base_url=server.base_url.removesuffix("/v1")))
    assert "\n" not in str(raised.value)


# -- proxies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "OPENAI_PROXY"])
def test_an_endpoint_behind_a_proxy_is_asked_through_it_on_both_paths(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with OpenAIServer(["one", "two"]) as proxy:
        monkeypatch.setenv(name, proxy.base_url.removesuffix("/v1"))
        model = chat_model(ModelSettings(base_url=ELSEWHERE, timeout_s=20))
        assert model.invoke("x").text == "one"
        assert asyncio.run(model.ainvoke("x")).text == "two"
    assert proxy.targets == [f"{ELSEWHERE}/models"] + 2 * [f"{ELSEWHERE}/chat/completions"]


def test_a_proxy_is_asked_for_a_tunnel_where_the_endpoint_is_secure(monkeypatch: pytest.MonkeyPatch) -> None:
    with OpenAIServer([]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.base_url.removesuffix("/v1").removeprefix("http://"))
        told = r"cannot reach https://models\.example/v1 through the proxy .*CONNECT"
        with pytest.raises(ModelError, match=told):
            chat_model(ModelSettings(base_url="https://models.example/v1"))


def test_an_exception_is_reached_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    with OpenAIServer([]) as proxy, OpenAIServer(["one", "two"]) as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.base_url)
        monkeypatch.setenv("NO_PROXY", "models.example, 127.0.0.1")
        model = chat_model(ModelSettings(base_url=server.base_url, timeout_s=20))
        assert model.invoke("x").text == "one"
        assert asyncio.run(model.ainvoke("x")).text == "two"
    assert proxy.targets == []
    assert server.targets == ["/v1/models", "/v1/chat/completions", "/v1/chat/completions"]


@pytest.mark.parametrize(
    ("exceptions", "url", "goes_through"),
    [
        ("models.example", "http://models.example/v1", False),
        (".example", "http://models.example/v1", False),
        ("models.example:8000", "http://models.example:8000/v1", False),
        ("models.example:8000", "http://models.example/v1", True),
        ("*", "http://models.example/v1", False),
        ("other.example", "http://models.example/v1", True),
        ("10.0.0.0/8, fd00::/8", "http://10.1.2.3:8000/v1", False),
        ("10.0.0.0/8, fd00::/8", "http://[fd00::1]:8000/v1", False),
        ("10.0.0.0/8, no/network", "http://11.1.2.3/v1", True),
        ("", "http://127.0.0.1:1234/v1", False),
        ("", "http://localhost:1234/v1", False),
        ("", "https://models.example/v1", False),
    ],
)
def test_the_proxy_for_an_address(
    monkeypatch: pytest.MonkeyPatch, exceptions: str, url: str, goes_through: bool
) -> None:
    monkeypatch.setenv("http_proxy", NO_ROUTE)
    monkeypatch.setenv("NO_PROXY", exceptions)
    assert (proxy_for(url) == NO_ROUTE) == goes_through


def test_the_embedded_model_is_never_asked_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "OPENAI_PROXY"):
        monkeypatch.setenv(name, NO_ROUTE)
    with OpenAIServer(["one", "two"]) as server:
        model = make_endpoint("m", server.base_url, SecretStr("k"), ModelSettings(timeout_s=20))
        assert model.invoke("x").text == "one"
        assert asyncio.run(model.ainvoke("x")).text == "two"


@pytest.mark.parametrize(
    ("proxy", "told"),
    [("socks5://p.example:1080", "pip install socksio"), ("ftp://me:secret@p.example", "cannot be used.*ftp")],
)
def test_a_proxy_that_cannot_be_used_is_one_line_without_its_password(
    monkeypatch: pytest.MonkeyPatch, proxy: str, told: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(ConfigError, match=told) as raised:
        chat_model(ModelSettings(base_url=ELSEWHERE, model="m"))
    assert "secret" not in str(raised.value)


# -- prices -----------------------------------------------------------------------------------------------------------


def run_on(model_name: str, base_url: str, budget: Budget | None = None) -> Run:
    model = chat_model(ModelSettings(base_url=base_url, model=model_name))
    with TaskOrchestrator(
        Supervisor(), [Worker("worker", "You work.")], model=model, db="memory://", budget=budget
    ) as team:
        return team.run("sum up", auto_approve=True)


def test_a_local_model_costs_no_published_price_though_its_name_has_one() -> None:
    with OpenAIServer(TeamScript([step("a")])) as server:
        run = run_on("deepseek-r1:8b", server.base_url)
    usage = run.to_dict()["usage"]
    assert usage["cost_usd"] is None
    assert usage["by_model"]["deepseek-r1:8b"]["cost_usd"] is None
    assert "$" not in str(run.spending)


def test_a_local_model_costs_what_its_price_says() -> None:
    with OpenAIServer(TeamScript([step("a")])) as server:
        run = run_on("deepseek-r1:8b", server.base_url, Budget(prices={"*": Price(input_usd=1, output_usd=2)}))
    spent = run.spending.total
    assert run.spending.cost_usd == pytest.approx((spent.input_tokens + 2 * spent.output_tokens) / 1e6)


def test_a_model_elsewhere_costs_its_published_price(monkeypatch: pytest.MonkeyPatch) -> None:
    with OpenAIServer(TeamScript([step("a")])) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.base_url)
        run = run_on("deepseek-r1:8b", ELSEWHERE)
    assert run.spending.cost_usd


@pytest.mark.parametrize(
    ("url", "is_it"),
    [
        ("http://127.0.0.1:11434/v1", True),
        ("http://localhost:1234/v1", True),
        ("http://ollama:11434/v1", True),
        ("http://192.168.1.20:8000/v1", True),
        ("http://[::1]:8000/v1", True),
        ("http://workstation.local/v1", True),
        ("https://api.openai.com/v1", False),
        ("http://8.8.8.8/v1", False),
        ("not an address", False),
    ],
)
def test_what_is_on_this_machine_or_in_its_network(url: str, is_it: bool) -> None:
    assert is_private_network(url) == is_it
