"""The model of the configured endpoint, and finding one at an endpoint that lists several."""

import json
import re
from base64 import b64encode
from urllib.parse import unquote, urlsplit

import openai
from pydantic import SecretStr

from orchestrator.errors import MissingModelError, ModelError
from orchestrator.models.completions.answer import parsed
from orchestrator.models.endpoint import make_endpoint
from orchestrator.models.error_texts import explain
from orchestrator.models.http_client import blocking_client
from orchestrator.models.openai_compatible import AdaptiveChatOpenAI
from orchestrator.models.proxies import OPENAI_URL, plain_address, proxy_for
from orchestrator.models.settings import ModelSettings
from orchestrator.redaction import redact, remember_secret

DEFAULT_OPENAI_MODEL = "gpt-4.1-mini"

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
    base_url, _ = split_login(settings.base_url)
    has_list = base_url and not _OPENAIS_OWN.match(base_url)
    return settings.model or ("" if has_list else DEFAULT_OPENAI_MODEL), plain_address(base_url or OPENAI_URL)


def configured_model(settings: ModelSettings) -> AdaptiveChatOpenAI:
    """Make the model of the endpoint that the settings name, or else of OpenAI.

    Raises:
        ModelError: No model was named, and the endpoint cannot list its models.
        ConfigError: The proxy cannot be used.
    """
    base_url, headers = split_login(settings.base_url)
    key = settings.api_key or SecretStr("not-needed")  # the client demands one, though many local servers do not
    remember_secret(key.get_secret_value())
    proxy = proxy_for(base_url or OPENAI_URL)
    name = settings.model
    if not name and base_url and not _OPENAIS_OWN.match(base_url):  # OpenAI lists dozens, in no order
        name = _first_model(base_url, key, settings.timeout_s, proxy, headers)
    fields = {"default_headers": headers} if headers else {}
    return make_endpoint(name or DEFAULT_OPENAI_MODEL, base_url, key, settings, proxy, **fields)


def _first_model(base_url: str, key: SecretStr, timeout_s: float, proxy: str | None, headers: dict[str, str]) -> str:
    """Return the first model that an endpoint lists and that seems to be for chat.

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
    )
    try:
        # `models.list()` takes an answer of another shape for an empty list, or fails on it with an unclear error.
        names = _names(parsed(client.get("/models", cast_to=object)))
    except json.JSONDecodeError as error:  # the content type promised JSON
        names = _names(parsed(error.doc))
    except openai.OpenAIError as error:
        explained = explain(error, base_url)
        raise explained if explained is not None else ModelError(redact(str(error))) from error
    if names is None:
        raise ModelError(
            f"{base_url} is no OpenAI-compatible endpoint: {base_url.rstrip('/')}/models gave no list of models. "
            "Does the URL have to end in /v1?"
        )
    if not names:
        raise MissingModelError(f"{base_url} lists no models: name one with --model")
    return next((name for name in names if not _NOT_FOR_CHAT.search(name)), names[0])


def _names(listed: object) -> list[str] | None:
    """Return the names in a list of models; None for anything else."""
    if isinstance(listed, dict) and "data" in listed:
        listed = listed["data"] or []  # Ollama sends null for an empty list
    if not isinstance(listed, list):
        return None
    names = [model.get("id") if isinstance(model, dict) else model for model in listed]
    return [name for name in names if isinstance(name, str) and name]


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
