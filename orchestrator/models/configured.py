"""The model of the configured endpoint, and finding one at an endpoint that lists several."""

import json
import re
from base64 import b64encode
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import openai
from pydantic import SecretStr

from orchestrator.errors import MissingModelError, ModelError
from orchestrator.models.completions.answer import parsed
from orchestrator.models.endpoint import make_endpoint
from orchestrator.models.endpoints.listed import LISTED, NoListError, ToldWindow, list_or_error, window_in
from orchestrator.models.endpoints.routes import asked_addresses, routed
from orchestrator.models.error_texts import explain
from orchestrator.models.http_client import blocking_client
from orchestrator.models.openai_compatible import AdaptiveChatOpenAI
from orchestrator.models.proxies import OPENAI_URL, plain_address, proxy_for
from orchestrator.models.requests.lessons import keep, recall
from orchestrator.models.settings import ModelSettings
from orchestrator.redaction import redact, remember_secret

DEFAULT_OPENAI_MODEL = "gpt-4.1-mini"

_AZURES = re.compile(r"^https://[\w.-]+\.(openai\.azure\.com|services\.ai\.azure\.com)(/|:|$)", re.I)
_SECRET_PARAMETER = re.compile(r"key|token|secret|password|sig|code", re.I)
_OPENAIS_OWN = re.compile(r"https://(\w+\.)?api\.openai\.com(/|:|$)")
# Endpoints list their models in any order, and do not say which are for chat.
_NOT_FOR_CHAT = re.compile(
    r"embed|rerank|colbert|minilm|mpnet|whisper|transcri|moderation|llama-?guard|shieldgemma|dall-?e|gpt-image|"
    r"stable-diffusion|davinci|babbage|(^|[-_/.:])(tts|stt|bge|e5|gte|clip|sora|flux|sdxl)([-_/.:0-9]|$)",
    re.I,
)


def is_configured(settings: ModelSettings | None = None) -> bool:
    """True if a model other than the embedded one is configured."""
    settings = settings or ModelSettings()
    return bool(settings.base_url or (settings.api_key and settings.api_key.get_secret_value()))


def configured_identity(settings: ModelSettings) -> tuple[str, str]:
    """Return the name of the configured model, empty if the endpoint's list would decide, and its plain address."""
    base_url, _ = split_login(split_query(settings.base_url)[0])
    has_list = base_url and not _OPENAIS_OWN.match(base_url)
    return settings.model or ("" if has_list else DEFAULT_OPENAI_MODEL), plain_address(base_url or OPENAI_URL)


def configured_model(settings: ModelSettings) -> AdaptiveChatOpenAI:
    """Make the model of the endpoint that the settings name, or else of OpenAI.

    Raises:
        ModelError: No model was named, and the endpoint cannot list its models.
        ConfigError: The proxy cannot be used.
    """
    bare_url, query = split_query(settings.base_url)
    base_url, headers = split_login(bare_url)
    key = settings.api_key or SecretStr("not-needed")  # the client demands one, though many local servers do not
    remember_secret(key.get_secret_value())
    proxy = proxy_for(base_url or OPENAI_URL)
    if base_url and _AZURES.search(base_url) and settings.api_key:
        headers = {**headers, "api-key": key.get_secret_value()}
    name = settings.model
    fields: dict[str, Any] = {"default_headers": headers} if headers else {}
    if not name and base_url and not _OPENAIS_OWN.match(base_url):  # OpenAI lists dozens, in no order
        name, window = _first_model(base_url, key, settings.timeout_s, proxy, headers, query)
        if window is not None and not window.is_most:
            _learn(base_url, name, window.tokens)
    if query:
        fields["default_query"] = query
    return make_endpoint(name or DEFAULT_OPENAI_MODEL, base_url, key, settings, proxy, **fields)


def _learn(base_url: str, name: str, window: int) -> None:
    """Learn the window in a list of models, unless the endpoint has told another one elsewhere today."""
    known = recall(base_url, name)
    if known.lacks_window or (known.window_source == LISTED and known.window != window):
        known.tell_window(window, LISTED)
        keep(base_url, name, known)


def _first_model(
    base_url: str,
    key: SecretStr,
    timeout_s: float,
    proxy: str | None,
    headers: dict[str, str],
    query: dict[str, object],
) -> tuple[str, ToldWindow | None]:
    """Return the first model that an endpoint lists and that seems to be for chat, and its window if the list has it.

    Raises:
        ModelError: The endpoint cannot be reached, lists no models, or is not OpenAI-compatible.
        ConfigError: The proxy cannot be used.
    """
    client = openai.OpenAI(
        base_url=base_url,
        api_key=key.get_secret_value(),
        timeout=min(timeout_s, 15),
        max_retries=1,
        http_client=blocking_client(proxy),
        default_headers=headers or None,
        default_query=query or None,
    )
    recall(base_url, "")  # the path that an earlier process has found

    def ask(path: str) -> dict[str, ToldWindow | None]:
        # `models.list()` takes an answer of another shape for an empty list, or fails on it with an unclear error.
        try:
            answer = parsed(client.get(path, cast_to=object))
        except json.JSONDecodeError as error:  # the content type promised JSON
            answer = parsed(error.doc)
        models = list_or_error(answer)
        return {model["id"]: window_in(model) for model in models if isinstance(model.get("id"), str) and model["id"]}

    try:
        windows = routed(base_url, "/models", ask)
    except NoListError as error:
        where = asked_addresses(error) or f"{base_url.rstrip('/')}/models"
        raise ModelError(f"{base_url} is no OpenAI-compatible endpoint: no list of models at {where}") from error
    except openai.OpenAIError as error:
        explained = explain(error, base_url)
        raise explained if explained is not None else ModelError(redact(str(error))) from error
    if not windows:
        raise MissingModelError(f"{base_url} lists no models: name one with --model")
    name = next((name for name in windows if not _NOT_FOR_CHAT.search(name)), next(iter(windows)))
    return name, windows[name]


def split_query(url: str | None) -> tuple[str | None, dict[str, object]]:
    """Return an address without its query, and the parameters, which go with every request.

    Args:
        url: The address of an endpoint, such as Azure's with `?api-version=…`; None for OpenAI's.
    """
    try:
        parts = urlsplit(url or "")
    except ValueError:
        return url, {}  # the client says what is wrong with it
    if not parts.query:
        return url, {}
    query = parse_qs(parts.query, keep_blank_values=True)
    for name, values in query.items():
        if _SECRET_PARAMETER.search(name):
            for value in values:
                remember_secret(value)
    bare = parts._replace(query="", fragment="").geturl()
    return bare, {name: values[0] if len(values) == 1 else values for name, values in query.items()}


def split_login(url: str | None) -> tuple[str | None, dict[str, str]]:
    """Return an address without its name and password, and the headers that send them instead.

    HTTP clients log the addresses of requests, and errors repeat them.

    Args:
        url: The address of an endpoint; None for OpenAI's.
    """
    try:
        parts = urlsplit(url or "")
    except ValueError:
        return url, {}  # the client says what is wrong with it
    if parts.username is None:
        return url, {}
    name, password = unquote(parts.username), unquote(parts.password or "")
    login = b64encode(f"{name}:{password}".encode()).decode()
    for secret in (password, parts.password or "", login):
        remember_secret(secret)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return bare, {"Authorization": f"Basic {login}"}
