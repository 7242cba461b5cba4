"""The registry: one object for each invocation, and no more than it may keep."""

import threading

from orchestrator.graph.registry import Registry


class Kept:
    """Something to keep."""

    is_active = False


def test_an_object_of_an_earlier_invocation_is_never_found() -> None:
    registry: Registry[Kept] = Registry(most=9)
    before, now = object(), object()
    first = registry.find("t", before, Kept)
    assert registry.find("t", before, Kept) is first
    assert registry.find("t", now, Kept) is not first
    assert registry.find("u", now, Kept) is not registry.get("t")


def test_nodes_that_look_at_once_get_one_object() -> None:
    registry: Registry[Kept] = Registry(most=9)
    control, together, kept = object(), threading.Barrier(8), []

    def look() -> None:
        together.wait()
        kept.append(registry.find("t", control, Kept))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, kept))) == 1


def test_the_oldest_are_forgotten_unless_they_are_active() -> None:
    registry: Registry[Kept] = Registry(most=2, is_active=lambda kept: kept.is_active)
    registry.find("busy", 1, Kept).is_active = True
    for key in ("a", "b", "c"):
        registry.find(key, 1, Kept)
    assert registry.held_keys() == ["busy", "b", "c"]


def test_what_is_dropped_is_made_anew() -> None:
    registry: Registry[Kept] = Registry(most=2)
    first = registry.find("t", 1, Kept)
    registry.drop("t")
    registry.drop("t")
    assert registry.get("t") is None
    assert registry.find("t", 1, Kept) is not first
