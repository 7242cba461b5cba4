"""Listeners: functions of this process that are called when a decision on a thread is recorded in it."""

import contextlib
import threading
from collections.abc import Callable, Iterator

from orchestrator.forks import forget_in_children


class _Listeners:
    def __init__(self) -> None:
        self.forget_parent()
        forget_in_children(self)

    def forget_parent(self) -> None:
        """Begin empty: the parent's functions wake its own event loops."""
        self._by_thread: dict[str, list[Callable[[], object]]] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def listening(self, thread_id: str, wake: Callable[[], object]) -> Iterator[None]:
        """Call a function for each decision inside the block, on the thread of whoever decides."""
        with self._lock:
            self._by_thread.setdefault(thread_id, []).append(wake)
        try:
            yield
        finally:
            with self._lock:
                listeners = self._by_thread.get(thread_id, [])
                if wake in listeners:  # a forked child has forgotten it
                    listeners.remove(wake)
                if not listeners:
                    self._by_thread.pop(thread_id, None)

    def tell(self, thread_id: str) -> None:
        """Call the functions that listen to a thread."""
        with self._lock:
            listeners = list(self._by_thread.get(thread_id, ()))
        for wake in listeners:
            with contextlib.suppress(RuntimeError):  # an event loop that was closed under its tasks
                wake()


LISTENERS = _Listeners()
