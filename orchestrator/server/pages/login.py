"""The page on which a person gives a token."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from orchestrator.server.access.guard import cookie_header
from orchestrator.server.access.sessions import new_session
from orchestrator.server.access.tokens import Tokens
from orchestrator.server.desk import desk_of
from orchestrator.server.rendering import render


async def log_in(request: Request) -> Response:
    """Show the form, or take the token in it."""
    tokens = desk_of(request).tokens
    front = f"{request.scope.get('root_path', '')}/"
    if tokens is None:
        return RedirectResponse(front, 303)
    if request.method == "GET":
        return await run_in_threadpool(render, request, "login.html", problem="")
    async with request.form() as form:
        given = str(form.get("token", ""))
    # Tokens and templates are files, and the event loop may be that of a server which forbids to read them on it.
    return await run_in_threadpool(_admit, request, tokens, given.strip(), front)


def _admit(request: Request, tokens: Tokens, given: str, front: str) -> Response:
    name = tokens.holder(given)
    if name is None:
        return render(request, "login.html", 403, problem="That is none of this page's tokens.")
    response = RedirectResponse(front, 303)
    session = new_session(name, tokens.hashes()[name])
    response.raw_headers.append((b"set-cookie", cookie_header(session, request).encode()))
    return response


async def log_out(request: Request) -> Response:
    """Forget the session."""
    response = RedirectResponse(f"{request.scope.get('root_path', '')}/login", 303)
    response.raw_headers.append((b"set-cookie", f"{cookie_header('', request)}; Max-Age=0".encode()))
    return response
