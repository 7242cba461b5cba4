"""Reading a journal: its records in order, with their long texts, and those that come while one waits."""

import json
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

import orjson

from orchestrator.concurrency import Bridge
from orchestrator.journal.record import BODY, JournalRecord
from orchestrator.persistence.damage import UNREADABLE_ERRORS, unreadable_thread
from orchestrator.persistence.namespaces import BODIES, JOURNAL, namespace
from orchestrator.persistence.rows.pages import delete_all, read_keys, search_page
from orchestrator.persistence.rows.stored import StoredRows

if TYPE_CHECKING:
    from langgraph.store.base import BaseStore

    from orchestrator.persistence.rows.pages import Rows

_PAGE = 500


async def read_rows(
    bridge: Bridge, store: "Rows", thread_id: str, since: int = 0, kinds: Collection[str] = ()
) -> list[dict[str, Any]]:
    """Return the rows of the records with higher numbers, as the store has them, in order.

    Args:
        bridge: Reaches the store.
        store: The store of the thread.
        thread_id: The thread.
        since: The number of the last record that is known already.
        kinds: Leave out records of other kinds, where the store can tell them from these without reading them.
    """
    place = namespace(thread_id, JOURNAL)
    if isinstance(store, StoredRows):
        return store.records(place, since)
    from orchestrator.persistence.rows.riders import keeps_journal  # it loads LangGraph, which a look need not

    rows: list[dict[str, Any]] = []  # by pages: LangGraph's stores return ten items unless they are asked for more
    wanted: dict[str, Any] = {"seq": {"$gt": since}}
    if kinds and keeps_journal(store):  # another store would look for a field of that name
        wanted["kind"] = {"$in": list(kinds)}
    while True:
        page = await search_page(bridge, store, place, filter=wanted, limit=_PAGE, offset=len(rows))
        rows += [item.value for item in page]
        if len(page) < _PAGE:
            break
    rows = [row for row in rows if "text" in row]  # the head of a foreign store is among them
    return sorted(rows, key=lambda row: (row["seq"], row["hash"]))


def record_of(thread_id: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record in a row, in plain form.

    Raises:
        PersistenceError: It cannot be read.
    """
    try:
        return {**_parsed(row["text"]), "seq": row["seq"], "key": row["key"], "hash": row["hash"]}
    except UNREADABLE_ERRORS as error:
        raise unreadable_thread(thread_id, error) from error


def _parsed(text: str) -> dict[str, Any]:
    try:
        return cast(dict[str, Any], orjson.loads(text))
    except ValueError:  # records of earlier versions may hold NaN, which only Python takes for JSON
        return cast(dict[str, Any], json.loads(text))


async def read_journal(
    bridge: Bridge, store: "Rows", thread_id: str, since: int = 0, *, with_bodies: bool = True
) -> list[JournalRecord]:
    """Return the records of a thread with higher numbers than `since`, in order.

    Args:
        bridge: Reaches the store.
        store: The store of the thread.
        thread_id: The thread.
        since: The number of the last record that is known already.
        with_bodies: Put long texts in their places. Otherwise `{"$body": digest, "chars": number}` stands there.

    Raises:
        PersistenceError: A record cannot be read.
    """
    rows = [record_of(thread_id, row) for row in await read_rows(bridge, store, thread_id, since)]
    try:
        if with_bodies:
            bodies = await _read_bodies(bridge, store, thread_id, rows)
            rows = [{**row, "data": with_texts(row.get("data", {}), bodies)} for row in rows]
        return [JournalRecord.of_row(thread_id, row) for row in rows]
    except UNREADABLE_ERRORS as error:
        raise unreadable_thread(thread_id, error) from error


async def read_kinds(
    bridge: Bridge, store: "Rows", thread_id: str, kinds: Collection[str], whole: Collection[str] = ()
) -> list[JournalRecord]:
    """Return the records of some kinds, in order.

    Args:
        bridge: Reaches the store.
        store: The store of the thread.
        thread_id: The thread.
        kinds: The kinds.
        whole: Those of the kinds whose long texts are wanted.

    Raises:
        PersistenceError: A record cannot be read.
    """
    # Most records of a journal are of other kinds. A text that cannot be of one is not parsed.
    marks = tuple(f'"kind":"{kind}"' for kind in kinds)
    found = await read_rows(bridge, store, thread_id, kinds=kinds)
    found = [row for row in found if any(mark in row["text"] for mark in marks)]
    rows = [row for row in (record_of(thread_id, each) for each in found) if row.get("kind") in kinds]
    bodies = await _read_bodies(bridge, store, thread_id, (row for row in rows if row["kind"] in whole))
    try:
        if bodies:
            rows = [{**row, "data": with_texts(row.get("data", {}), bodies)} for row in rows]
        return [JournalRecord.of_row(thread_id, row) for row in rows]
    except UNREADABLE_ERRORS as error:
        raise unreadable_thread(thread_id, error) from error


async def _read_bodies(bridge: Bridge, store: "Rows", thread_id: str, rows: Iterable[dict[str, Any]]) -> dict[str, str]:
    digests = list(dict.fromkeys(digest for row in rows for digest in digests_in(row.get("data", {}))))
    items = await read_keys(bridge, store, namespace(thread_id, BODIES), digests)
    return {digest: item.value["body"] for digest, item in zip(digests, items, strict=True) if item is not None}


def digests_in(value: Any) -> list[str]:
    """Return the digests of the long texts that data names."""
    if isinstance(value, dict):
        if isinstance(digest := value.get(BODY), str):
            return [digest]
        return [digest for part in value.values() for digest in digests_in(part)]
    if isinstance(value, list):
        return [digest for part in value for digest in digests_in(part)]
    return []


def with_texts(value: Any, bodies: dict[str, str]) -> Any:
    """Return data with its long texts in their places. A text that is missing stays a digest."""
    if isinstance(value, dict):
        if isinstance(digest := value.get(BODY), str):
            return bodies.get(digest, value)
        return {key: with_texts(part, bodies) for key, part in value.items()}
    if isinstance(value, list):
        return [with_texts(part, bodies) for part in value]
    return value


async def forget_journal(bridge: Bridge, store: "BaseStore", thread_id: str) -> None:
    """Delete the journal of a thread."""
    for kind in (JOURNAL, BODIES):
        await delete_all(bridge, store, namespace(thread_id, kind))
