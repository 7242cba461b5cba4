"""Threads: the list of what has been run in a database, kept in the store beside the shared memory."""

import json
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import quote

from langgraph.store.base import BaseStore, GetOp, PutOp

from orchestrator.concurrency import Bridge
from orchestrator.errors import ConfigError
from orchestrator.memory.entry import Entry
from orchestrator.persistence.namespaces import ROOT, delete_all, namespace, read_all

_PLACE = (ROOT, "threads")
_GIVEN = "given"
_MOST_CHARS = 120
_MOST_QUOTED = 240


@dataclass(frozen=True)
class ThreadRecord:
    """One thread.

    Args:
        id: The thread's id.
        task: What was asked.
        status: How its last run ended; `running` while it works, and after a crash.
        created: Unix time in seconds.
        updated: Unix time in seconds.
        about: What a resume needs to know, such as the team and the model; JSON-plain.
    """

    id: str
    task: str
    status: str
    created: float
    updated: float
    about: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> "ThreadRecord":
        """Reads it from its plain form; what an older or newer version has put beside it is left out."""
        return cls(**{name: value for name, value in data.items() if name in cls.__dataclass_fields__})


def check_thread_id(thread_id: str) -> str:
    """Returns the id when it can be used.

    Raises:
        ConfigError: It is empty, too long, or has characters that do not print.
    """
    if not thread_id.strip() or len(thread_id) > _MOST_CHARS or not thread_id.isprintable():
        raise ConfigError(f"a thread id has 1 to {_MOST_CHARS} printable characters, this one has not: {thread_id!r}")
    if len(quote(thread_id, safe="")) > _MOST_QUOTED:  # its lock and its workspace are files of that name
        raise ConfigError(f"a thread id is the name of a file too, and this one is too long for that: {thread_id!r}")
    return thread_id


class ThreadList:
    """The threads of one store.

    Args:
        store: Where they are.
        clock: Gives Unix time in seconds.
    """

    def __init__(self, store: BaseStore, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock

    async def begin(self, bridge: Bridge, thread_id: str, about: dict[str, Any], given: dict[str, Any]) -> None:
        """Notes that a thread was started, or was given another task.

        Args:
            bridge: How to reach the store.
            thread_id: The thread.
            about: What a resume needs to know.
            given: The graph's input. It lies in the thread's memory, where the supervisor's first act removes it: by
                then it is in a checkpoint.
        """
        now = self._clock()
        before = await self.find(bridge, thread_id)
        record = ThreadRecord(thread_id, given["task"], "running", before.created if before else now, now, about)
        note = Entry(key=_GIVEN, text=json.dumps(given), status="note", created=now)
        kept = PutOp(namespace(thread_id, "memory"), _GIVEN, note.plain())
        await bridge.batch(self._store, [kept, PutOp(_PLACE, thread_id, asdict(record))])

    async def given(self, bridge: Bridge, thread_id: str) -> dict[str, Any]:
        """The input of a run that was killed before its first checkpoint; empty when it had got further."""
        found: Any = (await bridge.batch(self._store, [GetOp(namespace(thread_id, "memory"), _GIVEN)]))[0]
        return {} if found is None else json.loads(Entry.parse(_GIVEN, found.value).text)

    async def mark(self, bridge: Bridge, thread_id: str, status: str) -> None:
        """Notes how far a thread came."""
        before = await self.find(bridge, thread_id)
        if before is not None and before.status != status:
            changed = {**asdict(before), "status": status, "updated": self._clock()}
            await self._put(bridge, ThreadRecord(**changed))

    async def find(self, bridge: Bridge, thread_id: str) -> ThreadRecord | None:
        """One thread; None when it is not listed."""
        item: Any = (await bridge.batch(self._store, [GetOp(_PLACE, thread_id)]))[0]
        return None if item is None else ThreadRecord.parse(item.value)

    async def all(self, bridge: Bridge) -> list[ThreadRecord]:
        """Every thread, newest first."""
        items = await read_all(bridge, self._store, _PLACE)
        return sorted((ThreadRecord.parse(item.value) for item in items), key=lambda record: -record.created)

    async def delete(self, bridge: Bridge, thread_id: str) -> None:
        """Takes a thread, its memory and its decisions out of the store."""
        for kind in ("memory", "decisions"):
            await delete_all(bridge, self._store, namespace(thread_id, kind))
        await bridge.batch(self._store, [PutOp(_PLACE, thread_id, None)])

    async def _put(self, bridge: Bridge, record: ThreadRecord) -> None:
        await bridge.batch(self._store, [PutOp(_PLACE, record.id, asdict(record))])


def new_thread_id(task: str) -> str:
    """A thread id that a person can tell from others: the task's first words and some random letters."""
    words = re.findall(r"[a-z0-9]+", task.lower())[:3]
    return "-".join([*(word[:12] for word in words), secrets.token_hex(3)])
