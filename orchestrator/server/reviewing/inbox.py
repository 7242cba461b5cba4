"""Inbox: the open reviews of every thread, sorted by what they hold up.

A look costs what has changed. A thread is read again only after its journal has a new record, and a look at a database
in which nothing was written reads nothing. A look that has much to read ends after a moment, and the next one goes on.
"""

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from orchestrator.background import run_in_background
from orchestrator.concurrency import AWAITING
from orchestrator.errors import OrchestratorError
from orchestrator.journal.reading import read_rows, record_of
from orchestrator.logs import logger
from orchestrator.reviews.review import Review
from orchestrator.reviews.saved.decisions import recorded_decision
from orchestrator.runs.client import OrchestratorClient
from orchestrator.runs.run import Run
from orchestrator.runs.thread_list import ThreadList
from orchestrator.runs.threads.record import ThreadRecord
from orchestrator.server.reading.changes import state_of
from orchestrator.server.reviewing.open_review import OpenReview, held_up
from orchestrator.server.reviewing.waiting_threads import WaitingThreads, changed_since

_LONGEST_LOOK_S = 0.4
_LEAST_S = 0.3  # between two looks, while a run writes all the time
_KINDS = ("review_asked", "review_answered", "sub_task_started", "sub_task_waits", "sub_task_ended")
_MARKS = tuple(f'"kind":"{kind}"' for kind in _KINDS)  # most records are of other kinds, and are not parsed

_log = logger(__name__)


@dataclass(frozen=True)
class WaitingThread:
    """A thread that waits, as it was read last.

    Args:
        record: Its record.
        seq: The number of the newest record of its journal.
        open: Its open reviews.
        answered: The number of reviews that are answered and that no run has gone on with.
        is_running: A process runs it.
    """

    record: ThreadRecord
    seq: int
    open: tuple[OpenReview, ...]
    answered: int = 0
    is_running: bool = False

    @property
    def rests(self) -> bool:
        """True if the thread has an answer, and has to be resumed to go on with it."""
        return bool(self.answered) and not self.is_running


class Inbox:
    """The open reviews of the threads of a database.

    Args:
        client: Reads the threads.
    """

    def __init__(self, client: OrchestratorClient) -> None:
        self._client = client
        self._waiting = WaitingThreads(client)
        self._threads: dict[str, WaitingThread] = {}
        self._unread = 0
        self._state: object = None
        self._looked = float("-inf")
        self._lock = threading.Lock()

    def look(self, *, at_once: bool = False) -> list[OpenReview]:
        """Return the open reviews; what holds up most comes first.

        Args:
            at_once: Do not take over what another look has found a moment ago.
        """
        with self._lock:
            if at_once or time.monotonic() - self._looked >= _LEAST_S:
                self._renew()
            reviews = [review for thread in self._threads.values() for review in thread.open]
        return sorted(reviews, key=lambda each: each.rank)

    def count(self) -> int:
        """Return the number of open reviews; 0 where the database cannot be read."""
        try:
            return len(self.look())
        except OrchestratorError:  # the page that counts tells it by itself, if it needs the database
            return 0

    @property
    def unread(self) -> int:
        """The number of threads that the last look had no time for."""
        return self._unread

    def threads(self) -> list[WaitingThread]:
        """Return the threads that the last look has found."""
        with self._lock:
            return list(self._threads.values())

    def resting(self) -> list[WaitingThread]:
        """Return the threads that have answers, and have to be resumed to go on with them."""
        return [thread for thread in self.threads() if thread.rests]

    def thread(self, thread_id: str) -> WaitingThread:
        """Return what waits on a thread now.

        Args:
            thread_id: The thread.
        """
        known = self._threads.get(thread_id)
        return run_in_background(lambda: self._one(thread_id, known))

    def find(self, review_id: str) -> OpenReview | None:
        """Return an open review; None if there is none of that id."""
        thread = self.thread(review_id.rpartition("/")[0])  # a thread's own id may hold slashes
        return next((each for each in thread.open if each.review.id == review_id), None)

    async def _one(self, thread_id: str, known: WaitingThread | None) -> WaitingThread:
        # All threads are not looked through for one of them.
        persistence = self._client.persistence
        is_same = known is not None and known.is_running == persistence.is_leased(thread_id)
        if known is not None and is_same and not await changed_since(persistence.store, {thread_id: known.seq}):
            return known
        record = known.record if known else await ThreadList(persistence.store).find(AWAITING, thread_id)
        return await self._read_safely(record or ThreadRecord(thread_id, "", "", 0.0, 0.0))

    def _renew(self) -> None:
        state = state_of(self._client)
        # A process that is killed writes nothing: whether a thread is at work is asked again each time.
        is_same = state == self._state and not self._unread and not self._is_any_lost()
        if not is_same:
            run_in_background(self._read_changed)
            self._state = state  # from before the reading: what is written meanwhile is another state
        self._looked = time.monotonic()

    def _is_any_lost(self) -> bool:
        is_leased = self._client.persistence.is_leased
        return any(thread.is_running and not is_leased(name) for name, thread in self._threads.items())

    async def _read_changed(self) -> None:
        # The newest threads come first: where there are too many to read at once, a person sees those at once.
        until = time.monotonic() + _LONGEST_LOOK_S
        records = await self._waiting.records()
        before = {record.id: self._threads[record.id] for record in records if record.id in self._threads}
        changed = await changed_since(
            self._client.persistence.store, {name: thread.seq for name, thread in before.items()}
        )
        is_leased = self._client.persistence.is_leased
        threads, unread = {}, 0
        for record in records:
            known = before.get(record.id)
            is_read = known is not None and known.record == record and record.id not in changed
            if known is not None and is_read and not (known.is_running and not is_leased(record.id)):
                threads[record.id] = known
            elif time.monotonic() > until:
                unread += 1  # better an old state of it than none, until the next look
                if known is not None:
                    threads[record.id] = known
            else:
                threads[record.id] = await self._read_safely(record)
        self._threads, self._unread = threads, unread

    async def _read_safely(self, record: ThreadRecord) -> WaitingThread:
        try:
            return await self._read(record)
        except OrchestratorError as error:  # a thread that cannot be read, or was deleted just now, hides no other
            _log.warning("%s", error)
            return WaitingThread(record, 0, ())

    async def _read(self, record: ThreadRecord) -> WaitingThread:
        client, store, thread_id = self._client, self._client.persistence.store, record.id
        # Asked before the reading, since a run writes its last records before it lets go of its thread.
        is_running = client.persistence.is_leased(thread_id)
        # The journal first: what is told while the state is read makes the next look read the thread again.
        rows = await read_rows(AWAITING, store, thread_id)
        told = [record_of(thread_id, row) for row in rows if any(mark in row["text"] for mark in _MARKS)]
        run = await client.ashow(thread_id, results=False)
        asked, at_work = _asked(told), _at_work(told) if is_running else ()
        still_open = [each for each in run.reviews if await recorded_decision(AWAITING, store, each) is None]
        reviews = tuple(_open_review(run, each, asked, at_work, is_running=is_running) for each in still_open)
        if record.about.get("team") and not is_running:
            reviews = tuple(replace(each, can_go_on=True) for each in reviews)
        newest = int(rows[-1]["seq"]) if rows else 0
        return WaitingThread(record, newest, reviews, len(run.reviews) - len(reviews), is_running)


def _asked(told: Iterable[dict[str, Any]]) -> dict[str, datetime]:
    """Return the time at which each review was asked first."""
    asked: dict[str, datetime] = {}
    for each in told:
        if each["kind"] == "review_asked":
            asked.setdefault(str(each["data"].get("id", "")), datetime.fromtimestamp(float(each["at"]), UTC))
    return asked


def _at_work(told: Iterable[dict[str, Any]]) -> tuple[str, ...]:
    """Return the sub-tasks that have begun, and neither wait nor have ended."""
    works: dict[str, bool] = {}
    for each in told:
        if (name := each.get("sub_task")) and each["kind"] != "review_asked":
            works[name] = each["kind"] in ("sub_task_started", "review_answered")  # an answer lets its branch go on
    return tuple(name for name, does_work in works.items() if does_work)


def _open_review(
    run: Run, review: Review, asked: Mapping[str, datetime], at_work: Sequence[str], *, is_running: bool
) -> OpenReview:
    others = tuple(name for name in at_work if name != review.sub_task_id)
    sub_task = run.plan.by_id.get(review.sub_task_id) if run.plan is not None else None
    agent = sub_task.target_agent if sub_task is not None else ""
    return OpenReview(review, run.task, asked.get(review.id), *held_up(run, review), others, is_running, agent)
