"""Models by name, wherever a model is taken; what is missing for one is told in one line."""

from typing import Any

import langchain.chat_models.base as langchain_models
import pytest
from langchain_core.language_models import BaseChatModel

from orchestrator import (
    CallPolicy,
    ConfigError,
    MissingModelError,
    Supervisor,
    TaskOrchestrator,
    Team,
    Worker,
    chat_model,
    coder,
    researcher,
    reviewer,
)
from orchestrator.models.openai_compatible import AdaptiveChatOpenAI
from orchestrator.models.profile import ModelProfile
from orchestrator.testing import OpenAIServer, ScriptedModel, TeamScript
from tests.support.teams import step

NAME = "openai:gpt-4.1-mini"


@pytest.fixture(autouse=True)
def no_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "ORCHESTRATOR_MODEL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("name", [NAME, "gpt-4.1-mini"])
def test_a_name_is_taken_wherever_a_model_is(name: str) -> None:
    agent = Worker("set", "You look.")
    agent.model = name
    calls = CallPolicy(fallbacks=[name], economy=name)
    with TaskOrchestrator(workers=[Worker("a", "You look.")], model=name, db="memory://") as opened:
        models: list[BaseChatModel | None] = [
            chat_model(name),
            agent.model,
            Supervisor(model=name).model,
            Worker("clerk", "You look.", model=name).model,
            *(role(model=name).model for role in (researcher, coder, reviewer)),
            Team(Supervisor(), [Worker("a", "You look.")], model=name).supervisor.model,
            *calls.fallbacks,
            calls.economy,
            opened.supervisor.model,
        ]
    for model in models:
        assert isinstance(model, AdaptiveChatOpenAI), "the engine repeats requests, and reserves each"
        assert model.model_name == "gpt-4.1-mini"


@pytest.mark.usefixtures("key")
def test_the_agents_of_a_team_share_the_model_of_a_name() -> None:
    team = Team(Supervisor(), [Worker("a", "You look."), Worker("b", "You look.")], model=NAME)
    assert team.supervisor.model is team.workers["a"].model is team.workers["b"].model


def test_with_an_endpoint_a_name_is_one_of_its_models(monkeypatch: pytest.MonkeyPatch) -> None:
    with OpenAIServer(TeamScript([step("a", agent="clerk")])) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        with TaskOrchestrator(workers=[Worker("clerk", "You look.")], model="deepseek-r1:7b", db="memory://") as opened:
            assert opened.run("go", auto_approve=True).status == "done"
    assert {body["model"] for body in server.bodies} == {"deepseek-r1:7b"}


def test_another_provider_comes_from_langchain(monkeypatch: pytest.MonkeyPatch) -> None:
    made = ScriptedModel(["hi"])
    seen: list[dict[str, Any]] = []

    def creator(provider: str) -> Any:
        return lambda **fields: seen.append({"provider": provider, **fields}) or made

    monkeypatch.setattr(langchain_models, "_get_chat_model_creator", creator)
    assert Worker("clerk", "You look.", model="anthropic:claude-sonnet-4-5").model is made
    assert seen == [{"provider": "anthropic", "model": "claude-sonnet-4-5"}]
    assert ModelProfile.of(made).label == "scripted"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("anthropic:claude-sonnet-4-5", "pip install langchain-anthropic"),
        ("claude-sonnet-4-5", "pip install langchain-anthropic"),
        ("mistralai:mistral-large", "pip install langchain-mistralai"),
        ("azure_openai:gpt-4.1", "the model 'azure_openai:gpt-4.1' cannot be made: "),
        ("qwen2.5:7b", "no provider is known for the model 'qwen2.5:7b': write provider:model, as in openai:gpt-4.1-"),
        ("nobody", "or set OPENAI_BASE_URL to the endpoint that serves it"),
        ("", "'' names no model: write its name, as in openai:gpt-4.1-mini"),
        ("openai:", "'openai:' names no model"),
    ],
)
def test_a_name_that_gives_no_model_is_one_line_that_says_what_is_missing(name: str, told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        Worker("clerk", "You look.", model=name)
    assert told in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_a_model_of_openais_without_a_key_is_told_at_once() -> None:
    with pytest.raises(MissingModelError, match=r"the model 'gpt-4\.1-mini' needs a key: set OPENAI_API_KEY, or "):
        Worker("clerk", "You look.", model="gpt-4.1-mini")
