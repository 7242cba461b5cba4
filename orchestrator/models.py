"""Models: which chat model a team gets, from settings; and what an endpoint's errors mean to a person."""

import json
import os
import re
from typing import Any

import openai
from langchain_core.language_models import BaseChatModel
from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from orchestrator.endpoint import AdaptiveChatOpenAI, ToolMode
from orchestrator.errors import ConfigError, MissingModelError, ModelError
from orchestrator.http_pool import LoopTransport, blocking_client, proxy_for

DEFAULT_OPENAI_MODEL = "gpt-4.1-mini"
OPENAI_URL = "https://api.openai.com/v1"
UNKNOWN_WINDOW = 8192
_OPENAIS_OWN = re.compile(r"https://(\w+\.)?api\.openai\.com(/|:|$)")
# Endpoints list all that they serve, in any order, and say of none what it is for.
_NOT_FOR_CHAT = re.compile(
    r"embed|rerank|colbert|minilm|mpnet|whisper|transcri|moderation|llama-?guard|shieldgemma|dall-?e|gpt-image|"
    r"stable-diffusion|davinci|babbage|(^|[-_/.:])(tts|stt|bge|e5|gte|clip|sora|flux|sdxl)([-_/.:0-9]|$)",
    re.I,
)


class RefusedRequestError(ModelError):
    """The endpoint took the connection and the key, and refused this one request."""


class ModelSettings(BaseSettings):
    """Where models come from; read from the environment where not given.

    Args:
        model: Name at the endpoint (`ORCHESTRATOR_MODEL`).
        base_url: An OpenAI-compatible endpoint (`OPENAI_BASE_URL`).
        api_key: Its key (`OPENAI_API_KEY`); many local servers need none.
        timeout_s: Seconds for one request (`ORCHESTRATOR_TIMEOUT_S`).
        max_retries: How often a request is repeated after 429, 5xx, a timeout or a lost connection.
        temperature: Sampling temperature; None for the endpoint's own.
        window: Tokens that the model takes at once (`ORCHESTRATOR_CONTEXT_WINDOW`); None to look it up.
        tool_mode: `auto`, `native` or `json`; see `AdaptiveChatOpenAI` (`ORCHESTRATOR_TOOL_MODE`).

    Raises:
        ConfigError: A value is none that is allowed; the descriptions below say what is.
    """

    model_config = SettingsConfigDict(extra="ignore", populate_by_name=True, env_ignore_empty=True)

    model: str | None = Field(None, validation_alias=AliasChoices("ORCHESTRATOR_MODEL"))
    base_url: str | None = Field(None, validation_alias=AliasChoices("OPENAI_BASE_URL"))
    api_key: SecretStr | None = Field(None, validation_alias=AliasChoices("OPENAI_API_KEY"))
    timeout_s: float = Field(
        120.0,
        gt=0,
        allow_inf_nan=False,
        validation_alias=AliasChoices("ORCHESTRATOR_TIMEOUT_S"),
        description="a number of seconds over 0, as in 300",
    )
    max_retries: int = Field(
        2, ge=0, validation_alias=AliasChoices("ORCHESTRATOR_MAX_RETRIES"), description="a whole number, 0 or more"
    )
    temperature: float | None = Field(
        None, validation_alias=AliasChoices("ORCHESTRATOR_TEMPERATURE"), description="a number, as in 0.2"
    )
    window: int | None = Field(
        None,
        ge=1024,
        validation_alias=AliasChoices("ORCHESTRATOR_CONTEXT_WINDOW"),
        description="a whole number of tokens, 1024 or more",
    )
    tool_mode: ToolMode = Field(
        "auto", validation_alias=AliasChoices("ORCHESTRATOR_TOOL_MODE"), description="auto, native or json"
    )

    def __init__(self, **given: Any) -> None:
        try:
            super().__init__(**given)
        except ValidationError as error:
            raise ConfigError("; ".join(_told(str(p["loc"][0]), p["input"]) for p in error.errors())) from None


def _told(name: str, value: object) -> str:
    """What is wrong with a setting, by its own name or by its environment variable's."""
    for own, field in ModelSettings.model_fields.items():
        choices = field.validation_alias.choices if isinstance(field.validation_alias, AliasChoices) else []
        if name in (own, *choices):
            return f"{name} is {value!r}, and has to be {field.description or 'a text'}"
    return f"{name} cannot be {value!r}"


def chat_model(settings: ModelSettings | None = None) -> BaseChatModel:
    """The chat model that the settings ask for: an endpoint, OpenAI, or the embedded model.

    Raises:
        MissingModelError: None is configured and the embedded model's weights are not there.
        ModelError: The endpoint has to be asked for its models and cannot be.
        ConfigError: A setting makes no sense, or the proxy cannot be used.
    """
    settings = settings or ModelSettings()
    if is_configured(settings):
        return _endpoint(settings)
    from orchestrator.embedded import embedded_model

    return embedded_model(settings)


def is_configured(settings: ModelSettings | None = None) -> bool:
    """Whether a model other than the embedded one is configured."""
    settings = settings or ModelSettings()
    return bool(settings.base_url or (settings.api_key and settings.api_key.get_secret_value()))


def _endpoint(settings: ModelSettings) -> AdaptiveChatOpenAI:
    base_url = settings.base_url
    key = settings.api_key or SecretStr("not-needed")
    proxy = proxy_for(base_url or OPENAI_URL)
    name = settings.model
    if not name and base_url and not _OPENAIS_OWN.match(base_url):  # that one lists dozens, in no order
        name = _first_model(base_url, key, settings.timeout_s, proxy)
    return make_endpoint(name or DEFAULT_OPENAI_MODEL, base_url, key, settings, proxy)


def make_endpoint(
    name: str, base_url: str | None, key: SecretStr, settings: ModelSettings, proxy: str | None = None, **more: Any
) -> AdaptiveChatOpenAI:
    """A chat model at an endpoint, over the shared HTTP clients.

    Args:
        name: The model's name there.
        base_url: The endpoint; None for OpenAI's.
        key: Its key.
        settings: Everything else.
        proxy: The proxy to go through; None to go there directly, whatever the environment says.
        **more: Further fields of the model.

    Raises:
        ConfigError: The proxy cannot be used.
    """
    import httpx2

    given: dict[str, Any] = {"temperature": settings.temperature} if settings.temperature is not None else {}
    return AdaptiveChatOpenAI(
        model=name,
        base_url=base_url,
        api_key=key,
        timeout=settings.timeout_s,
        max_retries=0,  # the engine repeats requests itself: each has to be reserved in the budget
        retries=settings.max_retries,
        stream_usage=True,
        http_client=blocking_client(proxy),
        http_async_client=httpx2.AsyncClient(
            transport=LoopTransport(proxy), timeout=settings.timeout_s, follow_redirects=True
        ),
        http_socket_options=(),  # they are for clients that it would make itself
        openai_proxy=None,  # read by `proxy_for`; beside a client of one's own it is an error
        **{
            "tool_mode": settings.tool_mode,
            "window": settings.window,
            "label": base_url or OPENAI_URL,
            **given,
            **more,
        },
    )


def _first_model(base_url: str, key: SecretStr, timeout_s: float, proxy: str | None) -> str:
    """The first model that an endpoint lists and that looks like one to talk to.

    Raises:
        ModelError: It cannot be asked, lists none, or is no OpenAI-compatible endpoint.
        ConfigError: The proxy cannot be used.
    """
    client = openai.OpenAI(
        base_url=base_url,
        api_key=key.get_secret_value(),
        timeout=min(timeout_s, 15),
        max_retries=1,
        http_client=blocking_client(proxy),
    )
    try:
        # As it comes: the typed method takes whatever has no list of models for an empty one, or stumbles over it.
        names = _names(client.get("/models", cast_to=object))
    except json.JSONDecodeError:
        names = None
    except openai.OpenAIError as error:
        explained = explain(error, base_url)
        raise explained if explained is not None else ModelError(str(error)) from error
    if names is None:
        raise ModelError(
            f"{base_url} is no OpenAI-compatible endpoint: {base_url.rstrip('/')}/models gave no list of models. "
            "Does the URL have to end in /v1?"
        )
    if not names:
        raise MissingModelError(f"{base_url} lists no models: name one with --model")
    return next((name for name in names if not _NOT_FOR_CHAT.search(name)), names[0])


def _names(listed: object) -> list[str] | None:
    """The names in a list of models; None for anything else. Ollama says null where it has none."""
    if isinstance(listed, dict) and "data" in listed:
        listed = listed["data"] or []
    if not isinstance(listed, list):
        return None
    found = [model.get("id") if isinstance(model, dict) else model for model in listed]
    return [name for name in found if isinstance(name, str) and name]


def context_window(model: BaseChatModel) -> int:
    """Tokens that a model takes at once: as set, as LangChain's model profiles know it, or a careful guess."""
    window = getattr(model, "window", None)
    if isinstance(window, int):
        return window
    profile = getattr(model, "profile", None) or {}
    return int(profile.get("max_input_tokens") or UNKNOWN_WINDOW)


def is_small(model: BaseChatModel) -> bool:
    """Whether a model needs narrow schemas and short prompts."""
    return bool(getattr(model, "small", False))


def describe(model: BaseChatModel) -> str:
    """One line: which model, and where it runs."""
    name = getattr(model, "model_name", "") or type(model).__name__
    where = getattr(model, "label", "")
    return f"{name} ({where})" if where else str(name)


def explain(error: BaseException, where: str = "") -> ModelError | None:
    """What an error of the OpenAI client means to a person; None for errors of other origin.

    Args:
        error: Any exception.
        where: The endpoint, when the error does not know it.
    """
    if not isinstance(error, openai.OpenAIError):
        return None
    where = _endpoint_of(error) or where or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL
    detail = _detail(error)
    if isinstance(error, openai.APITimeoutError):
        return ModelError(f"no answer from {where} in time: try again, or set ORCHESTRATOR_TIMEOUT_S to more seconds")
    if isinstance(error, openai.APIConnectionError):
        cause = str(error.__cause__ or error)
        through = " through the proxy that the environment names" if proxy_for(where) else ""
        return ModelError(f"cannot reach {where}{through} ({cause}): check the address and that the server is running")
    if isinstance(error, openai.APIStatusError):
        return _explain_status(error, where, detail)
    return RefusedRequestError(f"{where}: {detail}")


def _explain_status(error: openai.APIStatusError, where: str, detail: str) -> ModelError:
    match error.status_code:
        case 401:
            return ModelError(f"{where} refuses the key ({detail}): check OPENAI_API_KEY")
        case 403:
            return ModelError(f"{where} does not allow this ({detail}): check what the key may do")
        case 404:
            return ModelError(f"{where} knows no such model or path ({detail}): check --model and --base-url")
        case 429:
            return ModelError(f"{where} refuses more requests now ({detail}): wait, or check the quota, and resume")
        case status if status >= 500:
            return ModelError(f"{where} failed with {status} ({detail}): try again later with resume")
        case status:
            return RefusedRequestError(f"{where} refused the request with {status}: {detail}")


def _endpoint_of(error: openai.OpenAIError) -> str:
    request = getattr(error, "request", None)
    url = str(getattr(request, "url", "") or "")
    return url.removesuffix("/chat/completions").removesuffix("/models") if "://" in url else ""


def _detail(error: openai.OpenAIError) -> str:
    body = getattr(error, "body", None)
    found = body.get("message") if isinstance(body, dict) else None
    text = str(found or error)
    return text if len(text) <= 300 else text[:299] + "…"
