"""CallPolicy: settings for all calls of a team's models."""

from dataclasses import dataclass, field

from langchain_core.language_models import BaseChatModel

from orchestrator.model_calls.retries import Resilience
from orchestrator.models.profile import ModelProfile

_TIME_LIMIT_S = 600.0


@dataclass(frozen=True)
class CallPolicy:
    """Settings for calls of models.

    Args:
        fallbacks: Models to ask, in this order, when an agent's own model cannot be reached.
        economy: A cheaper model to ask first when little of the budget is left.
        resilience: Retries, circuits and rate limits.
        time_limit_s: Seconds for one request; None for the model's own time limit.
    """

    fallbacks: tuple[BaseChatModel, ...] = ()
    economy: BaseChatModel | None = None
    resilience: Resilience = field(default_factory=Resilience)
    time_limit_s: float | None = None

    def time_limit_of(self, model: BaseChatModel) -> float:
        """Return the seconds for one request to a model."""
        if self.time_limit_s is not None:
            return self.time_limit_s
        own = ModelProfile.of(model).timeout_s
        return _TIME_LIMIT_S if own is None else own
