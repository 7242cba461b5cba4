"""What the pages with forms share: reading a form that the page itself has made, and where to go afterwards."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from orchestrator.errors import OrchestratorError
from orchestrator.server.access.sessions import FIELD, is_own_form
from orchestrator.server.rendering import link_to


class ForeignFormError(OrchestratorError):
    """A form was not made by this page for this browser."""


async def own_form(request: Request) -> dict[str, str]:
    """Return the texts of a form by name. Of fields with one name, the last counts.

    Raises:
        ForeignFormError: The form was made elsewhere, or is older than the session.
    """
    async with request.form() as form:
        texts = {name: value for name, value in form.multi_items() if isinstance(value, str)}
        # The boxes of several reviews have one name.
        chosen = [value for name, value in form.multi_items() if name == "review" and isinstance(value, str)]
    check_own(request, texts)
    request.state.chosen = chosen
    return texts


def check_own(request: Request, form: Mapping[str, str]) -> None:
    """Refuse a form that another site, or another session, has made.

    Raises:
        ForeignFormError: It did.
    """
    if not is_own_form(getattr(request.state, "session", ""), form.get(FIELD, "")):
        raise ForeignFormError("the form is too old, or was made elsewhere: load the page again")


def is_json(request: Request) -> bool:
    """True for a request of a program."""
    return request.headers.get("content-type", "").partition(";")[0].strip() == "application/json"


async def own_json(request: Request) -> dict[str, Any]:
    """Return the JSON object that a program sends.

    Raises:
        OrchestratorError: It sends something else.
    """
    try:
        body = await request.json()
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise OrchestratorError('send a JSON object, as in {"action": "approve"}')
    return body


def way_back(request: Request, back: str, thread_id: str) -> Response:
    """Return to the page from which a form was sent.

    Args:
        request: The request.
        back: `thread`, or anything else for the inbox.
        thread_id: The thread.
    """
    address = link_to(request, "/thread", id=thread_id) if back == "thread" else link_to(request, "/inbox")
    return RedirectResponse(address, 303)
