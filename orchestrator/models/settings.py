"""ModelSettings: the environment variables that choose a model."""

from typing import Any

from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from orchestrator.errors import ConfigError
from orchestrator.models.capabilities import ToolMode


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
