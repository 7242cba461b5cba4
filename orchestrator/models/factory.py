"""Make the chat model that the settings ask for, or one by its name, such as `openai:gpt-4.1-mini`.

OpenAI's models, and every name without a provider where `OPENAI_BASE_URL` is set, are made by `configured_model`. Its
models let the engine repeat requests, so that each attempt is reserved in the budget. LangChain's `init_chat_model`
makes all others.
"""

import re
from types import NoneType

from langchain.chat_models import base, init_chat_model
from langchain_core.language_models import BaseChatModel

from orchestrator.errors import ConfigError, MissingModelError
from orchestrator.models.configured import configured_identity, configured_model, is_configured
from orchestrator.models.profile import THIS_MACHINE
from orchestrator.models.requests.text_model import with_tools_and_schemas
from orchestrator.models.settings import ModelSettings
from orchestrator.validation import expect

_OPENAIS = re.compile(r"gpt-|chatgpt|o\d", re.I)
_EXAMPLE = "a chat model of LangChain or a model's name, such as 'openai:gpt-4.1-mini'"


def chat_model(settings: ModelSettings | str | None = None) -> BaseChatModel:
    """Make the chat model that the settings ask for: at an endpoint, at OpenAI, or the embedded model.

    Args:
        settings: The choice of a model; by default the environment's. Or a model's name, such as
            `openai:gpt-4.1-mini`.

    Raises:
        MissingModelError: No model is configured, and the embedded model's weights are missing.
        ModelError: No model was named, and the endpoint cannot list its models.
        ConfigError: A setting is not allowed, no model has such a name, or the proxy cannot be used.
    """
    if isinstance(settings, str):
        return named_model(settings)
    expect((ModelSettings, NoneType), settings, "settings", "ModelSettings or a model's name")
    settings = settings or ModelSettings()
    if is_configured(settings):
        return configured_model(settings)
    from orchestrator.models.embedded import embedded_model

    return embedded_model(settings)


def default_identity() -> tuple[str, str]:
    """Return the identity of the model that `chat_model()` would make, as `identity_of` does.

    The model is not made, so the name is empty where the endpoint's list of models would decide.

    Raises:
        ConfigError: A setting is not allowed.
    """
    settings = ModelSettings()
    if is_configured(settings):
        return configured_identity(settings)
    from orchestrator.models.weights import DEFAULT

    return settings.model or DEFAULT, THIS_MACHINE


def as_model(model: BaseChatModel | str, name: str = "model") -> BaseChatModel:
    """Return the model itself, or the one of this name; around a model without tools and schemas, one that has them.

    Args:
        model: A chat model, or a name as for `named_model`.
        name: What the argument is called.

    Raises:
        ConfigError: It is neither, or no model has such a name.
        MissingModelError: The model needs a key, and there is none.
    """
    if isinstance(model, str):
        return with_tools_and_schemas(named_model(model))
    expect(BaseChatModel, model, name, _EXAMPLE)
    return with_tools_and_schemas(model)


def named_model(name: str) -> BaseChatModel:
    """Make a model by its name.

    Args:
        name: `provider:model`, with a provider of LangChain; or the model's name alone, for one at `OPENAI_BASE_URL`
            or one whose provider LangChain knows, such as `gpt-4.1-mini`.

    Raises:
        ConfigError: No provider is known for the name, or the provider's package or settings are missing.
        MissingModelError: It is a model of OpenAI's, and there is no key.
    """
    provider, model = _split(name)
    settings = ModelSettings(model=model)
    if provider == "openai" or (not provider and (settings.base_url or _OPENAIS.match(model))):
        if not is_configured(settings):
            raise MissingModelError(
                f"the model '{name}' needs a key: set OPENAI_API_KEY, or OPENAI_BASE_URL to the endpoint that serves it"
            )
        return configured_model(settings)
    try:
        return init_chat_model(name)
    except ImportError as error:  # it names the package to install
        raise ConfigError(f"the model '{name}' cannot be used: {error}") from error
    except Exception as error:
        if "infer model provider" in str(error):
            raise ConfigError(
                f"no provider is known for the model '{name}': write provider:model, as in openai:gpt-4.1-mini, or set "
                "OPENAI_BASE_URL to the endpoint that serves it"
            ) from None
        raise ConfigError(f"the model '{name}' cannot be made: {' '.join(str(error).split())}") from error


def names_provider(name: str) -> bool:
    """True if a name begins with a provider of LangChain, as in `anthropic:claude-sonnet-4-5`."""
    return bool(_split(name)[0])


def _split(name: str) -> tuple[str, str]:
    """Return the provider, empty without one, and the model. Colons are also in names such as `qwen2.5:7b`."""
    provider, colon, model = name.partition(":")
    providers = getattr(base, "_BUILTIN_PROVIDERS", {provider: ()})  # private in LangChain 1.4
    provider, model = (provider, model) if colon and provider in providers else ("", name)
    if not model.strip():
        raise ConfigError(f"'{name}' names no model: write its name, as in openai:gpt-4.1-mini")
    return provider, model
