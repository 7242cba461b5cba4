"""check_model: find out by six small requests what a model and its endpoint can do."""

import time
from collections.abc import Callable
from dataclasses import replace

import openai
from langchain_core.language_models import BaseChatModel

from orchestrator.errors import ModelError
from orchestrator.models.check.form_words import form_words
from orchestrator.models.check.report import CheckedRequest, ModelCheck
from orchestrator.models.check.requests import REQUESTS, Answers, Asker, Reading, tokens_of
from orchestrator.models.check.window import window_source
from orchestrator.models.endpoints.window import find_window
from orchestrator.models.error_texts import explain, reason_of
from orchestrator.models.errors import RefusedRequestError, is_transient, retry_after
from orchestrator.models.factory import as_model, chat_model
from orchestrator.models.openai_compatible import AdaptiveChatOpenAI
from orchestrator.models.profile import ModelProfile, identity_of
from orchestrator.models.requests import lessons
from orchestrator.models.requests.parameters import without_parameter
from orchestrator.models.requests.witness import witnessed
from orchestrator.models.settings import ModelSettings
from orchestrator.redaction import redact
from orchestrator.text import normal_text, shorten

_MOST_CHARS = 300
_DELAYS_S = (0.5, 1.0, 2.0)
_MOST_DELAY_S = 5.0
_OF_SCHEMAS = frozenset({"schema_plain", "schema_simple", "schema_object", "schema_words"})
_OF_TOOLS = frozenset({"tools", "tool results", "parallel tools"})


def check_model(
    model: BaseChatModel | ModelSettings | str | None = None, on_progress: Callable[[str], object] | None = None
) -> ModelCheck:
    """Find out what a model and its endpoint can do, by six small requests.

    What was learned of the endpoint is forgotten first. What the check learns is kept for a day, as of any run.

    Args:
        model: A chat model, its name or its settings; None for the one that the environment chooses.
        on_progress: Called with the name of each request before it is sent.

    Raises:
        ModelError: The endpoint cannot be reached, refuses the key, or knows no such model or path.
        MissingModelError: No model is configured, and the embedded model's weights are missing.
        ConfigError: A setting is not allowed, or no model has such a name.
    """
    chosen = chat_model(model) if model is None or isinstance(model, ModelSettings) else as_model(model)
    adaptive = chosen if isinstance(chosen, AdaptiveChatOpenAI) else None
    if adaptive is not None:
        lessons.forget(str(adaptive.openai_api_base or ""), adaptive.model_name)
    answers = Answers()
    requests: list[CheckedRequest] = []
    for name, ask in REQUESTS:
        if on_progress is not None:
            on_progress(name)
        requests.append(_checked(chosen, name, ask, answers))
    find_window(chosen)
    if adaptive is not None and not adaptive.is_free:  # the embedded model has another port each time
        lessons.keep(str(adaptive.openai_api_base or ""), adaptive.model_name, adaptive.capabilities)
    profile = ModelProfile.of(chosen)
    settings = _settings_of(adaptive)
    return ModelCheck(*identity_of(chosen), tuple(requests), profile.window, window_source(profile), settings)


def _settings_of(model: AdaptiveChatOpenAI | None) -> tuple[tuple[str, str], ...]:
    """Return the reasoning effort, and if the endpoint takes it."""
    if model is None or (effort := model.reasoning_effort) is None:
        return ()
    is_refused = without_parameter("reasoning_effort").name in model.capabilities.learned()
    return (("reasoning_effort", f"{effort}, refused and left out" if is_refused else effort),)


def _checked(model: BaseChatModel, name: str, ask: Asker, answers: Answers) -> CheckedRequest:
    """Send one request, and return the findings.

    Raises:
        ModelError: The first request shows that no other one would come through.
    """
    answers.usage.clear()
    adaptive = model if isinstance(model, AdaptiveChatOpenAI) else None
    before = adaptive.capabilities.learned() if adaptive is not None else frozenset()
    began = time.monotonic()
    with witnessed() as witness:
        try:
            finding, note = _patiently(lambda: ask(model, answers))
        except Exception as error:
            explained = error if isinstance(error, ModelError) else explain(error, identity_of(model)[1])
            if name == REQUESTS[0][0] and explained is not None and not isinstance(explained, RefusedRequestError):
                raise explained from error
            finding, note = "no", _words(error, explained)
    seconds = time.monotonic() - began
    refusal = witness.refusals[0] if witness.refusals else ""
    checked = CheckedRequest(name, finding, (), note, refusal, tokens_of(answers.usage), seconds)
    if finding == "no":
        return checked
    forms = set(witness.forms or ()) - before
    if adaptive is not None:
        forms |= _standing(name, adaptive)
    if not forms:
        return checked
    return replace(checked, finding="weaker", forms=tuple(sorted(map(form_words, forms))))


def _standing(name: str, model: AdaptiveChatOpenAI) -> set[str]:
    """Return the forms that a request has because of what earlier ones have taught, and that make its answer worse."""
    learned = model.capabilities.learned()
    if name in _OF_TOOLS:
        return set() if model.has_native_tools else {"json_tools"}
    if name == "streaming":
        return {"unstreamed"} & learned
    if name == "JSON plan":
        return ({"schema_words"} if model.capabilities.also_in_words else set()) | (_OF_SCHEMAS & learned)
    return set()


def _patiently(ask: Callable[[], Reading]) -> Reading:
    """Ask again while the endpoint answers that it is busy or still loads."""
    for delay_s in _DELAYS_S:
        try:
            return ask()
        except openai.APIStatusError as error:
            if not is_transient(error):
                raise
            time.sleep(min(retry_after(error) or delay_s, _MOST_DELAY_S))
    return ask()


def _words(error: Exception, explained: ModelError | None) -> str:
    if isinstance(error, openai.APIStatusError):
        return reason_of(error)
    return shorten(redact(normal_text(str(explained or error) or type(error).__name__)), _MOST_CHARS)
