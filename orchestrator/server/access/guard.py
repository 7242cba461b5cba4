"""Guard: lets a request in by host, address, origin and token, and tells browsers what an answer may do.

- Without tokens only this machine is let in, and only under its own names: a foreign name that resolves to this machine
  (DNS rebinding) is refused.
- What changes something has to come from the page itself. Browsers say where a request comes from, and other programs
  send JSON, which no foreign page can send without being asked about first.
- Nothing but the page's own scripts and styles is carried out, whatever a text holds.
"""

import ipaddress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestrator.runs.interventions.interventions import user_name
from orchestrator.server.access.sessions import COOKIE, holder, new_session
from orchestrator.server.access.tokens import Tokens

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    # With `no-referrer` a browser would hide the origin of the page's own forms.
    "referrer-policy": "same-origin",
}
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OPEN_PATHS = ("/login", "/static/")


@dataclass(frozen=True)
class Access:
    """The rule that says who may use a page.

    Args:
        tokens: The tokens; None to let in this machine, and nobody else.
        hosts: Further names under which the page is reached without tokens, as behind a proxy on this machine.
    """

    tokens: Tokens | None = None
    hosts: frozenset[str] = field(default_factory=frozenset)

    def refusal(self, request: Request) -> str:
        """Return the reason to refuse a request before its token is looked at; empty if there is none."""
        host = _name_of(request.headers.get("host", ""))
        if self.tokens is None and not (is_loopback(host) or host in self.hosts):
            return f"this page does not answer to the name '{host}': open it as http://localhost, or set a token"
        if self.tokens is None and request.client is not None and not is_loopback(request.client.host):
            return "this page answers to its own machine only, since it has no token"
        return "" if request.method in _SAFE or _is_own(request.headers) else "this did not come from the page itself"

    def user_of(self, request: Request) -> str | None:
        """Return the name of whoever sends a request, or None for somebody without a token."""
        if self.tokens is None:
            return user_name()
        # A header goes before a cookie: a program says who it is with each request.
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self.tokens.holder(token.strip())
        return holder(request.cookies.get(COOKIE, ""), self.tokens.hashes())


class Guard:
    """ASGI middleware in front of every page.

    Args:
        app: The pages.
        access: Who may use them.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let the pages answer it."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
                return
            await self._app(scope, receive, send)
            return
        scope = _with_prefix(scope)
        request = Request(scope)
        session = request.cookies.get(COOKIE, "")
        is_new = self._access.tokens is None and not session
        if is_new:
            session = new_session()
        # The file of the tokens is read, and an event loop of another server, as `langgraph dev`, forbids that on it.
        has_tokens = self._access.tokens is not None
        user = await run_in_threadpool(self._access.user_of, request) if has_tokens else self._access.user_of(request)
        scope.setdefault("state", {}).update(session=session, user=user or "")

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                # Files of the page itself are asked about again, and everything else is a person's own.
                headers["cache-control"] = "no-cache" if "/static/" in request.url.path else "no-store"
                if is_new:
                    headers.append("set-cookie", cookie_header(session, request))
            await send(message)

        refused = self._refused(request, user)
        await (self._app if refused is None else refused)(scope, receive, send_guarded)

    def _refused(self, request: Request, user: str | None) -> Response | None:
        if reason := self._access.refusal(request):
            return PlainTextResponse(f"{reason}\n", 403)
        path = request.url.path.removeprefix(request.scope.get("root_path", ""))
        if user is not None or path.startswith(_OPEN_PATHS):
            return None
        if request.method in _SAFE and "text/html" in request.headers.get("accept", ""):
            return RedirectResponse(f"{request.scope.get('root_path', '')}/login", 303)
        return JSONResponse({"error": "a token is needed: Authorization: Bearer TOKEN"}, 401)


def _with_prefix(scope: Scope) -> Scope:
    """Return a request whose path begins with the prefix of the application, as ASGI wants it."""
    root, path = scope.get("root_path", ""), scope["path"]
    # Some servers leave out a prefix that a proxy has taken off, and Starlette then finds no files below it.
    return scope if path == root or path.startswith(f"{root}/") else {**scope, "path": root + path}


def cookie_header(session: str, request: Request) -> str:
    """Return the header that sets the cookie of a session."""
    secure = "; Secure" if request.url.scheme == "https" else ""
    path = request.scope.get("root_path", "") or "/"
    return f"{COOKIE}={session}; Path={path}; HttpOnly; SameSite=Strict; Max-Age=31536000{secure}"


def _is_own(headers: Headers) -> bool:
    """True if a request comes from the page itself, or from a program that is no browser."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site not in ("same-origin", "none"):
        return False
    if origin is not None:
        return urlsplit(origin).netloc == headers.get("host", "")
    # A browser of today sends one of the two with each form, and JSON to another site only if that allows it.
    return site is not None or headers.get("content-type", "").startswith("application/json")


def _name_of(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def is_loopback(name: str) -> bool:
    """True if a host name or address is this machine's own, and nobody else reaches it."""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
