"""Forked processes: forgetting state of the parent that is useless in the child.

After `os.fork` the child has one thread, and copies of locks that other threads may have held. Servers (gunicorn with
`--preload`), Celery and `multiprocessing` fork programs that have used the engine already. So the child forgets all
threads, locks, connections and child processes, and makes them anew when they are next used.
"""

import os
import weakref
from collections.abc import Callable
from typing import Any


def after_fork(forget: Callable[[], object]) -> None:
    """Call a function in each forked child, before anything else runs there. Does nothing on Windows."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=forget)


def after_fork_of(instance: Any, method: Callable[[Any], object]) -> None:
    """Call a function with an object in each forked child, for as long as the object lives.

    Args:
        instance: The object.
        method: The function, such as an unbound method of the class. It must hold no reference to the object.
    """
    reference = weakref.ref(instance)

    def forget() -> None:
        if (living := reference()) is not None:
            method(living)

    after_fork(forget)
