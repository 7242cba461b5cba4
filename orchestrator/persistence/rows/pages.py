"""All items of a namespace of any store: reading and deleting them, page by page."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from orchestrator.concurrency import Bridge
from orchestrator.persistence.rows.stored import StoredItem, StoredRows

# LangGraph takes half a second of CPU to load, and commands that only look read `StoredRows`.
if TYPE_CHECKING:
    from langgraph.store.base import BaseStore, Item, SearchItem

    Rows = BaseStore | StoredRows

# A store's search returns at most as many items as it is asked for; LangGraph's default is 10.
_PAGE = 500
_TRIES = 20


def serves_loops(store: "BaseStore") -> bool:
    """True for a store that an event loop may call directly, as it says itself. The engine's `Store` is one."""
    return bool(getattr(store, "serves_loops", False))


async def read_all(
    bridge: Bridge, store: "Rows", namespace: tuple[str, ...]
) -> "Sequence[SearchItem] | Sequence[StoredItem]":
    """Return all items of a namespace, in no certain order."""
    if isinstance(store, StoredRows):
        return store.items(namespace)
    items: list[SearchItem] = []
    while True:
        page = await _read_page(bridge, store, namespace, offset=len(items))
        items += page
        if len(page) < _PAGE:
            return items


async def read_keys(
    bridge: Bridge, store: "Rows", namespace: tuple[str, ...], keys: Sequence[str]
) -> "Sequence[Item | StoredItem | None]":
    """Return the items of a namespace with these keys, and None in the places of those that are missing."""
    if isinstance(store, StoredRows):
        return [store.find(namespace, key) for key in keys]
    from langgraph.store.base import GetOp

    ops = [GetOp(namespace, key) for key in keys]
    return cast("list[Item | None]", await bridge.batch(store, ops)) if ops else []


async def delete_all(bridge: Bridge, store: "BaseStore", namespace: tuple[str, ...]) -> None:
    """Delete all items of a namespace, one transaction a page."""
    from langgraph.store.base import PutOp

    # Always from the first page: each deletion moves the next items there.
    while page := await _read_page(bridge, store, namespace, offset=0):
        await bridge.batch(store, [PutOp(namespace, item.key, None) for item in page])
        if len(page) < _PAGE:
            return


async def _read_page(bridge: Bridge, store: "BaseStore", namespace: tuple[str, ...], offset: int) -> "list[SearchItem]":
    return await search_page(bridge, store, namespace, limit=_PAGE, offset=offset)


async def search_page(
    bridge: Bridge, store: "BaseStore", namespace: tuple[str, ...], **options: Any
) -> "list[SearchItem]":
    """Carry out one search."""
    from langgraph.store.base import SearchOp

    op = SearchOp(namespace, **options)
    for _ in range(_TRIES):
        try:
            return cast("list[SearchItem]", (await bridge.batch(store, [op]))[0])
        except RuntimeError as error:
            # LangGraph 1.2: an InMemoryStore has no lock, and threads that write meanwhile break its loop.
            if "changed size during iteration" not in str(error):
                raise
    return cast("list[SearchItem]", (await bridge.batch(store, [op]))[0])
