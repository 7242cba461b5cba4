"""The words for where the number of a window comes from."""

from orchestrator.models.openai_compatible import AdaptiveChatOpenAI
from orchestrator.models.profile import ModelProfile


def window_source(profile: ModelProfile) -> str:
    """Return the source of the window that the engine uses, in words.

    Args:
        profile: The model.
    """
    model = profile.model
    if isinstance(getattr(model, "window", None), int):
        return "set for this model"
    if isinstance(model, AdaptiveChatOpenAI) and model.learned_window is not None:
        return model.capabilities.window_source or "told by the endpoint"
    if (getattr(model, "profile", None) or {}).get("max_input_tokens"):
        return "LangChain's list of models"
    return "a guess: set ORCHESTRATOR_CONTEXT_WINDOW"
