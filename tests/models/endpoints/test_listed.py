"""The window is read from every form in which servers tell it, and never from a number that means something else."""

from typing import Any

import pytest

from orchestrator.models.endpoints.listed import ToldWindow, models_in, models_named, window_in


@pytest.mark.parametrize(
    ("told", "window"),
    [
        ({"max_model_len": 32_768}, 32_768),
        ({"meta": {"n_ctx": 4096, "n_ctx_train": 131_072}}, 4096),
        ({"context_length": 131_072, "top_provider": {"context_length": 65_536}}, 65_536),
        ({"context_window": 131_072, "max_completion_tokens": 1024}, 131_072),
        ({"max_context_length": 40_960, "loaded_context_length": 8192}, 8192),
        ({"inputTokenLimit": 1_048_576, "outputTokenLimit": 65_536}, 1_048_576),
        ({"model_info": {"max_tokens": 2048, "max_input_tokens": 128_000, "max_output_tokens": 2048}}, 128_000),
        ({"context_size": "16384"}, 16_384),
        ({"contextWindow": "128k"}, 128_000),
        ({"max-context-length": "1M tokens"}, 1_000_000),
        ({"context_length": "32,768"}, 32_768),
        ({"context_length": 32_768.0}, 32_768),
        ({"parameters": {"max_seq_len": 8192, "cache_size": 65_536}}, 8192),
        ({"max_input_tokens": 4095, "max_total_tokens": 4096}, 4096),
        ({"limit": {"context": 200_000, "output": 64_000}}, 200_000),
        ({"limits": {"max_input_tokens": 8000, "max_output_tokens": 4000}}, 8000),
        ({"providers": [{"context_length": 65_536}, {"context_length": 16_384}]}, 16_384),
        ({"max_context_window_tokens": 64_000, "max_prompt_tokens": 60_000}, 64_000),
        ({"capabilities": {"limits": {"max_context_window_tokens": 64_000}}}, 64_000),
    ],
)
def test_the_window_is_read_under_every_name_nested_and_as_text(told: dict[str, Any], window: int) -> None:
    assert window_in({"id": "m", **told}) == ToldWindow(window)


@pytest.mark.parametrize(
    "told",
    [
        {"max_model_len": None, "meta": "none", "context_length": True},
        {"meta": {"n_ctx_train": 131_072}, "max_tokens": 4096, "max_output_tokens": 65_536},
        {"context_length": 0, "context_window": -1, "max_context_length": 10**18, "n_ctx": "unlimited"},
        {"pricing": {"input": 2000, "context": 5000}, "created": 1_700_000_000, "owned_by": "context"},
        {"context_length": 512},
        {},
    ],
)
def test_other_numbers_are_no_window(told: dict[str, Any]) -> None:
    assert window_in({"id": "m", **told}) is None


@pytest.mark.parametrize("told", [{"state": "not-loaded"}, {"loaded_instances": []}])
def test_a_model_that_is_not_loaded_may_get_less_than_it_can_take(told: dict[str, Any]) -> None:
    assert window_in({"id": "m", "max_context_length": 40_960, **told}) == ToldWindow(40_960, is_most=True)
    loaded = {"loaded_instances": [{"id": "m", "config": {"context_length": 8192}}]}
    assert window_in({"key": "m", "max_context_length": 40_960, **loaded}) == ToldWindow(8192)


@pytest.mark.parametrize(
    ("name", "listed", "found"),
    [
        ("m", ["m", "n"], ["m"]),
        ("Qwen/M", ["qwen/m", "n"], ["qwen/m"]),
        ("gemini-3", ["models/gemini-3", "n"], ["models/gemini-3"]),
        ("models/gemini-3", ["gemini-3", "n"], ["gemini-3"]),
        ("llama3", ["llama3:latest", "llama3:8b"], ["llama3:latest"]),
        ("a/m:online", ["a/m", "a/m:free"], ["a/m"]),
        ("anything", ["m"], ["m"]),
        ("anything", ["m", "n"], []),
    ],
)
def test_a_model_is_found_by_the_name_that_requests_have(name: str, listed: list[str], found: list[str]) -> None:
    assert models_named(name, models_in({"data": listed}) or []) == [{"id": each} for each in found]


def test_a_model_is_found_by_its_alias() -> None:
    model = {"id": "unsloth/Qwen3-GGUF", "aliases": ["qwen"]}
    assert models_named("qwen", [model, {"id": "n"}]) == [model]


@pytest.mark.parametrize("listed", ["<html>", {"detail": "hello"}, {"data": "all"}, 7, None])
def test_what_is_no_list_is_none(listed: object) -> None:
    assert models_in(listed) is None
