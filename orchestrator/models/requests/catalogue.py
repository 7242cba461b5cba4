"""The forms of requests, in the order in which they change a request and in the order in which they are tried."""

from collections.abc import Iterable, Iterator

from orchestrator.models.requests.conversation import (
    ABSENT_CONTENT,
    ALTERNATING,
    ANSWERED_TOOLS,
    BEGINS_WITH_USER,
    ENDS_WITH_USER,
    FILLED_CONTENT,
    NO_EXTRAS,
    NO_SYSTEM,
    SYSTEM_FIRST,
    TEXT_CONTENT,
)
from orchestrator.models.requests.form import Body, Form
from orchestrator.models.requests.parameters import (
    NO_STREAM_USAGE,
    OTHER_LIMIT,
    STREAMED,
    UNSTREAMED,
    parameter_form,
    parameter_forms,
)
from orchestrator.models.requests.schemas import SCHEMA_OBJECT, SCHEMA_PLAIN, SCHEMA_SIMPLE, SCHEMA_WORDS
from orchestrator.models.requests.tools import (
    JSON_TOOLS,
    LOOSE_TOOLS,
    PLAIN_HISTORY,
    SHORT_IDS,
    SIMPLE_TOOLS,
    SINGLE_CALLS,
)

# Tools in words make a schema and plain roles, so the forms of schemas and roles come behind.
_APPLIED = (
    JSON_TOOLS, PLAIN_HISTORY, SINGLE_CALLS, LOOSE_TOOLS, SIMPLE_TOOLS,
    SCHEMA_PLAIN, SCHEMA_SIMPLE, SCHEMA_OBJECT, SCHEMA_WORDS,
    SHORT_IDS, NO_EXTRAS, SYSTEM_FIRST, NO_SYSTEM, ANSWERED_TOOLS, ALTERNATING, BEGINS_WITH_USER, ENDS_WITH_USER,
    TEXT_CONTENT, FILLED_CONTENT, ABSENT_CONTENT, OTHER_LIMIT, STREAMED, NO_STREAM_USAGE, UNSTREAMED,
)  # fmt: skip
# The smallest changes come first.
_TRIED = (
    OTHER_LIMIT, NO_STREAM_USAGE, LOOSE_TOOLS, SCHEMA_PLAIN, TEXT_CONTENT, FILLED_CONTENT, ABSENT_CONTENT, SHORT_IDS,
    SYSTEM_FIRST, ALTERNATING, ANSWERED_TOOLS, ENDS_WITH_USER, BEGINS_WITH_USER, NO_SYSTEM, SINGLE_CALLS,
    PLAIN_HISTORY, NO_EXTRAS, STREAMED, SIMPLE_TOOLS, SCHEMA_SIMPLE, UNSTREAMED, SCHEMA_OBJECT, SCHEMA_WORDS,
    JSON_TOOLS,
)  # fmt: skip
_BY_NAME = {form.name: form for form in _APPLIED}
_PLACES = {form.name: place for place, form in enumerate(_APPLIED)}


ALL = frozenset(_BY_NAME)
"""The names of all forms, apart from those without a parameter."""


def applied(body: Body, names: Iterable[str]) -> Body:
    """Return a request in several forms.

    Args:
        body: The request.
        names: Names of forms, in any order. Unknown ones, as of a later version, change nothing.
    """
    for name in sorted(names, key=lambda name: _PLACES.get(name, len(_PLACES))):
        if (form := _BY_NAME.get(name) or parameter_form(name)) is not None:
            body = form.change(body)
    return body


def effective(body: Body, names: frozenset[str]) -> frozenset[str]:
    """Return the forms of a set that the request could not do without to look the same.

    Args:
        body: The request.
        names: Names of forms.
    """
    wanted = applied(body, names)
    for name in sorted(names):
        if applied(body, names - {name}) == wanted:
            names = names - {name}
    return names


def candidates(body: Body, names: frozenset[str], refusal: str, only_known: bool) -> Iterator[Form]:
    """Yield the forms that may help with a refused request, the most probable and the least change first.

    Args:
        body: The usual request.
        names: Forms that the refused request had.
        refusal: The endpoint's words.
        only_known: Leave out the forms that the words do not ask for.
    """
    refused = applied(body, names)
    others = [form for form in (*parameter_forms(refused), *_TRIED) if form.name not in names]
    fits = {form.name: form.fit(refusal) for form in others}
    for fit in (2, 1) if only_known else (2, 1, 0):
        for form in others:
            if fits[form.name] == fit and applied(body, {*names, form.name}) != refused:
                yield form


def is_costly(name: str) -> bool:
    """True if answers in a form are worse, so that chance must not teach it."""
    form = _BY_NAME.get(name)
    return form is not None and form.is_costly
