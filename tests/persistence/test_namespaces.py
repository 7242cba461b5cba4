"""Namespaces: all items of one are read or deleted, and no others, however many there are."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from langgraph.store.base import Op, PutOp, Result
from langgraph.store.memory import InMemoryStore

from orchestrator import Persistence
from orchestrator.concurrency import AWAITING, BLOCKING, run_blocking
from orchestrator.persistence.namespaces import namespace
from orchestrator.persistence.rows.pages import delete_all, read_all

HERE = namespace("thread", "memory")
THERE = namespace("thread", "decisions")


class CountingStore(InMemoryStore):
    """A store that counts its calls."""

    calls = 0

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        self.calls += 1
        return super().batch(ops)


def filled(store: Any, count: int) -> Any:
    store.batch([PutOp(HERE, f"k{number}", {"number": number}) for number in range(count)])
    store.batch([PutOp(THERE, "other", {})])
    return store


def keys(store: Any, name: tuple[str, ...]) -> set[str]:
    return {item.key for item in run_blocking(read_all(BLOCKING, store, name))}


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 1203])
def test_all_items_are_read_and_no_others(count: int) -> None:
    with Persistence("memory://") as persistence:
        items = run_blocking(read_all(BLOCKING, filled(persistence.store, count), HERE))
    assert {item.key: item.value["number"] for item in items} == {f"k{number}": number for number in range(count)}
    assert len(items) == count


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 1203])
def test_all_items_are_deleted_and_no_others(count: int) -> None:
    with Persistence("memory://") as persistence:
        store = filled(persistence.store, count)
        run_blocking(delete_all(BLOCKING, store, HERE))
        assert keys(store, HERE) == set()
        assert keys(store, THERE) == {"other"}


def test_an_event_loop_does_the_same() -> None:
    async def body() -> None:
        store = filled(InMemoryStore(), 3)
        assert len(await read_all(AWAITING, store, HERE)) == 3
        await delete_all(AWAITING, store, HERE)
        assert await read_all(AWAITING, store, HERE) == []

    asyncio.run(body())


@pytest.mark.parametrize(("count", "reading", "deleting"), [(0, 1, 1), (3, 1, 2), (600, 2, 4)])
def test_a_page_costs_one_call_of_the_store(count: int, reading: int, deleting: int) -> None:
    store = filled(CountingStore(), count)
    store.calls = 0
    run_blocking(read_all(BLOCKING, store, HERE))
    assert store.calls == reading
    store.calls = 0
    run_blocking(delete_all(BLOCKING, store, HERE))
    assert store.calls == deleting
