"""Forms of a request's parameters: other names, and requests without a parameter."""

import re
from collections.abc import Iterator

from orchestrator.models.capabilities import LIMIT_NAMES
from orchestrator.models.requests.form import Body, Form, without, words

_KEPT = frozenset({"model", "messages", "tools", "response_format", "stream", "stream_options", *LIMIT_NAMES})
_WITHOUT = "without "


def _other_limit(body: Body) -> Body:
    for name, other in (LIMIT_NAMES, LIMIT_NAMES[::-1]):
        if name in body and other not in body:
            return {**without(body, name), other: body[name]}
    return body


def _unstreamed(body: Body) -> Body:
    return without(body, "stream", "stream_options")


def _streamed(body: Body) -> Body:
    return body if body.get("stream") else {**body, "stream": True, "stream_options": {"include_usage": True}}


def _no_stream_usage(body: Body) -> Body:
    return without(body, "stream_options")


OTHER_LIMIT = Form("other_limit", _other_limit, words(r"max_(completion_)?tokens"))
STREAMED = Form(
    "streamed",
    _streamed,
    words(
        r"only.{0,40}stream|stream.{0,20}(must|should|only|required|has to)|non-?stream|enable.{0,20}stream|set stream"
    ),
)
UNSTREAMED = Form("unstreamed", _unstreamed, words(r"\bstream"), is_costly=True)
NO_STREAM_USAGE = Form("no_stream_usage", _no_stream_usage, words(r"stream_options|include_usage"))


def parameter_forms(body: Body) -> Iterator[Form]:
    """Yield the forms without one of the parameters that a request has, and can do without."""
    for name in body:
        if name not in _KEPT:
            yield without_parameter(name)


def without_parameter(name: str) -> Form:
    """Return the form without a parameter."""
    # A refusal names a parameter as in JSON, or in words with spaces.
    spelled = re.escape(name).replace("_", "[_ -]?")
    return Form(f"{_WITHOUT}{name}", lambda body: without(body, name), words(rf"(?<![a-z]){spelled}(?![a-z])"))


def parameter_form(name: str) -> Form | None:
    """Return the form of this name; None if it is no form without a parameter."""
    return without_parameter(name.removeprefix(_WITHOUT)) if name.startswith(_WITHOUT) else None
