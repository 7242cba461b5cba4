"""ModelProfile: the facts of a model of any class."""

from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel, FakeListChatModel
from langchain_openai import ChatOpenAI
from pydantic import ConfigDict, SecretStr

from orchestrator.models.endpoint import make_endpoint
from orchestrator.models.openai_compatible import AdaptiveChatOpenAI
from orchestrator.models.profile import UNKNOWN_WINDOW, ModelProfile
from orchestrator.models.settings import ModelSettings
from orchestrator.testing import ScriptedModel

URL = "http://127.0.0.1:1/v1"


def chat_openai(**fields: Any) -> ChatOpenAI:
    return ChatOpenAI(**{"model": "m", "api_key": SecretStr("x"), **fields})


def endpoint(**fields: Any) -> AdaptiveChatOpenAI:
    return make_endpoint("m", URL, SecretStr("x"), ModelSettings(timeout_s=7, max_retries=3, window=2048), **fields)


class Patient(ScriptedModel):
    request_timeout: float = 30
    retries: int | None = 5

    @property
    def is_openai(self) -> bool:
        return True


class Open(FakeListChatModel):
    model_config = ConfigDict(extra="allow")


class Delegating(FakeListChatModel):
    def __getattr__(self, name: str) -> Any:
        if name == "small":
            return True
        raise AttributeError(name)


def test_a_model_of_any_class_has_a_profile() -> None:
    profile = ModelProfile.of(FakeListChatModel(responses=[]))
    assert (profile.name, profile.description, profile.label, profile.url) == ("FakeListChatModel",) * 2 + ("", "")
    assert (profile.is_small, profile.is_free, profile.is_openai, profile.has_native_tools) == (False,) * 3 + (True,)
    assert (profile.window, profile.max_tokens) == (UNKNOWN_WINDOW, None)
    assert (profile.retries, profile.timeout_s) == (None, None)


def test_the_engines_own_model_says_everything() -> None:
    profile = ModelProfile.of(endpoint(small=True, is_free=True, max_tokens=700, tool_mode="json"))
    assert (profile.name, profile.url, profile.description) == ("m", URL, f"m ({URL})")
    assert (profile.is_small, profile.is_free, profile.is_openai, profile.has_native_tools) == (
        True,
        True,
        False,
        False,
    )
    assert (profile.window, profile.max_tokens, profile.timeout_s, profile.retries) == (2048, 700, 7, 3)


def test_a_subclass_may_say_more_than_its_base() -> None:
    assert not ModelProfile.of(ScriptedModel([])).is_openai
    profile = ModelProfile.of(Patient([]))
    assert (profile.is_openai, profile.timeout_s, profile.retries) == (True, 30, 5)


@pytest.mark.parametrize("model", [Open(responses=[], small=True), Delegating(responses=[])], ids=["extra", "own"])
def test_attributes_that_are_no_fields_count_too(model: BaseChatModel) -> None:
    assert ModelProfile.of(model).is_small


def test_a_window_that_is_learned_later_is_seen() -> None:
    model = endpoint()
    profile = ModelProfile.of(model)
    model.window = 1024
    assert profile.window == 1024


def test_a_window_that_is_not_set_comes_from_langchains_profile() -> None:
    assert ModelProfile.of(chat_openai(profile={"max_input_tokens": 4321})).window == 4321


def test_an_endpoint_is_an_address_and_a_model() -> None:
    assert ModelProfile.of(endpoint()).endpoint == f"{URL} (m)"
    assert ModelProfile.of(chat_openai(base_url=f"{URL}/")).endpoint == f"{URL} (m)"
    assert ModelProfile.of(chat_openai(model="n")).endpoint == "https://api.openai.com/v1 (n)"
    assert ModelProfile.of(FakeListChatModel(responses=[])).endpoint == "FakeListChatModel (FakeListChatModel)"
