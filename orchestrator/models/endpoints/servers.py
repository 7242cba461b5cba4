"""Servers: where those that do not list their models' windows tell them, and by which marks each server is known.

Only a server that shows a mark is asked at its own addresses, so that no other server is troubled.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.models.endpoints.listed import ToldWindow, models_in, models_named, names_of, number_in, window_in

_OLLAMAS_LEAST = 4096
"""Tokens that Ollama and LM Studio give a model at least, unless they are told otherwise."""


@dataclass(frozen=True)
class Listing:
    """A list of models, and what came with it.

    Args:
        address: The endpoint's address, without a slash at its end.
        models: The models.
        headers: The headers of the answer, with names in small letters.
    """

    address: str
    models: Sequence[Mapping[str, Any]]
    headers: Mapping[str, str]

    @property
    def owners(self) -> frozenset[str]:
        """The owners of the models, in small letters."""
        return frozenset(str(model.get("owned_by") or "").lower() for model in self.models)


@dataclass(frozen=True)
class Lookup:
    """A request that may tell a window.

    Args:
        path: The path behind the server's root. `{model}` stands for the model's name.
        read: Returns the window in the answer, for the model of a name.
        body: The JSON to send by POST, with `{model}` as above; None for a GET.
        key_header: The header that takes the key instead of the usual one; empty for the usual one.
    """

    path: str
    read: Callable[[object, str], ToldWindow | None]
    body: Mapping[str, str] | None = None
    key_header: str = ""


@dataclass(frozen=True)
class Server:
    """A kind of server.

    Args:
        name: Its name, for logs.
        has_mark: True if a list of models shows that it comes from such a server.
        lookups: The requests, one after the other until one tells the window.
        unloaded: The window of a model that is not loaded yet, at least; 0 if it is not known, None where servers load
            no models on demand.
    """

    name: str
    has_mark: Callable[[Listing], bool]
    lookups: tuple[Lookup, ...]
    unloaded: int | None = None


def _owned_by(*owners: str) -> Callable[[Listing], bool]:
    return lambda listing: bool(listing.owners & set(owners))


def _is_ollama(listing: Listing) -> bool:
    # A model from elsewhere than Ollama's library has its publisher's name for an owner.
    return "library" in listing.owners or bool(re.search(r":11434(/|$)|ollama", listing.address, re.I))


def _whole(told: object, _: str) -> ToldWindow | None:
    return window_in(told)


def _in_list(told: object, name: str) -> ToldWindow | None:
    return window_in(models_named(name, models_in(told) or []))


def _one_in_list(told: object, name: str) -> ToldWindow | None:
    models = models_named(name, models_in(told) or [])
    return window_in(models[0]) if models else None


def _loaded(told: object, name: str) -> ToldWindow | None:
    """Read Ollama's list of loaded models. A single other model in it says nothing of this one."""
    models = [each for each in models_in(told) or [] if set(names_of(each)) & {name, f"{name}:latest"}]
    return window_in(models[0]) if models else None


def _shown(told: object, _: str) -> ToldWindow | None:
    """Read what Ollama shows of a model: its own `num_ctx`, or else what it was trained for, as the most.

    A model that runs on Ollama's own service has the whole of it.
    """
    if not isinstance(told, dict):
        return None
    if own := re.search(r"^\s*num_ctx\s+(\d+)", str(told.get("parameters") or ""), re.M):
        return window_in({"num_ctx": own[1]})
    facts = told.get("model_info")
    trained = [number_in(facts[name]) for name in facts if name.endswith(".context_length")] if facts else []
    most = next((size for size in trained if size is not None), None)
    return ToldWindow(most, is_most=not told.get("remote_host")) if most is not None else None


def _shown_whole(told: object, name: str) -> ToldWindow | None:
    """Read what Ollama's own service shows of a model, which has the whole of its window there."""
    shown = _shown(told, name)
    return ToldWindow(shown.tokens) if shown is not None else None


def _single(told: object, _: str) -> ToldWindow | None:
    size = number_in(told.get("value")) if isinstance(told, dict) else None
    return ToldWindow(size) if size is not None else None


SERVERS = (
    Server(
        "Ollama",
        lambda listing: bool(re.search(r"//(\w+\.)?ollama\.com(/|:|$)", listing.address)),
        (Lookup("/api/show", _shown_whole, {"model": "{model}"}),),
    ),
    Server(
        "Ollama",
        _is_ollama,
        (Lookup("/api/ps", _loaded), Lookup("/api/show", _shown, {"model": "{model}"})),
        _OLLAMAS_LEAST,
    ),
    Server(
        "LM Studio",
        _owned_by("organization_owner"),
        (Lookup("/api/v0/models", _one_in_list), Lookup("/api/v1/models", _one_in_list)),
        _OLLAMAS_LEAST,
    ),
    Server(
        "llama.cpp",
        lambda listing: "llamacpp" in listing.owners or "llama.cpp" in listing.headers.get("server", "").lower(),
        # Its router would load a model to answer this.
        (Lookup("/props?model={model}&autoload=false", _whole), Lookup("/props", _whole)),
        0,
    ),
    Server(
        "LiteLLM",
        lambda listing: any(name.startswith("x-litellm-") for name in listing.headers),
        (Lookup("/model/info", _in_list), Lookup("/v1/model/info", _in_list)),
    ),
    Server(
        "Gemini",
        lambda listing: (
            listing.address.endswith("/openai")
            and any(str(model.get("id")).startswith("models/") for model in listing.models)
        ),
        (Lookup("/models/{model}", _whole, key_header="x-goog-api-key"),),
    ),
    Server("KoboldCpp", _owned_by("koboldcpp"), (Lookup("/api/extra/true_max_context_length", _single),)),
    Server("TabbyAPI", _owned_by("tabbyapi"), (Lookup("/v1/model", _whole),)),
    Server(
        "Text Generation Inference",
        lambda listing: any(model.get("owned_by") == model.get("id") for model in listing.models),
        (Lookup("/info", _whole),),
    ),
)


def root_of(address: str) -> str:
    """Return an endpoint's address without the path of the OpenAI-compatible interface.

    Args:
        address: The address, without a slash at its end.
    """
    return re.sub(r"(/openai|/api)?/v\d\w*$|/openai$", "", address)
