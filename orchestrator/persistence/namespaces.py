"""Namespaces of the store: their names, reading all items of one, and deleting them."""

from typing import cast

from langgraph.store.base import BaseStore, PutOp, SearchItem, SearchOp

from orchestrator.concurrency import Bridge

ROOT = "orchestrator"
THREADS = (ROOT, "threads")
"""The namespace of the list of threads."""

PAST_SPEND = (ROOT, "past_spend")
"""The namespace of the tokens of earlier sub-tasks, over all threads."""

# A store's search returns at most as many items as it is asked for; LangGraph's default is 10.
_PAGE = 500


def namespace(thread_id: str, *kind: str) -> tuple[str, ...]:
    """Return the namespace of a thread's items of one kind."""
    # A store's labels must be neither empty nor hold dots: SQLite and Postgres join them with dots.
    return (ROOT, *kind, thread_id.replace("%", "%25").replace(".", "%2E") or "-")


def thread_of(namespace: tuple[str, ...]) -> str:
    """Return the thread whose items a namespace has."""
    return namespace[-1].replace("%2E", ".").replace("%25", "%")


def serves_loops(store: BaseStore) -> bool:
    """True for a store that an event loop may call directly, as it says itself. The engine's `Store` is one."""
    return bool(getattr(store, "serves_loops", False))


async def read_all(bridge: Bridge, store: BaseStore, namespace: tuple[str, ...]) -> list[SearchItem]:
    """Return all items of a namespace, in no certain order."""
    items: list[SearchItem] = []
    while True:
        page = await _read_page(bridge, store, namespace, offset=len(items))
        items += page
        if len(page) < _PAGE:
            return items


async def delete_all(bridge: Bridge, store: BaseStore, namespace: tuple[str, ...]) -> None:
    """Delete all items of a namespace, one transaction a page."""
    # Always from the first page: each deletion moves the next items there.
    while page := await _read_page(bridge, store, namespace, offset=0):
        await bridge.batch(store, [PutOp(namespace, item.key, None) for item in page])
        if len(page) < _PAGE:
            return


async def _read_page(bridge: Bridge, store: BaseStore, namespace: tuple[str, ...], offset: int) -> list[SearchItem]:
    op = SearchOp(namespace, limit=_PAGE, offset=offset)
    return cast(list[SearchItem], (await bridge.batch(store, [op]))[0])
