"""The threads that may wait for a human, found without reading all others."""

from typing import Any, cast

from langgraph.store.base import BaseStore, GetOp, SearchItem, SearchOp

from orchestrator.concurrency import AWAITING
from orchestrator.errors import PersistenceError
from orchestrator.persistence.namespaces import JOURNAL, THREADS, namespace
from orchestrator.persistence.rows.pages import search_page
from orchestrator.runs.client import OrchestratorClient
from orchestrator.runs.threads.record import MAY_WAIT, UNREADABLE, ThreadRecord

_PAGE = 500
_STORED = tuple(status for status in MAY_WAIT if status != UNREADABLE)  # a record that cannot be read has no status


class WaitingThreads:
    """The threads of a database that may have open reviews.

    Args:
        client: Has the database open.
    """

    def __init__(self, client: OrchestratorClient) -> None:
        self._client = client
        self._listed: set[str] = set()  # a thread that the list has is found there by its status

    async def records(self) -> list[ThreadRecord]:
        """Return the records of the threads that may wait, those that changed last first."""
        store = self._client.persistence.store
        try:
            items = [item for status in _STORED for item in await _of_status(store, status)]
        except PersistenceError:  # a damaged row spoils a search by status, and hides no thread from the whole list
            records = [record for record in await self._client.athreads() if record.status in MAY_WAIT]
        else:
            records = [ThreadRecord.parse(item.key, item.value) for item in items]
            records += await self._unlisted(store)
        return sorted(records, key=lambda record: -record.updated)

    async def _unlisted(self, store: BaseStore) -> list[ThreadRecord]:
        """Return the threads of a LangGraph server, which have no record and no status."""
        names = [name for name in self._client.persistence.thread_ids() if name not in self._listed]
        rows = cast(list[Any], await AWAITING.batch(store, [GetOp(THREADS, name) for name in names])) if names else []
        self._listed |= {name for name, row in zip(names, rows, strict=True) if row is not None}
        return [ThreadRecord(name, "", "", 0.0, 0.0) for name, row in zip(names, rows, strict=True) if row is None]


async def _of_status(store: BaseStore, status: str) -> list[SearchItem]:
    items: list[SearchItem] = []
    while True:
        page = await search_page(AWAITING, store, THREADS, filter={"status": status}, limit=_PAGE, offset=len(items))
        items += page
        if len(page) < _PAGE:
            return items


async def changed_since(store: BaseStore, known: dict[str, int]) -> set[str]:
    """Return the threads whose journal has a newer record than the known one.

    Args:
        store: The store of the threads.
        known: The number of the newest known record by thread.
    """
    if not known:
        return set()
    ops = [SearchOp(namespace(name, JOURNAL), filter={"seq": {"$gt": seq}}, limit=1) for name, seq in known.items()]
    pages = cast(list[Any], await AWAITING.batch(store, ops))
    return {name for name, page in zip(known, pages, strict=True) if page}
