"""CallPolicy: settings for all calls of a team's models."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import NoneType

from langchain_core.language_models import BaseChatModel

from orchestrator.model_calls.retries import Resilience
from orchestrator.models.factory import as_model
from orchestrator.models.profile import ModelProfile
from orchestrator.validation import expect, expect_list

_TIME_LIMIT_S = 600.0  # the default of the OpenAI client


@dataclass(frozen=True, init=False)
class CallPolicy:
    """Settings for calls of models. A model may be given by its name, such as `openai:gpt-4.1-mini`.

    Args:
        fallbacks: Models to ask, in this order, when an agent's own model cannot be reached.
        economy: A cheaper model to ask first when little of the budget is left.
        resilience: Retries, circuits and rate limits.
        time_limit_s: Seconds for one request; None for the model's own time limit.

    Raises:
        ConfigError: A model is neither a chat model nor the name of one.
    """

    fallbacks: tuple[BaseChatModel, ...] = ()
    economy: BaseChatModel | None = None
    resilience: Resilience = field(default_factory=Resilience)
    time_limit_s: float | None = None

    def __init__(
        self,
        fallbacks: Sequence[BaseChatModel | str] = (),
        economy: BaseChatModel | str | None = None,
        resilience: Resilience | None = None,
        time_limit_s: float | None = None,
    ) -> None:
        expect_list(fallbacks, "fallbacks", "fallbacks=['openai:gpt-4.1-mini']")
        expect((Resilience, NoneType), resilience, "resilience", "a Resilience, as in Resilience(retries=3)")
        expect((int, float, NoneType), time_limit_s, "time_limit_s", "a number of seconds")
        values = {
            "fallbacks": tuple(as_model(model, "a fallback") for model in fallbacks),
            "economy": None if economy is None else as_model(economy, "economy"),
            "resilience": resilience or Resilience(),
            "time_limit_s": time_limit_s,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)  # a frozen dataclass refuses plain assignments here too

    def time_limit_of(self, model: BaseChatModel) -> float:
        """Return the seconds for one request to a model."""
        if self.time_limit_s is not None:
            return self.time_limit_s
        own = ModelProfile.of(model).timeout_s
        return _TIME_LIMIT_S if own is None else own
