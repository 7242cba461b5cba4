"""ReviewWatch: a thread that looks at the open reviews of a database, so that they are told of and expire."""

import threading
from pathlib import Path

from orchestrator.errors import DecisionError, OrchestratorError
from orchestrator.logs import logger
from orchestrator.reviews.answering.expiry import EXPIRED, NEVER, Expiry
from orchestrator.runs.client import OrchestratorClient
from orchestrator.runs.threads.record import ThreadRecord
from orchestrator.server.reviewing.inbox import Inbox
from orchestrator.server.watching.notifier import Notifier
from orchestrator.tool_calls.policy import Policy

_LOOK_S = 1.0

_log = logger(__name__)


class ReviewWatch:
    """Looks at the open reviews again and again.

    Args:
        client: Answers the reviews whose time is over.
        inbox: Has the reviews.
        notifier: Tells people of new ones; None to tell nobody.
    """

    def __init__(self, client: OrchestratorClient, inbox: Inbox, notifier: Notifier | None = None) -> None:
        self._client = client
        self._inbox = inbox
        self._notifier = notifier
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="orchestrator-review-watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End. A message that is on its way is not waited for: it is sent again by the next server."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self.look()
            # Such as a database that is locked for long. Nobody would notice a watch that has ended.
            except Exception as error:  # noqa: BLE001 - the next look may go well
                _log.warning("the open reviews could not be looked at: %s", error)
            self._ended.wait(_LOOK_S)

    def look(self) -> None:
        """Answer what has expired, and tell of what is new."""
        self._inbox.look(at_once=True)
        threads = self._inbox.threads()
        for thread in threads:
            for entry in thread.open if (expiry := expiry_of(thread.record)).rules else ():
                decision = None if entry.asked is None else expiry.decision(entry.review, entry.asked)
                if decision is None:
                    continue
                try:
                    self._client.decide(entry.review, decision.action, decision.text, by=EXPIRED)
                except DecisionError as error:  # a human has answered at the last moment
                    _log.info("%s", error)
        if self._notifier is not None:
            self._notifier.tell([entry for thread in threads for entry in thread.open], is_all=not self._inbox.unread)


def expiry_of(record: ThreadRecord) -> Expiry:
    """Return the rule for the reviews of a thread that nobody answers, as its policy has it now.

    Args:
        record: The record of the thread.
    """
    path = record.about.get("policy")
    try:
        if path and Path(str(path)).exists():
            return Policy.load(str(path)).expiry
        return Expiry.parse(record.about.get("review_expires"))
    except OrchestratorError as error:
        _log.warning("reviews of thread '%s' do not expire: %s", record.id, error)
        return NEVER
