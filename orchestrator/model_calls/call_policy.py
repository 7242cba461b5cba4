"""CallPolicy: how the models of a team are called."""

from dataclasses import dataclass, field

from langchain_core.language_models import BaseChatModel

from orchestrator.model_calls.retries import Resilience
from orchestrator.models.profile import ModelProfile

_TIME_LIMIT_S = 600.0


@dataclass(frozen=True)
class CallPolicy:
    """How models are called.

    Args:
        fallbacks: Models to ask, in this order, when an agent's own one cannot be reached.
        economy: A cheaper model for when little of the budget is left.
        resilience: Retries, circuits and rate limits.
        time_limit_s: Seconds for one request; None for the time limit that the model itself has.
    """

    fallbacks: tuple[BaseChatModel, ...] = ()
    economy: BaseChatModel | None = None
    resilience: Resilience = field(default_factory=Resilience)
    time_limit_s: float | None = None

    def time_limit_of(self, model: BaseChatModel) -> float:
        """Seconds for one request to this model."""
        if self.time_limit_s is not None:
            return self.time_limit_s
        own = ModelProfile.of(model).timeout_s
        return _TIME_LIMIT_S if own is None else own
