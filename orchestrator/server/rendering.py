"""Rendering: the templates of the page."""

from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from orchestrator.reports.templating import environment
from orchestrator.reports.wording import amount_text, clock_text, seconds_text
from orchestrator.server.access.sessions import FIELD, form_field
from orchestrator.server.reviewing.filters import FILTERS, GLOBALS
from orchestrator.text import shorten

FOLDER = Path(__file__).parent


@cache
def templates() -> Environment:
    """Return the templates of the page."""
    filters = {
        "ago": ago,
        "amount": amount_text,
        "clock": clock_text,
        "duration": seconds_text,
        "short": shorten,
        **FILTERS,
    }
    page = environment(FOLDER / "templates", **filters)
    page.globals |= GLOBALS
    return page


def render(request: Request, name: str, code: int = 200, **values: Any) -> HTMLResponse:
    """Return a page.

    Args:
        request: The request.
        name: The template.
        code: The HTTP status.
        values: What the template prints.
    """
    session = getattr(request.state, "session", "")
    link = partial(link_to, request)
    field = Markup('<input type="hidden" name="{}" value="{}">').format(FIELD, form_field(session))
    user = getattr(request.state, "user", "")
    common = {"link": link, "csrf": field, "user": user, "path": request.url.path}
    # Nobody else is told how many reviews are open.
    common["open_reviews"] = request.app.state.desk.inbox.count() if user else 0
    return HTMLResponse(templates().get_template(name).render({**common, **values}), code)


def link_to(request: Request, path: str, **query: object) -> str:
    """Return the address of a page.

    Args:
        request: The request, whose application may be a part of another one.
        path: The path.
        query: What the page is asked for, without what is None or empty.
    """
    given = {name: value for name, value in query.items() if value not in (None, "")}
    return f"{request.scope.get('root_path', '')}{path}{'?' + urlencode(given) if given else ''}"


def ago(seconds: float) -> str:
    """Return the age of a Unix time, as people say it."""
    passed = max(0.0, datetime.now(UTC).timestamp() - seconds)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if passed >= size:
            return f"{passed // size:.0f} {unit}"
    return f"{passed:.0f} s"
