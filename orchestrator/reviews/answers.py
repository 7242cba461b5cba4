"""The forms in which a human's answer arrives as LangGraph's resume value. All of them are read as a `Decision`.

- a `Decision`, the same as a dict or as JSON text
- a map from the review's id to any of these forms
- a plain word: `approve` or `stop`; for a question of a tool, any text or data is its answer
- LangChain's `HITLResponse`, and one decision of it by itself
- the agent inbox' list with one `HumanResponse`

An answer names its review if it has the review's id. Other answers are read too, and `ask` finds out what they answer.
Whatever is not understood is refused with a sentence that says what would be.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import ValidationError

from orchestrator.errors import DecisionError
from orchestrator.reviews.payload import can_ignore, langchain_types, proposal
from orchestrator.reviews.review import Decision, Kind, Review
from orchestrator.text import ReadOnNote

_WORDS = ("approve", "stop")  # the other actions need a text or data
_LANGCHAIN = frozenset({"approve", "edit", "reject", "respond"})
_INBOX = frozenset({"accept", "edit", "response", "ignore"})
_IGNORED = "a human left this out"
_ID = re.compile(rf"/({'|'.join(get_args(Kind))})-[0-9a-f]{{8}}$")


def read_answer(review: Review, answer: object) -> Decision:
    """Read the decision in an answer; the answer may name no review.

    Raises:
        DecisionError: The answer is not understood, or names another review.
    """
    if isinstance(answer, Decision):
        return answer
    form = parsed(answer)
    if isinstance(form, Mapping) and review.id in form:
        return read_answer(review, form[review.id])
    if isinstance(form, Mapping) and "action" in form:
        return _own(review, form)
    if named := named_reviews(form):
        raise DecisionError(
            f"the answer is for {', '.join(sorted(named)) or 'no review'}, the open one is '{review.id}'"
        )
    if (response := _foreign(form)) is not None:
        return _of_response(review, response)
    if review.kind == "question":
        # As LangGraph's documentation has it: what `interrupt` returns is the bare answer.
        is_text = isinstance(answer, str)
        return _own(review, {"action": "answer", "text" if is_text else "data": answer})
    word = answer.strip().strip('"').lower() if isinstance(answer, str) else ""
    if word in _WORDS:
        return _own(review, {"action": word})
    raise _not_understood(review)


def named_reviews(answer: object) -> frozenset[str]:
    """Return the ids of the reviews that an answer names; empty for an answer that names none."""
    form = parsed(answer)
    if isinstance(form, Decision):
        return frozenset({form.review_id})
    if not isinstance(form, Mapping):
        return frozenset()
    if "review_id" in form:
        return frozenset({str(form["review_id"])})
    return frozenset(form) if is_map(form) else frozenset()


def is_map(answer: object) -> bool:
    """True if an answer is a map by the ids of reviews. An empty id is nobody's."""
    form = parsed(answer)
    if not isinstance(form, Mapping) or not form:
        return False
    return all(isinstance(key, str) and (not key or _ID.search(key)) for key in form)


def parsed(answer: object) -> object:
    """Return the data in JSON text; any other answer as it is."""
    if not isinstance(answer, str) or not answer.lstrip().startswith(("{", "[")):
        return answer
    try:
        return json.loads(answer)
    except ValueError:
        return answer


def _own(review: Review, form: Mapping[str, Any]) -> Decision:
    try:
        return Decision.model_validate({"review_id": review.id, **form})
    except ValidationError:
        raise _not_understood(review) from None


def _not_understood(review: Review) -> DecisionError:
    return DecisionError(
        f'answer with an object such as {{"review_id": "{review.id}", "action": "{review.allowed[0]}"}}; '
        f"the actions are {', '.join(review.allowed)}"
    )


def _foreign(form: object) -> Mapping[str, Any] | None:
    """Return the one response in an answer of LangChain's or of the agent inbox; None for any other answer.

    Raises:
        DecisionError: The answer holds several responses, or none.
    """
    if isinstance(form, Mapping) and form.keys() == {"decisions"} and isinstance(form["decisions"], list):
        responses = form["decisions"]
    elif isinstance(form, list) and form and all(_is_response(each) for each in form):
        responses = form
    else:
        return form if isinstance(form, Mapping) and _is_response(form) else None
    if len(responses) != 1 or not _is_response(responses[0]):
        raise DecisionError(f"this review takes one decision, and the answer holds {len(responses)}")
    response: Mapping[str, Any] = responses[0]
    return response


def _is_response(form: object) -> bool:
    if not isinstance(form, Mapping) or not isinstance(form.get("type"), str):
        return False
    if "args" in form:
        return form["type"] in _INBOX
    return form["type"] in _LANGCHAIN | {"accept", "ignore"} and form.keys() <= {"type", "message", "edited_action"}


def _of_response(review: Review, response: Mapping[str, Any]) -> Decision:
    kind, text = response["type"], response.get("message") or response.get("args") or ""
    text = text if isinstance(text, str) else ""
    match kind:
        case "approve" | "accept" if "approve" in review.allowed:
            return Decision(review_id=review.id, action="approve")
        case "edit" if "edit" in review.allowed:
            return _edited(review, response.get("edited_action") or response.get("args"))
        case "respond" | "response" if "answer" in review.allowed:
            return Decision(review_id=review.id, action="answer", text=text)
        case "reject" | "response" if "reject" in review.allowed:
            return Decision(review_id=review.id, action="reject", text=text)
        case "ignore" if can_ignore(review):
            return Decision(review_id=review.id, action="reject", text=_IGNORED)
    types = ", ".join(f"'{each}'" for each in langchain_types(review))
    raise DecisionError(f"'{kind}' does not answer {review.id}: use one of {types}")


def _edited(review: Review, action: object) -> Decision:
    """Read an edit from the arguments of the edited action."""
    name, args = proposal(review)
    edited = action.get("args") if isinstance(action, Mapping) else None
    if not isinstance(action, Mapping) or not isinstance(edited, Mapping):
        raise DecisionError(f'an edit needs the action with its arguments, as in {{"name": "{name}", "args": {{…}}}}')
    given = action.get("name", action.get("action", name))
    if given != name:
        raise DecisionError(f"the edit names '{given}', and '{name}' is in question: change its arguments only")
    values = {key: _typed(key, value, args.get(key)) for key, value in edited.items()}
    if review.kind == "result":
        text = str(values.get("result") or "")
        if ReadOnNote.split(text)[1] is not None:  # a form was filled with the excerpt that the review shows
            raise DecisionError("the review shows the beginning of the result only: send the whole new text")
        return Decision(review_id=review.id, action="edit", text=text)
    data = values.get("plan") if review.kind == "plan" else values
    try:
        return Decision(review_id=review.id, action="edit", data=data)
    except DecisionError:
        raise DecisionError(f"the edited arguments of '{name}' have another form than those in question") from None


def _typed(key: str, value: object, before: object) -> object:
    """Return an edited argument in the type that it had. Forms send texts, and other values as JSON text."""
    if not isinstance(value, str) or isinstance(before, str):
        return value
    if before is None:  # new, or without a type so far
        return None if value == "null" else value
    try:
        return json.loads(value)
    except ValueError:
        raise DecisionError(f"the edited '{key}' is no JSON: {value[:80]}") from None
