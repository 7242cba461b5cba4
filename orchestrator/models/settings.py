"""ModelSettings: the choice of a chat model, from arguments and environment variables."""

import re
from typing import Any

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from orchestrator.errors import ConfigError
from orchestrator.models.capabilities import ToolMode
from orchestrator.models.endpoints.keys import bare, bare_key, problem_of_key
from orchestrator.redaction import redact

_SCHEME = re.compile(r"https?://", re.I)
_REQUESTED = re.compile(r"(/chat/completions|(?<=/v1)/(completions|models|responses))/?(?=\?|$)")


class ModelSettings(BaseSettings):
    """The choice of a chat model, its endpoint, and its limits.

    An argument goes before its environment variable. An empty variable counts as none. For example, a model of a local
    Ollama server: `chat_model(ModelSettings(base_url="http://localhost:11434/v1", model="qwen3:8b"))`.

    Without `base_url` and `api_key`, `chat_model` starts the embedded model on this machine.

    Args:
        model: The model's name at the endpoint (`ORCHESTRATOR_MODEL`). By default `gpt-4.1-mini` at OpenAI, and
            elsewhere the first chat model that the endpoint lists.
        base_url: Address of an OpenAI-compatible endpoint (`OPENAI_BASE_URL`); by default OpenAI's.
        api_key: Key of the endpoint (`OPENAI_API_KEY`); many local servers need none. White space, quotes and a name
            before it, as a paste leaves them, are taken off.
        timeout_s: Seconds for one request (`ORCHESTRATOR_TIMEOUT_S`), by default 120. The embedded model gets at least
            an hour.
        max_retries: How many times to repeat a request after 429, 5xx, a timeout or a lost connection
            (`ORCHESTRATOR_MAX_RETRIES`), by default 2. Requests to the embedded model are not repeated.
        temperature: Sampling temperature (`ORCHESTRATOR_TEMPERATURE`); by default the endpoint's own.
        window: Tokens that the model takes at once, prompt and answer together (`ORCHESTRATOR_CONTEXT_WINDOW`), at
            least 1024. By default what the endpoint says, or the model's name, or 8192.
        tool_mode: `native` sends tools as such, `json` asks for tool calls as JSON (`ORCHESTRATOR_TOOL_MODE`). The
            default, `auto`, tries native tools, and uses JSON if the endpoint refuses them.
        reasoning_effort: How much a reasoning model thinks (`ORCHESTRATOR_REASONING_EFFORT`): `none`, `minimal`, `low`,
            `medium`, `high`, or another word that the endpoint knows. By default the endpoint's own. It is left out
            where the endpoint refuses it, and the embedded model does not reason.
        sees: True if the model takes pictures (`ORCHESTRATOR_SEES`). By default LangChain's list of models says so.

    Raises:
        ConfigError: A value is not allowed, or there is no setting of this name.
    """

    # pydantic-settings reads only known variables, so "forbid" refuses misspelled arguments and nothing else.
    model_config = SettingsConfigDict(extra="forbid", populate_by_name=True, env_ignore_empty=True)

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
    reasoning_effort: str | None = Field(
        None,
        pattern=r"^\w+$",
        validation_alias=AliasChoices("ORCHESTRATOR_REASONING_EFFORT"),
        description="one word, as in low, medium or high",
    )
    sees: bool | None = Field(None, validation_alias=AliasChoices("ORCHESTRATOR_SEES"), description="true or false")

    @field_validator("api_key")
    @classmethod
    def _usable_key(cls, value: SecretStr | None) -> SecretStr | None:
        key = bare_key(value.get_secret_value()) if value is not None else ""
        if problem := problem_of_key(key):
            raise ValueError(problem)
        return SecretStr(key) if key else None

    @field_validator("base_url")
    @classmethod
    def _bare_address(cls, value: str | None) -> str | None:
        # Documentation shows whole addresses of requests, and people paste them.
        address = _REQUESTED.sub("", bare(value)) if value is not None else ""
        if address and not _SCHEME.match(address):
            raise ValueError("it needs http:// or https://")
        return address or None

    @field_validator("model")
    @classmethod
    def _bare_text(cls, value: str | None) -> str | None:
        return bare(value) or None if value is not None else None

    def __init__(self, **settings: Any) -> None:
        try:
            super().__init__(**settings)
        except ValidationError as error:
            problems = [_explain_setting(str(part["loc"][0]), part["input"], part) for part in error.errors()]
        else:
            return
        # Outside of the handler: the `ValidationError` holds the settings, and would be this error's context.
        raise ConfigError("; ".join(problems))


def _with_scheme(address: str) -> str:
    """Return an address with the scheme that servers at such a place mostly have."""
    from orchestrator.models.proxies import is_private_network  # loads the HTTP client

    host = bare(address).rpartition("://")[2].lstrip("/")
    return f"{'http' if is_private_network(f'http://{host}') else 'https'}://{host}"


def _explain_setting(name: str, value: object, problem: Any) -> str:
    """Return what is wrong with a setting, under the name that the user gave: the field's or the variable's."""
    for own, field in ModelSettings.model_fields.items():
        choices = field.validation_alias.choices if isinstance(field.validation_alias, AliasChoices) else []
        if name in (own, *choices):
            if own == "api_key":  # never the value itself
                why = problem.get("ctx", {}).get("error")
                return f"{name} has {why}: give the key alone" if why else f"{name} has to be a text"
            value = redact(value) if isinstance(value, str) else value
            if own == "base_url" and isinstance(value, str):
                return f"{name} is {value!r}, and has to begin with http:// or https://, as in {_with_scheme(value)}"
            return f"{name} is {value!r}, and has to be {field.description or 'a text'}"
    return f"there is no setting '{name}': use one of {', '.join(ModelSettings.model_fields)}"
