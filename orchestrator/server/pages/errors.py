"""Errors as pages for people and as JSON for programs, in one sentence that says what to do."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from orchestrator.errors import OrchestratorError, UnknownThreadError
from orchestrator.redaction import redact
from orchestrator.server.rendering import render


def problem(request: Request, text: str, status: int) -> Response:
    """Return an error.

    Args:
        request: The request.
        text: What is wrong, and what to do.
        status: The HTTP status.
    """
    text = redact(text)
    if "text/html" in request.headers.get("accept", ""):
        return render(request, "error.html", status, text=text)
    return JSONResponse({"error": text}, status)


def _known(request: Request, error: Exception) -> Response:
    status = 404 if isinstance(error, UnknownThreadError) else 400
    return problem(request, str(error), status)


def _http(request: Request, error: Exception) -> Response:
    wrong = cast(HTTPException, error)
    text = "there is no such page" if wrong.status_code == 404 else wrong.detail
    response = problem(request, text, wrong.status_code)
    response.headers.update(wrong.headers or {})
    return response


HANDLERS: Mapping[Any, Callable[[Request, Exception], Response]] = {
    OrchestratorError: _known,
    HTTPException: _http,
}
"""The handlers of errors by class, as Starlette takes them."""
