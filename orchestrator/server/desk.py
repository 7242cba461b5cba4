"""Desk: what all pages of one server share."""

from dataclasses import dataclass
from typing import cast

from starlette.requests import Request

from orchestrator.runs.client import OrchestratorClient
from orchestrator.server.access.tokens import Tokens
from orchestrator.server.reading.histories import Histories
from orchestrator.server.reviewing.inbox import Inbox
from orchestrator.server.running.runs import Runs
from orchestrator.server.running.settings import RunSettings
from orchestrator.server.running.uploads import Uploads


@dataclass(frozen=True)
class Desk:
    """The things that all pages of one server share.

    Args:
        db: The database, by path or URL; None for the one under the user's data folder.
        client: Reads and answers.
        histories: What happened on threads.
        inbox: The open reviews of all threads.
        tokens: Who may use the page; None where this machine may, and nobody else.
        runs: The runs that were started here.
        settings: What a run begins with where a person chooses nothing else.
        uploads: Documents that were uploaded.
    """

    db: str | None
    client: OrchestratorClient
    histories: Histories
    inbox: Inbox
    tokens: Tokens | None
    runs: Runs
    settings: RunSettings
    uploads: Uploads


def desk_of(request: Request) -> Desk:
    """Return the desk of the server that got a request."""
    return cast(Desk, request.app.state.desk)
