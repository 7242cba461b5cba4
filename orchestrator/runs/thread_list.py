"""The list of threads of a database, kept in the store beside the shared memory."""

import json
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any
from urllib.parse import quote

from langgraph.store.base import BaseStore, GetOp, PutOp

from orchestrator.budget.ledger_store import models_op
from orchestrator.budget.saved.ledger_rows import BUDGET_ROW
from orchestrator.concurrency import Bridge
from orchestrator.errors import ConfigError
from orchestrator.memory.entry import Entry
from orchestrator.persistence.namespaces import THREADS, namespace
from orchestrator.persistence.rows.pages import delete_all, read_all
from orchestrator.persistence.used_models import UsedModels
from orchestrator.redaction import redact_json
from orchestrator.runs.threads.record import DELETING, ThreadRecord
from orchestrator.text import sound_json
from orchestrator.validation import expect

_INPUT = "given"  # stored in threads: keep the name
_MOST_CHARS = 120
_MOST_QUOTED = 240  # file systems take 255 bytes, and the names of locks have an ending


def check_thread_id(thread_id: str) -> str:
    """Return the id if it can be used.

    Raises:
        ConfigError: The id is empty, too long, or has characters that do not print.
    """
    expect(str, thread_id, "the thread", "a thread's id, as in thread_id='my-task'")
    if not thread_id.strip() or len(thread_id) > _MOST_CHARS or not thread_id.isprintable():
        raise ConfigError(f"a thread id has 1 to {_MOST_CHARS} printable characters, this one has not: {thread_id!r}")
    if len(quote(thread_id, safe="")) > _MOST_QUOTED:  # the lock and the workspace are named so
        raise ConfigError(f"a thread id is the name of a file too, and this one is too long for that: {thread_id!r}")
    return thread_id


class ThreadList:
    """The threads of one store.

    Args:
        store: The store.
        clock: Returns Unix time in seconds.
    """

    def __init__(self, store: BaseStore, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock

    async def begin(
        self,
        bridge: Bridge,
        thread_id: str,
        about: dict[str, Any],
        graph_input: dict[str, Any],
        also: Sequence[PutOp] = (),
        models: UsedModels | None = None,
    ) -> None:
        """Record that a thread starts, or that it starts another task.

        Args:
            bridge: Reaches the store.
            thread_id: The thread.
            about: Facts that a resume needs.
            graph_input: The input of the graph, with the task.
            also: Further operations for the same transaction.
            models: The models that the team will ask.
        """
        now = self._clock()
        before = await self.find(bridge, thread_id)
        created, used = before.created if before else now, models.plain() if models is not None else {}
        record = ThreadRecord(thread_id, graph_input["task"], "running", created, now, about, used)
        # A kill before the first checkpoint must not lose the task. The supervisor's first act clears the thread's
        # memory and this entry with it; by then a checkpoint holds the input.
        entry = Entry(key=_INPUT, text=json.dumps(sound_json(graph_input)), status="note", created=now)
        put_input = PutOp(namespace(thread_id, "memory"), _INPUT, entry.plain(), index=False)
        await bridge.batch(self._store, [put_input, _put(record), *also])

    async def unstarted_input(self, bridge: Bridge, thread_id: str) -> dict[str, Any]:
        """Return the input of a run that was killed before its first checkpoint. Empty for a run that came further."""
        item: Any = (await bridge.batch(self._store, [GetOp(namespace(thread_id, "memory"), _INPUT)]))[0]
        return {} if item is None else json.loads(Entry.parse(_INPUT, item.value).text)

    async def mark(self, bridge: Bridge, thread_id: str, status: str, usage: Mapping[str, Any] | None = None) -> None:
        """Record the status of a thread, and what its run has used if that is given."""
        before = await self.find(bridge, thread_id)
        if before is None:  # an unlisted thread belongs to a LangGraph server
            return
        new = {"status": status, "usage": before.usage if usage is None else dict(usage)}
        if new != {"status": before.status, "usage": before.usage}:
            changed = {**asdict(before), **new, "updated": self._clock()}
            await self._put(bridge, ThreadRecord(**changed))

    async def go_on_with(
        self, bridge: Bridge, record: ThreadRecord, models: UsedModels, about: Mapping[str, Any]
    ) -> None:
        """Record that a thread goes on with these models.

        Args:
            bridge: Reaches the store.
            record: The thread's record.
            models: The models that the team will ask.
            about: Facts that replace those of the record.
        """
        changed = replace(record, models=models.plain(), about={**record.about, **about}, updated=self._clock())
        row: Any = (await bridge.batch(self._store, [GetOp(namespace(record.id, "ledger"), BUDGET_ROW)]))[0]
        # Graphs that are invoked without this list compare with the budget's row.
        ledger = [] if row is None else [models_op(record.id, row.value, models.plain())]
        await bridge.batch(self._store, [_put(changed), *ledger])

    async def mark_deleting(self, bridge: Bridge, thread_id: str) -> None:
        """Record that a thread is being deleted, also one that the list does not hold."""
        before = await self.find(bridge, thread_id) or ThreadRecord(thread_id, "", "", self._clock(), 0.0)
        await self._put(bridge, replace(before, status=DELETING, updated=self._clock()))

    async def find(self, bridge: Bridge, thread_id: str) -> ThreadRecord | None:
        """Return the record of a thread, or None if the list has none."""
        item: Any = (await bridge.batch(self._store, [GetOp(THREADS, thread_id)]))[0]
        return None if item is None else ThreadRecord.parse(thread_id, item.value)

    async def all(self, bridge: Bridge) -> list[ThreadRecord]:
        """Return every thread, newest first."""
        items = await read_all(bridge, self._store, THREADS)
        return sorted((ThreadRecord.parse(item.key, item.value) for item in items), key=lambda record: -record.created)

    async def delete(self, bridge: Bridge, thread_id: str) -> None:
        """Delete what the store holds of a thread, and its record last."""
        for kind in ("memory", "decisions", "reviews", "steering"):
            await delete_all(bridge, self._store, namespace(thread_id, kind))
        await bridge.batch(self._store, [PutOp(THREADS, thread_id, None)])

    async def _put(self, bridge: Bridge, record: ThreadRecord) -> None:
        await bridge.batch(self._store, [_put(record)])


def _put(record: ThreadRecord) -> PutOp:
    plain = sound_json(asdict(record))
    return PutOp(THREADS, record.id, {**plain, "about": redact_json(plain["about"])}, index=False)


def new_thread_id(task: str, ending: str = "") -> str:
    """Return an id that a person recognises: the first words of the task and some random letters.

    Args:
        task: The task.
        ending: Letters instead of random ones.
    """
    words = re.findall(r"[a-z0-9]+", task.lower())[:3]
    return "-".join([*(word[:12] for word in words), ending or secrets.token_hex(3)])
