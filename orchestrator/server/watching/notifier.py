"""Notifier: tells people of new reviews, by a webhook and by a command.

A review is told of at least once: what was told is kept in the database. What could not be told is tried again, also by
the next server. Nothing here is on the way of a run.
"""

import hashlib
import hmac
import json
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx2
from langgraph.store.base import BaseStore, PutOp

from orchestrator.background import run_in_background
from orchestrator.concurrency import AWAITING
from orchestrator.control_characters import visible
from orchestrator.errors import ConfigError
from orchestrator.logs import logger
from orchestrator.persistence.namespaces import ROOT
from orchestrator.persistence.rows.pages import read_all
from orchestrator.redaction import redact
from orchestrator.server.reviewing.open_review import OpenReview
from orchestrator.text import shorten

NOTIFIED = (ROOT, "notified")
"""The namespace of the reviews that were told of."""

SIGNATURE = "x-orchestrator-signature"
_WEBHOOK_S, _COMMAND_S = 10.0, 30.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 2.0, 600.0
_MOST_CHARS = 600

_log = logger(__name__)


@dataclass(frozen=True)
class NotifySettings:
    """Whom to tell of new reviews.

    Args:
        webhook: The address to which each review is posted as JSON; empty for none.
        command: A command that gets the same JSON on its standard input; empty for none.
        secret: Signs what is posted; empty to sign nothing.
        page: The address under which people reach the page, for links.
    """

    webhook: str = ""
    command: str = ""
    secret: str = field(default="", repr=False)
    page: str = ""

    def check(self) -> "NotifySettings":
        """Return the settings if they can be used.

        Raises:
            ConfigError: The webhook is no web address, or the command is none.
        """
        if self.webhook and not self.webhook.startswith(("https://", "http://")):
            raise ConfigError(f"the webhook '{self.webhook}' is no web address: write https://…")
        try:
            if self.command and not shlex.split(self.command):
                raise ValueError("it is empty")
        except ValueError as error:
            raise ConfigError(f"the command '{self.command}' cannot be read: {error}") from None
        return self


@dataclass
class _Message:
    entry: OpenReview
    ways: list[str]
    tries: int = 0
    due: float = 0.0


class Notifier:
    """Tells people of new reviews.

    Args:
        settings: Whom, and how.
        store: Keeps what was told.
        clock: Returns seconds that only go up.
    """

    def __init__(self, settings: NotifySettings, store: BaseStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings.check()
        self._store = store
        self._clock = clock
        self._told: set[str] | None = None
        self._waiting: dict[str, _Message] = {}

    def tell(self, entries: Sequence[OpenReview], *, is_all: bool) -> None:
        """Tell of the reviews that nobody was told of yet.

        Args:
            entries: The open reviews.
            is_all: No other review is open, so that what was told of others can be forgotten.
        """
        told = self._read_told()
        by_id = {entry.review.id: entry for entry in entries}
        ways = [way for way in ("webhook", "command") if getattr(self._settings, way)]
        for review_id, entry in by_id.items():
            if review_id not in told and review_id not in self._waiting:
                self._waiting[review_id] = _Message(entry, list(ways))
        for review_id in [name for name in self._waiting if name not in by_id]:
            del self._waiting[review_id]  # it was answered before anybody could be told
        if is_all and (gone := told - by_id.keys()):
            self._write([PutOp(NOTIFIED, review_id, None) for review_id in gone])
            told -= gone
        for review_id, message in list(self._waiting.items()):
            if message.due <= self._clock() and not self._send(review_id, message):
                break  # whoever does not answer is not asked for each of many reviews

    def _read_told(self) -> set[str]:
        if self._told is None:
            items = run_in_background(lambda: read_all(AWAITING, self._store, NOTIFIED))
            self._told = {item.key for item in items}
        return self._told

    def _write(self, ops: list[PutOp]) -> None:
        run_in_background(lambda: AWAITING.batch(self._store, ops))

    def _send(self, review_id: str, message: _Message) -> bool:
        """Send a message by the ways that have not taken it. Return False if one failed."""
        body = json.dumps(self._body(message.entry), ensure_ascii=False).encode()
        problems = []
        for way in list(message.ways):
            problem = self._post(body) if way == "webhook" else self._run(body)
            if problem:
                problems.append(f"{way}: {problem}")
            else:
                message.ways.remove(way)
        if not message.ways:
            # After the sending: a kill in between tells twice, and never not at all.
            self._write([PutOp(NOTIFIED, review_id, {"at": time.time()}, index=False)])
            self._read_told().add(review_id)
            del self._waiting[review_id]
            return True
        message.tries += 1
        wait = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** (message.tries - 1))
        message.due = self._clock() + wait
        _log.warning(
            "nobody was told of review %s, which is tried again in %g s: %s", review_id, wait, "; ".join(problems)
        )
        return False

    def _body(self, entry: OpenReview) -> dict[str, Any]:
        review = entry.review
        # Without the subject: a webhook's receiver need not see what a worker would send or run.
        return {
            "event": "review_asked",
            "review": {
                "id": review.id,
                "kind": review.kind,
                "question": _shown(review.question),
                "stake": _shown(review.stake),
                "sub_task": review.sub_task_id,
                "allowed": list(review.allowed),
            },
            "thread": review.thread_id,
            "task": _shown(entry.task),
            "holds_up": entry.held_up,
            "sub_tasks": entry.sub_tasks,
            "asked": None if entry.asked is None else entry.asked.isoformat(),
            "link": f"{self._settings.page.rstrip('/')}/review?{urlencode({'id': review.id})}",
        }

    def _post(self, body: bytes) -> str:
        """Post a message to the webhook, and return what is wrong; empty if it was taken."""
        headers = {"content-type": "application/json", "user-agent": "agent-task-orchestrator"}
        if self._settings.secret:
            headers[SIGNATURE] = signature(self._settings.secret, body, int(time.time()))
        try:
            answer = httpx2.post(self._settings.webhook, content=body, headers=headers, timeout=_WEBHOOK_S)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            return redact(str(error) or type(error).__name__)
        return "" if answer.is_success else f"it answered {answer.status_code}"

    def _run(self, body: bytes) -> str:
        """Run the command, and return what is wrong; empty if it ended well."""
        sent = json.loads(body)
        facts = {"LINK": sent["link"], "ID": sent["review"]["id"], "QUESTION": sent["review"]["question"]}
        variables = {f"ORCHESTRATOR_REVIEW_{name}": value.replace("\0", "") for name, value in facts.items()}
        # Without the secret, and never through a shell: a question is written by a model.
        environment = {name: value for name, value in os.environ.items() if name != "ORCHESTRATOR_NOTIFY_SECRET"}
        try:
            done = subprocess.run(
                shlex.split(self._settings.command),
                input=body,
                env={**environment, **variables},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=_COMMAND_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        said = done.stderr[-_MOST_CHARS:].decode(errors="replace").strip()
        return "" if done.returncode == 0 else redact(f"it ended with {done.returncode}: {said}")


def signature(secret: str, body: bytes, at: int) -> str:
    """Return the value of the header that proves a message.

    Args:
        secret: The secret that sender and receiver share.
        body: The message.
        at: Unix time in seconds; a receiver refuses old messages that are sent again.
    """
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def _shown(text: str) -> str:
    return visible(shorten(text, _MOST_CHARS))
