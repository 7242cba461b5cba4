"""Forked processes: forgetting state of the parent that is useless in the child.

After `os.fork` the child has one thread, and copies of locks that other threads may have held. Servers (gunicorn with
`--preload`), Celery and `multiprocessing` fork programs that have used the engine already. So the child forgets all
threads, locks, connections and child processes, and makes them anew when they are next used.
"""

import ctypes
import os
import weakref
from collections.abc import Callable
from typing import Protocol


class Forgetful(Protocol):
    """An object that a forked child cannot use as it is."""

    def forget_parent(self) -> None:
        """Let go of what belongs to the parent, without closing it, and be usable in the child."""


# One hook for all objects, since a hook can never be taken back.
_instances: "weakref.WeakSet[Forgetful]" = weakref.WeakSet()


def after_fork(forget: Callable[[], object]) -> None:
    """Call a function in each forked child, before anything else runs there. Does nothing on Windows."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=forget)


def forget_in_children(instance: Forgetful) -> None:
    """Call `forget_parent` of an object in each forked child, for as long as the object lives."""
    _instances.add(instance)


def keep_for_ever(*objects: object) -> None:
    """Never collect these objects, not even when the interpreter ends.

    Collecting them would close what a forked child shares with its parent: connections, selectors, other processes.
    """
    for each in objects:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(each))


def _forget_all() -> None:
    for instance in list(_instances):
        instance.forget_parent()


after_fork(_forget_all)
