"""The window of a model, and where the number comes from."""

import json

import openai

from orchestrator.models.completions.answer import parsed
from orchestrator.models.configured import listed_windows
from orchestrator.models.openai_compatible import AdaptiveChatOpenAI
from orchestrator.models.profile import ModelProfile


def listed_window(model: AdaptiveChatOpenAI) -> int | None:
    """Return the window that the endpoint's list of models names; None if it names none.

    Args:
        model: A model at the endpoint.
    """
    try:
        windows = listed_windows(parsed(model.root_client.get("/models", cast_to=object)))
    except json.JSONDecodeError as error:  # the content type promised JSON
        windows = listed_windows(parsed(error.doc))
    except openai.OpenAIError:
        return None  # many endpoints have no list, and a team needs none
    plain = {name.removeprefix("models/"): window for name, window in (windows or {}).items()}  # Gemini's prefix
    return plain.get(model.model_name.removeprefix("models/"))


def window_source(profile: ModelProfile, *, is_listed: bool) -> str:
    """Return the source of the window that the engine uses, in words.

    Args:
        profile: The model.
        is_listed: The endpoint's list of models names it.
    """
    model = profile.model
    if is_listed:
        return "the endpoint's list of models"
    if isinstance(getattr(model, "window", None), int):
        return "set for this model"
    if getattr(model, "learned_window", None) is not None:
        return "a refusal of the endpoint"
    if (getattr(model, "profile", None) or {}).get("max_input_tokens"):
        return "LangChain's list of models"
    return "a guess: set ORCHESTRATOR_CONTEXT_WINDOW"
