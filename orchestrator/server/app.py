"""The page: threads, reviews and reports of a database, for a browser.

Endpoints are plain functions, which Starlette calls on threads: the database is read there, and the event loop, be it
uvicorn's, a user's or that of `langgraph dev`, never waits for it.
"""

from collections.abc import Collection
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from orchestrator.runs.client import OrchestratorClient
from orchestrator.server.access.guard import Access, Guard
from orchestrator.server.access.tokens import Tokens
from orchestrator.server.desk import Desk
from orchestrator.server.live import database_events, thread_events
from orchestrator.server.pages.errors import HANDLERS
from orchestrator.server.pages.inbox import inbox, several
from orchestrator.server.pages.login import log_in, log_out
from orchestrator.server.pages.plan_editor import plan_editor
from orchestrator.server.pages.review import review, review_text
from orchestrator.server.pages.rules import new_rule, rules
from orchestrator.server.pages.thread import thread
from orchestrator.server.pages.threads import threads
from orchestrator.server.reading.histories import Histories
from orchestrator.server.rendering import FOLDER
from orchestrator.server.reviewing.inbox import Inbox


def create_app(db: str | Path | None = None, *, tokens: Tokens | None = None, hosts: Collection[str] = ()) -> Starlette:
    """Return the page as an ASGI application, to be served by itself or mounted into another one.

    Args:
        db: Database URL or path; None for the one under the user's data folder.
        tokens: Who may use the page; None to let in this machine, and nobody else.
        hosts: Further host names under which the page is reached without tokens.

    Raises:
        PersistenceError: The database cannot be opened.
    """
    client = OrchestratorClient(db)
    app = Starlette(
        routes=[
            Route("/", threads, name="threads"),
            Route("/thread", thread, name="thread"),
            Route("/thread/events", thread_events, name="thread_events"),
            Route("/inbox", inbox, name="inbox"),
            Route("/inbox/several", several, methods=["GET", "POST"], name="several"),
            Route("/review", review, methods=["GET", "POST"], name="review"),
            Route("/review/plan", plan_editor, methods=["GET", "POST"], name="plan_editor"),
            Route("/rules", rules, methods=["GET", "POST"], name="rules"),
            Route("/rules/new", new_rule, methods=["GET", "POST"], name="new_rule"),
            Route("/review/text", review_text, name="review_text"),
            Route("/events", database_events, name="events"),
            Route("/login", log_in, methods=["GET", "POST"], name="login"),
            Route("/logout", log_out, methods=["POST"], name="logout"),
            # Reports have the styles of their pictures in themselves, so these are kept below the server.
            Mount("/styles", StaticFiles(packages=[("orchestrator.reports", "styles")]), name="styles"),
            Mount("/static", StaticFiles(directory=FOLDER / "static"), name="static"),
        ],
        middleware=[Middleware(GZipMiddleware)],
        exception_handlers=HANDLERS,
    )
    app.state.desk = Desk(None if db is None else str(db), client, Histories(client), Inbox(client), tokens)
    # Around all else: an error that nobody foresaw is answered outside an application's own middleware.
    return Starlette(routes=[Mount("/", Guard(app, Access(tokens, frozenset(hosts))))])
