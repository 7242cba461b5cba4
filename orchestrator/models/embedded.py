"""The embedded model: llama.cpp inside this process, behind the same protocol as any other endpoint.

`xllamacpp.Server` starts its own HTTP thread on a free loopback port, so `ChatOpenAI` stays the only client. The server
starts once and ends with the process.
"""

import contextlib
import os
import secrets
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from orchestrator.errors import MissingModelError, ModelError
from orchestrator.models.endpoint import make_endpoint
from orchestrator.models.openai_compatible import AdaptiveChatOpenAI
from orchestrator.models.settings import ModelSettings
from orchestrator.models.weights import DEFAULT, cached, weights_named

WINDOW = 4096
PARALLEL = 2
ANSWER_TOKENS = 700
_BATCH = 256  # llama.cpp tells its progress after each; on a CPU larger ones are no faster
_TIMEOUT_S = 3600.0  # a busy machine is slow, and on loopback no request gets lost

loading: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext
"""Context in which the weights are loaded. xllamacpp 2026.10 holds Python's lock for ten seconds, so no handler of a
signal runs. The command line sets a context in which the system ends the process."""

_lock = threading.Lock()
_servers: dict[str, tuple[Any, str]] = {}  # with its key; kept here because a server ends when its object is collected


def embedded_model(settings: ModelSettings) -> AdaptiveChatOpenAI:
    """Return the embedded model, and start its server if none is running.

    Args:
        settings: `model` may name another entry of the catalogue.

    Raises:
        MissingModelError: The engine or the weights are missing.
        ModelError: The engine cannot load the weights.
    """
    name = settings.model or DEFAULT
    try:
        weights = weights_named(name)
    except MissingModelError as error:
        raise MissingModelError(
            f"no endpoint is configured, and {error}. For a model elsewhere set OPENAI_API_KEY, or name an "
            "OpenAI-compatible endpoint with --base-url or OPENAI_BASE_URL"
        ) from None
    path = cached(weights)
    if path is None:
        raise MissingModelError(
            "no model is configured: set OPENAI_API_KEY, or name an OpenAI-compatible endpoint with --base-url or "
            "OPENAI_BASE_URL, or get the embedded model with `orchestrator model fetch`"
        )
    url, key = _serve(path)
    fields = {
        "timeout_s": max(settings.timeout_s, _TIMEOUT_S),
        "temperature": settings.temperature or 0.0,
        "reasoning_effort": None,
        "window": settings.window or WINDOW,
        "tool_mode": "json",
        "max_retries": 0,
    }
    return make_endpoint(
        name,
        url,
        SecretStr(key),
        settings.model_copy(update=fields),
        max_tokens=ANSWER_TOKENS,
        label="embedded, on this machine's CPU",
        small=True,
        is_free=True,
        tells_progress=True,
    )


def _serve(path: Path) -> tuple[str, str]:
    """Return the address and the key of the server for these weights."""
    with _lock:
        if str(path) not in _servers:
            # Every user of the machine can reach the port; only this process knows the key.
            key = secrets.token_urlsafe(24)
            _servers[str(path)] = (_start(path, key), key)
        server, key = _servers[str(path)]
        return f"{server.listening_address}/v1", key


def _start(path: Path, key: str) -> Any:
    # Without this setting llama.cpp's threads spin while they wait: on two busy cores, a fifth of the speed.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        import xllamacpp
    except ImportError:
        raise MissingModelError(
            "the embedded model needs its engine: pip install 'agent-task-orchestrator[local]'"
        ) from None
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = WINDOW * PARALLEL  # llama.cpp divides its context among the parallel requests
    params.n_parallel = PARALLEL
    params.n_batch = params.n_ubatch = _BATCH
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.ui = False
    params.cors_origins = ""
    params.cache_ram_mib = 256
    params.n_predict = ANSWER_TOKENS
    params.verbosity = -1
    params.api_keys = [key]
    try:
        with loading():
            return xllamacpp.Server(params)
    except RuntimeError as error:
        raise ModelError(
            f"the embedded model's engine cannot load {path} ({error}): get the weights again with "
            "`orchestrator model fetch`, after deleting that file"
        ) from error
