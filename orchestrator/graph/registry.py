"""Registry: objects that the nodes of one invocation of the graph share, by key.

Invariants:
- An object belongs to one invocation. LangGraph gives every invocation one `RunControl`, and an object under a key is
  replaced when another invocation asks for that key. So nothing that was signalled before a resume counts after it.
- Looking an object up and creating it is one step under a lock, without suspension.
"""

import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from orchestrator.forks import forget_in_children

T = TypeVar("T")


class Registry(Generic[T]):
    """Shared objects of this process. The oldest are forgotten.

    Args:
        most: Number of objects to keep.
        is_active: True for an object that must be kept although it is old.
    """

    def __init__(self, most: int, is_active: Callable[[T], bool] = lambda _: False) -> None:
        self._most = most
        self._is_active = is_active
        self.forget_parent()
        forget_in_children(self)

    def forget_parent(self) -> None:
        """Begin empty: the objects of a forked child's parent belong to its runs."""
        self._entries: OrderedDict[Hashable, tuple[object, T]] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, key: Hashable, control: object, create: Callable[[], T]) -> T:
        """Return the object of this invocation under a key; create it when there is none. Never suspends."""
        # With an `await` between looking and creating, two workers made a round each, and both waited for ever.
        with self._lock:
            entry = self._entries.get(key)
            # The entry keeps its control alive, so a later control is never mistaken for it.
            if entry is None or entry[0] is not control:
                entry = self._entries[key] = (control, create())
                # A key that is set again keeps its place, and the newest object would be forgotten first.
                self._entries.move_to_end(key)
                self._forget_oldest()
            return entry[1]

    def _forget_oldest(self) -> None:
        # A graph that is invoked without a TaskOrchestrator drops nothing when its run ends.
        for key in list(itertools.islice(self._entries, max(0, len(self._entries) - self._most))):
            if not self._is_active(self._entries[key][1]):
                del self._entries[key]

    def get(self, key: Hashable) -> T | None:
        """Return the object under a key, of whichever invocation; None if there is none."""
        with self._lock:
            entry = self._entries.get(key)
        return None if entry is None else entry[1]

    def held_keys(self) -> list[Hashable]:
        """Return the keys, oldest first."""
        with self._lock:
            return list(self._entries)

    def drop(self, key: Hashable) -> None:
        """Forget the object under a key. Nodes that hold the object may go on using it."""
        with self._lock:
            self._entries.pop(key, None)
