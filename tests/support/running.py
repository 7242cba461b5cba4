"""A run on a thread of the test's own, whose events the test can wait for."""

import threading
from collections.abc import Callable
from typing import Any

from orchestrator import Plan
from orchestrator.events import Event, ReviewAsked, SubTaskChanged

LIMIT_S = 30.0


class Watcher:
    """Notes the events of a run, and lets a test wait for one."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._changed = threading.Condition()

    def __call__(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def until(self, holds: Callable[[Event], bool]) -> Event:
        """Wait for an event."""
        with self._changed:
            assert self._changed.wait_for(lambda: any(map(holds, self.events)), LIMIT_S), "it never came"
            return next(filter(holds, self.events))

    def until_status(self, id: str, status: str) -> None:
        """Wait until a sub-task has a status."""
        self.until(lambda event: isinstance(event, SubTaskChanged) and (event.id, event.status) == (id, status))

    def has_status(self, id: str, status: str) -> bool:
        """True if a sub-task has had a status."""
        return any(isinstance(e, SubTaskChanged) and (e.id, e.status) == (id, status) for e in self.events)

    def statuses(self, id: str) -> list[str]:
        """Return the statuses that a sub-task has had, in order."""
        return [e.status for e in self.events if isinstance(e, SubTaskChanged) and e.id == id]

    def until_asked(self, sub_task_id: str) -> str:
        """Wait for the review of a sub-task, and return its id."""
        event = self.until(lambda e: isinstance(e, ReviewAsked) and e.review.sub_task_id == sub_task_id)
        assert isinstance(event, ReviewAsked)
        return event.review.id

    @property
    def asked(self) -> list[str]:
        """The ids of the reviews that were announced."""
        return [event.review.id for event in self.events if isinstance(event, ReviewAsked)]


class Running:
    """A call of `run` or `resume` on a thread of its own."""

    def __init__(self, start: Callable[..., Any], *args: Any, **options: Any) -> None:
        self.seen = Watcher()
        self._ended: list[Any] = []
        self._thread = threading.Thread(target=self._run, args=(start, args, options), daemon=True)
        self._thread.start()

    def _run(self, start: Callable[..., Any], args: Any, options: Any) -> None:
        try:
            self._ended.append(start(*args, on_event=self.seen, **options))
        except Exception as error:  # noqa: BLE001 - `result` raises it
            self._ended.append(error)

    def result(self) -> Any:
        """Wait for the end, and return the run."""
        self._thread.join(LIMIT_S)
        assert self._ended, "the run did not end"
        if isinstance(self._ended[0], Exception):
            raise self._ended[0]
        return self._ended[0]


def planned(*steps: dict[str, Any]) -> Plan:
    """Return a plan of these steps."""
    return Plan.parse(list(steps))
