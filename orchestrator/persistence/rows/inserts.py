"""Insert an item of the store unless its key is taken: of two processes that decide the same, the first one stands."""

from collections.abc import Sequence
from typing import Any, Protocol, cast, runtime_checkable

from langgraph.store.base import BaseStore, GetOp, Item, PutOp

from orchestrator.concurrency import BLOCKING, Bridge


@runtime_checkable
class InsertingStore(Protocol):
    """A store that can look and write in one transaction, such as the engine's `Store`."""

    def insert_if_absent(self, op: PutOp, also: Sequence[PutOp] = ()) -> Item | None:
        """Insert a value, and return None; or return the item that has its key already."""

    async def ainsert_if_absent(self, op: PutOp, also: Sequence[PutOp] = ()) -> Item | None:
        """Async twin of `insert_if_absent`."""


async def insert_if_absent(bridge: Bridge, store: BaseStore, op: PutOp, also: Sequence[PutOp] = ()) -> Item | None:
    """Insert a value, and return None; or return the item that has its key already.

    Args:
        bridge: The bridge that calls the store.
        store: Any LangGraph store.
        op: The value to insert.
        also: Records of a journal that are written if the value is, in the same transaction where the store has one.
    """
    if isinstance(store, InsertingStore):
        insert = store.insert_if_absent if bridge is BLOCKING else store.ainsert_if_absent
        return cast("Item | None", await bridge.call(insert, op, also))
    # Other stores offer no such transaction. Of two processes at the same moment, the later write can stand.
    look = GetOp(op.namespace, op.key)
    if (standing := cast(Any, (await bridge.batch(store, [look]))[0])) is not None:
        return cast(Item, standing)
    await bridge.batch(store, [op, *also])
    standing = cast(Any, (await bridge.batch(store, [look]))[0])
    return None if standing is None or standing.value == op.value else cast(Item, standing)
