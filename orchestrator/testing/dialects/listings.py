"""Shapes of lists of models."""

from collections.abc import Callable
from typing import Any


def bare_list(models: list[dict[str, Any]]) -> object:
    """Return the list alone."""
    return models


def under_models(models: list[dict[str, Any]]) -> object:
    """Return the list twice, under `models` and `data`, as llama.cpp does."""
    named = [{"name": model["id"], "model": model["id"]} for model in models]
    return {"models": named, "object": "list", "data": models}


def prefixed(models: list[dict[str, Any]]) -> object:
    """Return ids with a prefix, as Gemini does."""
    return {"object": "list", "data": [{**model, "id": f"models/{model['id']}"} for model in models]}


def nameless(models: list[dict[str, Any]]) -> object:
    """Return data without ids."""
    return {"data": [{"object": "model"} for _ in models]}


def with_fields(**fields: object) -> Callable[[list[dict[str, Any]]], object]:
    """Return a list whose models have further fields."""
    return lambda models: {"object": "list", "data": [{**model, **fields} for model in models]}
