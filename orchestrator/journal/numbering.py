"""Numbers and hashes of records in a store that is not the engine's own, such as `InMemoryStore` or `PostgresStore`.

Such a store cannot number inside its transaction. The newest number and hash are an item of their own, the head, which
is written with the records. Within a process one writer at a time reads and writes it. Two processes that append at the
same moment may give a number twice: both records stay, and both follow the record before them.
"""

import asyncio
import uuid
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, cast
from weakref import WeakKeyDictionary

from langgraph.store.base import BaseStore, GetOp, PutOp

from orchestrator.concurrency import BLOCKING, Bridge
from orchestrator.persistence.hash_chain import first_hash, next_hash
from orchestrator.persistence.namespaces import BODIES, JOURNAL, namespace

HEAD = "head"

_PROCESS = uuid.uuid4().hex[:8]
_Lock = AbstractAsyncContextManager[None]
_locks: WeakKeyDictionary[BaseStore, dict[tuple[str, int], _Lock]] = WeakKeyDictionary()


def _lock_of(bridge: Bridge, store: BaseStore, thread_id: str) -> _Lock:
    # A lock of an event loop serves that loop alone.
    loop = 0 if bridge is BLOCKING else id(asyncio.get_running_loop())
    locks = _locks.setdefault(store, {})
    return locks.setdefault((thread_id, loop), bridge.lock())


async def write_numbered(
    bridge: Bridge, store: BaseStore, thread_id: str, ops: Sequence[PutOp], told: Sequence[PutOp]
) -> None:
    """Carry out writes together with records that still lack their numbers.

    Args:
        bridge: Reaches the store.
        store: The store.
        thread_id: The thread.
        ops: Writes to other namespaces.
        told: Writes of records and long texts, as `Fact.ops` gives them.
    """
    if not told:
        if ops:
            await bridge.batch(store, ops)
        return
    records = [op for op in told if op.namespace[1] == JOURNAL]
    bodies = [op for op in told if op.namespace[1] == BODIES]
    place = namespace(thread_id, JOURNAL)
    # Looked up beforehand, since a second write under the key would break the chain.
    keys = list(dict.fromkeys(op.key for op in records if op.key))
    async with _lock_of(bridge, store, thread_id):
        head, *known = cast(list[Any], await bridge.batch(store, [GetOp(place, key) for key in (HEAD, *keys)]))
        taken = {key for key, item in zip(keys, known, strict=True) if item is not None}
        seq, before = (
            (head.value["seq"], bytes.fromhex(head.value["hash"])) if head is not None else (0, first_hash(thread_id))
        )
        numbered: list[PutOp] = []
        for op in records:
            if op.key in taken:
                continue
            taken |= {op.key} if op.key else set()
            seq, text = seq + 1, op.value["text"] if op.value else ""
            after = next_hash(before, seq, text)
            value = {"seq": seq, "key": op.key, "text": text, "hash": after.hex(), "before": before.hex()}
            numbered.append(PutOp(place, op.key or f"{seq:09d}-{_PROCESS}", value, index=False))
            before = after
        if numbered:
            numbered.append(PutOp(place, HEAD, {"seq": seq, "hash": before.hex()}, index=False))
        await bridge.batch(store, [*ops, *bodies, *numbered])
