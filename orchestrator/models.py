"""Models: which chat model a team gets, from settings; and what an endpoint's errors mean to a person."""

import os
from typing import Any

import openai
from langchain_core.language_models import BaseChatModel
from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from orchestrator.endpoint import AdaptiveChatOpenAI, ToolMode
from orchestrator.errors import MissingModelError, ModelError

DEFAULT_OPENAI_MODEL = "gpt-4.1-mini"
OPENAI_URL = "https://api.openai.com/v1"
UNKNOWN_WINDOW = 8192


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
    """

    model_config = SettingsConfigDict(extra="ignore", populate_by_name=True)

    model: str | None = Field(None, validation_alias=AliasChoices("ORCHESTRATOR_MODEL"))
    base_url: str | None = Field(None, validation_alias=AliasChoices("OPENAI_BASE_URL"))
    api_key: SecretStr | None = Field(None, validation_alias=AliasChoices("OPENAI_API_KEY"))
    timeout_s: float = Field(120.0, gt=0, validation_alias=AliasChoices("ORCHESTRATOR_TIMEOUT_S"))
    max_retries: int = Field(2, ge=0, validation_alias=AliasChoices("ORCHESTRATOR_MAX_RETRIES"))
    temperature: float | None = Field(None, validation_alias=AliasChoices("ORCHESTRATOR_TEMPERATURE"))
    window: int | None = Field(None, ge=1024, validation_alias=AliasChoices("ORCHESTRATOR_CONTEXT_WINDOW"))
    tool_mode: ToolMode = Field("auto", validation_alias=AliasChoices("ORCHESTRATOR_TOOL_MODE"))


def chat_model(settings: ModelSettings | None = None) -> BaseChatModel:
    """The chat model that the settings ask for: an endpoint, OpenAI, or the embedded model.

    Raises:
        MissingModelError: None is configured and the embedded model's weights are not there.
        ModelError: The endpoint has to be asked for its models and cannot be.
    """
    settings = settings or ModelSettings()
    if settings.base_url or (settings.api_key and settings.api_key.get_secret_value()):
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
    name = settings.model or (_first_model(base_url, key, settings.timeout_s) if base_url else DEFAULT_OPENAI_MODEL)
    return make_endpoint(name, base_url, key, settings)


def make_endpoint(
    name: str, base_url: str | None, key: SecretStr, settings: ModelSettings, **more: Any
) -> AdaptiveChatOpenAI:
    """A chat model at an endpoint, over the shared HTTP client."""
    import httpx2

    from orchestrator.http_pool import LoopTransport

    given: dict[str, Any] = {"temperature": settings.temperature} if settings.temperature is not None else {}
    return AdaptiveChatOpenAI(
        model=name,
        base_url=base_url,
        api_key=key,
        timeout=settings.timeout_s,
        max_retries=0,  # the engine repeats requests itself: each has to be reserved in the budget
        retries=settings.max_retries,
        stream_usage=True,
        http_async_client=httpx2.AsyncClient(transport=LoopTransport(), timeout=settings.timeout_s),
        **{
            "tool_mode": settings.tool_mode,
            "window": settings.window,
            "label": base_url or OPENAI_URL,
            **given,
            **more,
        },
    )


def _first_model(base_url: str | None, key: SecretStr, timeout_s: float) -> str:
    client = openai.OpenAI(base_url=base_url, api_key=key.get_secret_value(), timeout=min(timeout_s, 15), max_retries=1)
    try:
        names = [model.id for model in client.models.list()]
    except openai.OpenAIError as error:
        explained = explain(error, base_url or OPENAI_URL)
        raise explained if explained is not None else ModelError(str(error)) from error
    finally:
        client.close()
    if not names:
        raise MissingModelError(f"{base_url} lists no models: name one with --model")
    return names[0]


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
        return ModelError(f"cannot reach {where} ({cause}): check the address and that the server is running")
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
