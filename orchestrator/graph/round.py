"""Round: the super-step in which a plan's unfinished sub-tasks execute, without a barrier between levels.

LangGraph's super-step waits for its slowest node. So the supervisor sends every unfinished sub-task in one
super-step, in topological order, and each worker node waits here, in process, until its own dependencies have
finished. The durable outcomes are in the shared memory; the signals here only wake the nodes that wait.

Invariants:
- A round belongs to one invocation of the graph; `graph.invocation` finds and drops rounds.
- A node that enters withdraws the signal of its sub-task. A node that leaves sets it.
- A node takes a slot only after its dependencies are done, so a waiting node holds none. Slots go first to the
  sub-task with the longest chain of dependents.
- `working` counts what goes on without a human: nodes, and tool calls of one node side by side. What waits for a
  dependency or for a human does not count. It counts again from the moment of the wake-up, before it runs: in between,
  a round at work would look quiet.
- When nothing works any more, everything that waits for a human is sent away, to pause the run. So a round always ends.
- A node whose sub-task may still be sent back waits too, with a finished result; see `graph.rework`.
"""

import heapq
import itertools
import threading
from collections.abc import Callable, Iterable
from typing import Literal

from orchestrator.concurrency import Bridge, Waiter
from orchestrator.events import Emit
from orchestrator.graph.rework import Reworks
from orchestrator.memory.shared_memory import SharedMemory

Signal = Literal["succeeded", "failed", "paused", "gone"]


class Idle:
    """Something of a round that waits for a dependency, for a human or for a verdict.

    Args:
        waiter: Wakes it.
    """

    def __init__(self, waiter: Waiter) -> None:
        self.waiter = waiter
        self.is_waiting = True
        self.is_sent_away = False


class Round:
    """The signals and slots of one round, and the one view of the shared memory that its workers use.

    Args:
        memory: The view of the shared memory.
        memory_lock: Held while the view is read; of the bridge's kind.
        slots: Most workers at once.
        reworks: The versions of its sub-tasks; without it, nothing is sent back.
        is_resumed: True if the round began in an earlier invocation, whose finished nodes do not run again.
    """

    def __init__(
        self,
        memory: SharedMemory,
        memory_lock: object,
        slots: int,
        reworks: Reworks | None = None,
        *,
        is_resumed: bool = False,
    ) -> None:
        self.memory = memory
        self.reworks = reworks or Reworks(memory, 0, memory_lock, attempts=1, rounds=0)
        self.memory_lock = memory_lock
        self.is_resumed = is_resumed
        self.active = 0
        self.working = 0
        self._slots = slots
        self._queue: list[tuple[int, int, Waiter]] = []
        self._arrival = itertools.count()
        self._signals: dict[str, Signal] = {}
        self._listeners: dict[str, list[Idle]] = {}
        self._parked: list[Idle] = []
        self._held: list[Idle] = []
        self._lock = threading.Lock()

    def enter(self, sub_task_id: str) -> None:
        """Count a worker node in, and withdraw what an earlier node signalled of this sub-task."""
        with self._lock:
            self.active += 1
            self.working += 1
            self._signals.pop(sub_task_id, None)

    def leave(self, sub_task_id: str, signal: Signal) -> None:
        """Count a worker node out, and wake the nodes that wait for its sub-task."""
        with self._lock:
            self.active -= 1
            self._signals[sub_task_id] = signal
            for idle in self._listeners.pop(sub_task_id, []):
                self._wake(idle)
            self._rest()

    def signal(self, sub_task_id: str, signal: Signal) -> None:
        """Set the signal of a node that stays, and wake the nodes that wait for its sub-task."""
        with self._lock:
            self._signals[sub_task_id] = signal
            for idle in self._listeners.pop(sub_task_id, []):
                self._wake(idle)

    def withdraw(self, sub_task_ids: Iterable[str]) -> None:
        """Withdraw the signals of sub-tasks that are done again, and let the nodes that wait for them look again."""
        with self._lock:
            for sub_task_id in sub_task_ids:
                self._signals.pop(sub_task_id, None)
                for idle in self._listeners.pop(sub_task_id, []):
                    self._wake(idle)

    def signal_of(self, sub_task_id: str) -> Signal | None:
        """Return how a sub-task ended in this round, or None while it has not."""
        return self._signals.get(sub_task_id)

    async def wait_for_any(self, bridge: Bridge, sub_task_ids: Iterable[str]) -> None:
        """Wait until one of these has signalled; return at once when one already has."""
        idle = Idle(bridge.waiter())
        # Under the lock, since a signal between the look and the registration would be missed for ever.
        with self._lock:
            for task_id in sub_task_ids:
                if task_id in self._signals:
                    return
            for task_id in sub_task_ids:
                self._listeners.setdefault(task_id, []).append(idle)
            self._rest()
        await self._wait(idle)

    # -- waiting for a human ---------------------------------------------------------------------------------------

    def begin_work(self) -> None:
        """Count further work in, beside the node that it belongs to."""
        with self._lock:
            self.working += 1

    def end_work(self) -> None:
        """Count that work out."""
        with self._lock:
            self._rest()

    def park(self, idle: Idle) -> None:
        """Count work out that waits for a human, until `unpark` or until nothing works any more."""
        with self._lock:
            self._parked.append(idle)
            self._rest()

    def unpark(self, idle: Idle) -> None:
        """Wake parked work, which has its answer."""
        with self._lock:
            self._wake(idle)

    async def begin_rework(self, bridge: Bridge, emit: Emit) -> None:
        """Begin all rework that can begin, and let the nodes that it concerns go on with their next version."""
        changed = await self.reworks.begin(bridge, emit)
        if changed:
            self.withdraw(place.payload.sub_task.id for place in changed)
            for wake in [wake for place in changed for wake in place.wakes]:
                wake()
        self.look_again()

    async def hold(self, bridge: Bridge) -> bool:
        """Wait with a finished result until `look_again`. Return False if nothing works any more."""
        idle = Idle(bridge.waiter())
        with self._lock:
            self._held.append(idle)
        self.park(idle)
        return await self.wait_parked(idle)

    def look_again(self) -> None:
        """Wake all that waits with a finished result."""
        with self._lock:
            for idle in self._held:
                self._wake(idle)
            self._held = []

    async def wait_parked(self, idle: Idle) -> bool:
        """Wait as parked work. Return False if it was sent away, since nothing works any more."""
        await self._wait(idle)
        return not idle.is_sent_away

    async def _wait(self, idle: Idle) -> None:
        try:
            await idle.waiter.wait()
        finally:
            with self._lock:  # a cancelled wait was never woken, and its node counts itself out when it leaves
                self._wake(idle)

    def _wake(self, idle: Idle) -> None:
        """Wake idle work and count it in, once. The caller holds the lock."""
        if not idle.is_waiting:
            return
        idle.is_waiting = False
        if idle in self._parked:
            self._parked.remove(idle)
        self.working += 1
        idle.waiter.wake()

    def _rest(self) -> None:
        """Count work out. Send everything that is parked away when it was the last. The caller holds the lock."""
        self.working -= 1
        if self.working == 0:
            for idle in tuple(self._parked):
                idle.is_sent_away = True
                self._wake(idle)

    async def acquire_slot(self, bridge: Bridge, rank: int, on_wait: Callable[[], object] = lambda: None) -> None:
        """Take one of the slots for parallel workers, or wait for it. Higher ranks go first.

        Args:
            bridge: How to wait.
            rank: The rank of the sub-task.
            on_wait: Called if no slot is free.
        """
        # LangGraph's own `max_concurrency` counts the nodes that wait for their dependencies, too.
        with self._lock:
            if self._slots > 0 and not self._queue:
                self._slots -= 1
                return
            waiter = bridge.waiter()
            # Equal ranks go in the order of their arrival: waiters themselves cannot be compared.
            claim = (-rank, next(self._arrival), waiter)
            heapq.heappush(self._queue, claim)
        try:
            on_wait()
            await waiter.wait()
        except BaseException:  # a cancelled task ends here too
            with self._lock:
                is_waiting = claim in self._queue
                if is_waiting:
                    self._queue.remove(claim)
                    heapq.heapify(self._queue)
            if not is_waiting:  # the slot was handed over just as the wait was cancelled
                self.release_slot()
            raise

    def release_slot(self) -> None:
        """Give the slot back, or hand it to the first node that waits."""
        with self._lock:
            if not self._queue:
                self._slots += 1
                return
            waiter = heapq.heappop(self._queue)[2]
        waiter.wake()
