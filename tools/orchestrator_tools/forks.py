"""Forked processes: sessions and child processes of the parent are forgotten in the child.

The engine has a module like this one. The tools stand alone, so they have their own.
"""

import ctypes
import os
import weakref
from typing import Protocol


class Forgetful(Protocol):
    """An object that a forked child cannot use as it is."""

    def forget_parent(self) -> None:
        """Let go of what belongs to the parent, without ending it, and be usable in the child."""


_instances: "weakref.WeakSet[Forgetful]" = weakref.WeakSet()


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


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_forget_all)
