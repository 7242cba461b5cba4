"""Listed: models as endpoints list them, with their windows under every name that servers have for it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import openai

from orchestrator.models.capabilities import LEAST_WINDOW
from orchestrator.models.completions.answer import error_in

LISTED = "the endpoint's list of models"
"""The source of a window, in words."""
_MOST_WINDOW = 10**9  # some servers mean "no limit" by the largest number that they can write
_DEPTH = 6
_NAMES = ("id", "name", "model", "key", "model_name", "slug")
# From the window that a server gives the model now, to what may be more than that. Names are compared without `_` and
# `-`, in small letters. How long the texts were on which a model was trained (`n_ctx_train`) is no window.
_WINDOWS = tuple(
    re.compile(pattern)
    for pattern in (
        r"(loaded|effective|current)(context|ctx)(length|len|size|window)?",
        # vLLM and SGLang, llama.cpp, TGI, TabbyAPI
        r"max(model|seq|sequence)(len|length)|(n|num)ctx|ctxsize|maxtotaltokens",
        # OpenRouter, Groq, Mistral, Together, LocalAI and others
        r"(max)?(model)?(context|ctx)(window)?(length|len|size|tokens?|limit|tokenlimit|maxtokens)?",
        # Gemini, LiteLLM, Anthropic: for the prompt alone
        r"(max)?(input|prompt)(tokens?)?(limit|max)?",
    )
)
_OF_A_MOST = 2  # from here on, the names of a window that a model has only when it is loaded so
# Fields in which other numbers stand under the same names.
_ELSEWHERE = re.compile(r"pric|cost|permission|usage|rate|output|completion|train|architecture|modalit|supported", re.I)
_NUMBER = re.compile(r"\s*(\d[\d,_ ]*(?:\.\d+)?)\s*([km]?)\s*(?:i?b)?\s*(?:tokens?)?\s*", re.I)
_UNITS = {"": 1, "k": 1000, "m": 1000_000}


@dataclass(frozen=True)
class ToldWindow:
    """A window that an endpoint tells.

    Args:
        tokens: Tokens that the model takes at once.
        is_most: True if the model need not get that many, since it is not loaded yet.
    """

    tokens: int
    is_most: bool = False


class NoListError(openai.APIError):
    """An answer that is no list of models, as of a web page."""


def models_in(listed: object) -> list[dict[str, Any]] | None:
    """Return the models of a list in any form that servers have; None for anything else."""
    if isinstance(listed, dict):
        field = next((name for name in ("data", "models") if name in listed), None)
        if field is None:
            return None
        listed = listed[field] or []  # Ollama sends null for an empty list
    if not isinstance(listed, list):
        return None
    return [model if isinstance(model, dict) else {"id": model} for model in listed]


def list_or_error(answer: object) -> list[dict[str, Any]]:
    """Return the models of an answer.

    Raises:
        openai.APIStatusError: The answer tells an error, though its status is 200.
        NoListError: The answer is no list of models.
    """
    if (models := models_in(answer)) is not None:
        return models
    told = error_in(answer) if isinstance(answer, dict) and answer.get("error") else None
    raise told or NoListError("no list of models", httpx2.Request("GET", "/models"), body=None)


def names_of(model: dict[str, Any]) -> list[str]:
    """Return the names of a listed model, without Gemini's prefix."""
    aliases = model.get("aliases")
    values = [*(model.get(name) for name in _NAMES), *(aliases if isinstance(aliases, list) else ())]
    return [value.removeprefix("models/") for value in values if isinstance(value, str) and value]


def models_named(name: str, models: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the listed models that a request for a name may reach.

    Args:
        name: The name, as requests have it.
        models: The list.
    """
    plain = name.removeprefix("models/").casefold()
    # OpenRouter's variants (`:online`), and Ollama's usual tag.
    for meant in ({plain}, {plain.removesuffix(":latest"), f"{plain}:latest"}, {plain.partition(":")[0]}):
        if found := [model for model in models if meant & {each.casefold() for each in names_of(model)}]:
            return found
    return models if len(models) == 1 else []  # a server of one model takes any name


def window_in(told: object) -> ToldWindow | None:
    """Return the window in what an endpoint tells of a model; None if it tells none.

    Where an endpoint tells several, as for the servers behind it, the smallest one holds for all.
    """
    sizes = sorted(_sizes(told, _DEPTH))
    if not sizes:
        return None
    rank = min(rank for rank, _ in sizes)
    return ToldWindow(min(size for each, size in sizes if each == rank), rank >= _OF_A_MOST and _is_unloaded(told))


def number_in(value: object) -> int | None:
    """Return a number of tokens, as a number or a text such as `128k`; None for anything else."""
    if isinstance(value, str) and (found := _NUMBER.fullmatch(value)) is not None:
        value = float(re.sub(r"[,_ ]", "", found[1])) * _UNITS[found[2].lower()]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if LEAST_WINDOW <= value <= _MOST_WINDOW else None


def _sizes(told: object, depth: int) -> Iterator[tuple[int, int]]:
    """Yield each window with the rank of its name."""
    if depth and isinstance(told, list):
        for part in told:
            yield from _sizes(part, depth - 1)
    if not depth or not isinstance(told, dict):
        return
    for name, value in told.items():
        if _ELSEWHERE.search(str(name)):
            continue
        if isinstance(value, dict | list):
            yield from _sizes(value, depth - 1)
        elif (size := number_in(value)) is not None:
            plain = re.sub(r"[_\-. ]", "", str(name)).lower()
            rank = next((at for at, pattern in enumerate(_WINDOWS) if pattern.fullmatch(plain)), None)
            if rank is not None:
                yield rank, size


def _is_unloaded(told: object) -> bool:
    """True if a server says that the model is not loaded, as LM Studio does."""
    return isinstance(told, dict) and (told.get("state") == "not-loaded" or told.get("loaded_instances") == [])
