"""The page: threads, reviews and reports of a database, for a browser.

Endpoints are plain functions, which Starlette calls on threads: the database is read there, and the event loop, be it
uvicorn's, a user's or that of `langgraph dev`, never waits for it.
"""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from orchestrator.runs.client import OrchestratorClient
from orchestrator.runs.loading import TeamSource
from orchestrator.server.access.guard import Access, Guard
from orchestrator.server.access.tokens import Tokens
from orchestrator.server.desk import Desk
from orchestrator.server.live import database_events, thread_events
from orchestrator.server.pages.errors import HANDLERS
from orchestrator.server.pages.inbox import inbox, several
from orchestrator.server.pages.login import log_in, log_out
from orchestrator.server.pages.memory import memory
from orchestrator.server.pages.new import new_run, start_run
from orchestrator.server.pages.plan_editor import plan_editor
from orchestrator.server.pages.report import report
from orchestrator.server.pages.review import review, review_text
from orchestrator.server.pages.rules import new_rule, rules
from orchestrator.server.pages.spend import spend
from orchestrator.server.pages.steering import ask_delete, steer_thread
from orchestrator.server.pages.thread import thread, thread_text
from orchestrator.server.pages.threads import threads
from orchestrator.server.reading.histories import Histories
from orchestrator.server.rendering import FOLDER
from orchestrator.server.reviewing.inbox import Inbox
from orchestrator.server.running.runs import MOST_AT_ONCE, Runs
from orchestrator.server.running.settings import RunSettings
from orchestrator.server.running.uploads import Uploads


def create_app(
    db: str | Path | None = None,
    *,
    tokens: Tokens | None = None,
    hosts: Collection[str] = (),
    teams: Mapping[str, TeamSource] | None = None,
    facts: Mapping[str, Any] | None = None,
    limits: Mapping[str, Any] | None = None,
    most_runs: int = MOST_AT_ONCE,
) -> Starlette:
    """Return the page as an ASGI application, to be served by itself or mounted into another one.

    Args:
        db: Database URL or path; None for the one under the user's data folder.
        tokens: Who may use the page; None to let in this machine, and nobody else.
        hosts: Further host names under which the page is reached without tokens.
        teams: Your own teams by name, or functions that make them of a folder of documents; None for those that ship.
            A name such as `my_package.teams:team`, by which Python finds the same team, lets the command line go on
            with its threads.
        facts: Settings of runs that are started on the page, as the options of `orchestrator run`: `team`, `model`,
            `base_url`, `docs`, `policy`, `mcp`, `fallback_models`, `economy_model`, `requests_per_minute`,
            `tokens_per_minute`.
        limits: Limits of these runs by name, as in `Budget`.
        most_runs: The most runs at once; others wait.

    Raises:
        ConfigError: A setting is wrong.
        PersistenceError: The database cannot be opened.
    """
    client, own = OrchestratorClient(db), dict(teams or {})
    runs = Runs(db, client, own, most_runs)
    # A page that has a name of its own is behind a proxy, whose other side may be anywhere.
    settings = RunSettings(dict(facts or {}), dict(limits or {}), own, is_private=tokens is None and not hosts)
    app = Starlette(routes=_routes(), middleware=[Middleware(GZipMiddleware)], exception_handlers=HANDLERS)
    uploads = Uploads(client.persistence.path)
    path = None if db is None else str(db)
    app.state.desk = Desk(path, client, Histories(client), Inbox(client), tokens, runs, settings, uploads)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(runs.close)

    # Around all else: an error that nobody foresaw is answered outside an application's own middleware.
    page = Starlette(routes=[Mount("/", Guard(app, Access(tokens, frozenset(hosts))))], lifespan=lifespan)
    page.state.runs, page.state.desk = runs, app.state.desk
    return page


def _routes() -> list[BaseRoute]:
    return [
        Route("/", threads, name="threads"),
        Route("/new", new_run, methods=["GET"], name="new"),
        Route("/new", start_run, methods=["POST"], name="start"),
        Route("/thread", thread, methods=["GET"], name="thread"),
        Route("/thread", steer_thread, methods=["POST"], name="steer"),
        Route("/thread/delete", ask_delete, name="ask_delete"),
        Route("/thread/report", report, name="report"),
        Route("/thread/text", thread_text, name="thread_text"),
        Route("/thread/memory", memory, name="memory"),
        Route("/thread/events", thread_events, name="thread_events"),
        Route("/inbox", inbox, name="inbox"),
        Route("/inbox/several", several, methods=["GET", "POST"], name="several"),
        Route("/review", review, methods=["GET", "POST"], name="review"),
        Route("/review/plan", plan_editor, methods=["GET", "POST"], name="plan_editor"),
        Route("/review/text", review_text, name="review_text"),
        Route("/rules", rules, methods=["GET", "POST"], name="rules"),
        Route("/rules/new", new_rule, methods=["GET", "POST"], name="new_rule"),
        Route("/spend", spend, name="spend"),
        Route("/events", database_events, name="events"),
        Route("/login", log_in, methods=["GET", "POST"], name="login"),
        Route("/logout", log_out, methods=["POST"], name="logout"),
        # Reports have the styles of their pictures in themselves, so these are kept below the server.
        Mount("/styles", StaticFiles(packages=[("orchestrator.reports", "styles")]), name="styles"),
        Mount("/static", StaticFiles(directory=FOLDER / "static"), name="static"),
    ]
