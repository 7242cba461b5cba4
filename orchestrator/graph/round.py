"""Round: the super-step in which a plan's unfinished sub-tasks execute, without a barrier between levels.

LangGraph's super-step waits for its slowest node. So the supervisor sends every unfinished sub-task in one
super-step, in topological order, and each worker node waits here, in process, until its own dependencies have
finished. What is durable is told by the shared memory; the signals here only wake those who wait.

Invariants:
- A round belongs to one invocation of the graph. LangGraph gives every invocation one `RunControl`; a round is
  found by thread and round number and is thrown away when its control is another one. So a pause that was signalled
  before a resume is never taken for one of now.
- Looking for a round and creating it is one step without suspension, under a lock.
- A node that enters takes its own earlier signal back; a node that leaves has signalled what became of it.
- A slot is taken only after the dependencies are done: whoever waits holds none. Slots go to the sub-task with the
  longest chain of dependents first.
"""

import heapq
import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Literal

from orchestrator.concurrency import Bridge, Waiter
from orchestrator.memory.shared_memory import SharedMemory

Signal = Literal["succeeded", "failed", "paused", "gone"]
_MOST_ROUNDS = 4096


class Round:
    """The signals and slots of one round, and the view of the shared memory that its workers have in common."""

    def __init__(self, control: object, memory: SharedMemory, memory_lock: object, slots: int) -> None:
        self.control = control
        self.memory = memory
        self.memory_lock = memory_lock
        self.active = 0
        self._slots = slots
        self._queue: list[tuple[int, int, Waiter]] = []
        self._arrival = itertools.count()
        self._signals: dict[str, Signal] = {}
        self._listeners: dict[str, list[Waiter]] = {}
        self._lock = threading.Lock()

    def enter(self, sub_task_id: str) -> None:
        """A worker node begins to work on this sub-task."""
        with self._lock:
            self.active += 1
            self._signals.pop(sub_task_id, None)

    def leave(self, sub_task_id: str, signal: Signal) -> None:
        """The node ends; wakes those who wait for it."""
        with self._lock:
            self.active -= 1
            self._signals[sub_task_id] = signal
            listeners = self._listeners.pop(sub_task_id, [])
        for waiter in listeners:
            waiter.wake()

    def signal_of(self, sub_task_id: str) -> Signal | None:
        """What became of a sub-task in this round; None while nothing has."""
        return self._signals.get(sub_task_id)

    async def wait_for_any(self, bridge: Bridge, sub_task_ids: Iterable[str]) -> None:
        """Returns when one of these has signalled; at once when one already has."""
        waiter = bridge.waiter()
        with self._lock:
            for task_id in sub_task_ids:
                if task_id in self._signals:
                    return
                self._listeners.setdefault(task_id, []).append(waiter)
        await waiter.wait()

    async def acquire_slot(self, bridge: Bridge, rank: int) -> None:
        """Takes one of the slots for parallel workers, or waits for it; higher ranks go first."""
        with self._lock:
            if self._slots > 0 and not self._queue:
                self._slots -= 1
                return
            waiter = bridge.waiter()
            place = (-rank, next(self._arrival), waiter)
            heapq.heappush(self._queue, place)
        try:
            await waiter.wait()
        except BaseException:
            with self._lock:
                waiting = place in self._queue
                if waiting:
                    self._queue.remove(place)
                    heapq.heapify(self._queue)
            if not waiting:  # the slot was handed over just as the wait was cancelled
                self.release_slot()
            raise

    def release_slot(self) -> None:
        """Gives the slot back, or hands it to the first who waits."""
        with self._lock:
            if not self._queue:
                self._slots += 1
                return
            waiter = heapq.heappop(self._queue)[2]
        waiter.wake()


class Rounds:
    """The rounds of this process, by thread and round number."""

    def __init__(self) -> None:
        self._rounds: OrderedDict[tuple[str, int], Round] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, key: tuple[str, int], control: object, create: Callable[[], Round]) -> Round:
        """The round of this invocation; made when there is none. Never suspends."""
        with self._lock:
            found = self._rounds.get(key)
            if found is None or found.control is not control:
                found = self._rounds[key] = create()
                self._rounds.move_to_end(key)
                self._forget_oldest()
            return found

    def _forget_oldest(self) -> None:
        """Rounds of threads that were never resumed here must not pile up."""
        for key in list(itertools.islice(self._rounds, max(0, len(self._rounds) - _MOST_ROUNDS))):
            if self._rounds[key].active == 0:
                del self._rounds[key]

    def drop(self, thread_id: str) -> None:
        """Forgets the finished rounds of a thread."""
        with self._lock:
            for key in [k for k, r in self._rounds.items() if k[0] == thread_id and r.active == 0]:
                del self._rounds[key]


ROUNDS = Rounds()
"""One registry a process: worker nodes of one invocation must meet, whichever compiled graph they belong to."""
