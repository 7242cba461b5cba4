"""Rework: sub-tasks that a verdict sends back while the rest of their round goes on.

A reviewer that sends a result back, or a human who rejects one, starts the next attempt at once. The nodes of the round
carry it out: a node stays until no verdict can change its sub-task any more, and executes one version of the sub-task
after the other. A version is known by its key, and everything that is built on a sub-task gets a new key with it.

Invariants:
- The decision is a note in the shared memory, written together with the retraction of the results that it replaces.
  Nothing of the new version runs before the note is there. A process that resumes the round reads its versions there.
- The next attempt waits for the other reviewers that are reading the same result, so that one attempt answers all of
  them. It does not wait for a reviewer that waits for a human or that has not begun.
- A version that is replaced while its agent works ends before its next model or tool call. No call is cut off.
- Each rework uses up an attempt of its sub-task, and its round is one higher than those of the result and of the
  verdict. So a round has as much rework as a sequence of rounds would have.
"""

import json
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from graphlib import TopologicalSorter
from typing import Any, Literal, cast

from langgraph.errors import GraphBubbleUp

from orchestrator.concurrency import Bridge
from orchestrator.events import Emit, SubTaskChanged
from orchestrator.graph.payload import Payload
from orchestrator.graph.saved.rework_notes import Rework, note_key, reworks_in
from orchestrator.journal.fact import Fact
from orchestrator.memory.entry import Entry
from orchestrator.memory.shared_memory import SharedMemory
from orchestrator.planning.assessment import can_retry, joined_feedback
from orchestrator.planning.dependencies import key_of
from orchestrator.planning.outcome import Outcome

State = Literal["waiting", "working", "asking", "finished"]


class SupersededError(GraphBubbleUp):
    """Another version of the sub-task takes the place of the one that runs."""

    # LangGraph 1.2 passes a GraphBubbleUp on as it is. It saves any other exception as an error of the step.


@dataclass
class Place:
    """A node of the round, with the version of its sub-task that counts.

    Args:
        payload: The sub-task in this version.
        reviews: True if its agent judges the results that it depends on.
        round: The number of the round of this version.
        version: The number of versions before this one.
        state: How far the node is with this version.
        outcome: What this version ended with.
        wakes: Wake what the node waits with, when another version takes the place of this one.
    """

    payload: Payload
    reviews: bool
    round: int
    version: int = 0
    state: State = "waiting"
    outcome: Outcome | None = None
    wakes: list[Callable[[], object]] = field(default_factory=list)

    def demand(self) -> tuple[str, str] | None:
        """Return the sub-task that the outcome sends back, and the feedback."""
        if self.state != "finished" or self.outcome is None:
            return None
        if self.outcome.rejected:
            return self.payload.sub_task.id, self.outcome.rejected
        verdict = self.outcome.verdict
        if self.outcome.status == "succeeded" and verdict is not None and verdict.verdict == "changes_requested":
            return verdict.sub_task_id, verdict.reason
        return None


class Reworks:
    """The versions of the sub-tasks of one round.

    Args:
        memory: The round's view of the shared memory.
        number: The number of the round.
        lock: Held while rework begins; of the bridge's kind.
        attempts: Most tries at one sub-task.
        rounds: Most rounds of the run.
    """

    def __init__(self, memory: SharedMemory, number: int, lock: object, attempts: int, rounds: int) -> None:
        self._memory = memory
        self._attempts = attempts
        self._rounds = rounds
        self._number = number
        self._lock = lock
        self._places: dict[str, Place] = {}
        self._reviewers: dict[str, list[Place]] = {}
        self._beginning = 0
        self._is_restored = False
        self._is_ending = False

    def enter(self, payload: Payload, *, reviews: bool) -> Place:
        """Add a node."""
        place = Place(payload, reviews, payload.round)
        self._places[payload.sub_task.id] = place
        for dep in payload.needs if reviews else ():
            self._reviewers.setdefault(dep, []).append(place)
        return place

    def can_follow(self, outcome: Outcome) -> bool:
        """True if the round may have rework after this outcome."""
        return bool(self._reviewers or outcome.rejected)

    def restore(self) -> None:
        """Take over the rework that an earlier process has begun. All nodes have entered, and the memory is loaded."""
        if self._is_restored:
            return
        self._is_restored = True
        for rework in reworks_in(self._memory.seen(note_key(self._number))):
            self._apply(rework)

    def finish(self, place: Place, outcome: Outcome) -> None:
        """Note what the version of a node has ended with."""
        place.state, place.outcome = "finished", outcome
        # The run ends with what it has: a result that was sent back now would be missing.
        self._is_ending = self._is_ending or outcome.stop or bool(outcome.limit)

    def is_settled(self, place: Place) -> bool:
        """True if no verdict can replace the finished version of a node any more.

        The verdict of a reviewer can send back what the reviewer depends on. So nothing changes once all sub-tasks have
        finished that the sub-task depends on, their reviewers, and everything that these depend on, and so on.
        """
        if self._beginning or not self._reviewers:
            return not self._beginning
        related, pending = set(), [place]
        while pending:
            each = pending.pop()
            if each.state != "finished":
                return False
            if each.payload.sub_task.id not in related:
                related.add(each.payload.sub_task.id)
                # Sub-tasks without a place had finished before the round, or their nodes have returned.
                pending += [self._places[dep] for dep in each.payload.needs if dep in self._places]
                pending += self._reviewers.get(each.payload.sub_task.id, ())
        return True

    # -- sending back ----------------------------------------------------------------------------------------------

    def next_rework(self) -> Rework | None:
        """Return rework that can begin now."""
        if self._is_ending:
            return None
        demands: dict[str, list[tuple[Place, str]]] = {}
        for place in self._places.values():
            if (demand := place.demand()) is not None and demand[0] in self._places:
                demands.setdefault(demand[0], []).append((place, demand[1]))
        for task_id, of_task in demands.items():
            target = self._places[task_id]
            if target.state != "finished" or self._is_being_read(target):
                continue
            number = 1 + max(target.round, *(place.round for place, _ in of_task))
            texts = [text for _, text in of_task if can_retry(target.payload.sub_task, text, self._attempts)]
            if texts and number <= self._rounds:
                feedback = joined_feedback(texts)
                return Rework(task_id, feedback, number, self._new_keys(target, feedback))
        return None

    def _is_being_read(self, target: Place) -> bool:
        return any(each.state == "working" for each in self._reviewers.get(target.payload.sub_task.id, ()))

    def _new_keys(self, target: Place, feedback: str) -> dict[str, tuple[str, str]]:
        needs = {task_id: place.payload.sub_task.depends_on for task_id, place in self._places.items()}
        first = target.payload.sub_task.id
        keys: dict[str, str] = {}
        for task_id in TopologicalSorter(needs).static_order():
            place = self._places.get(task_id)
            if place is None or (task_id != first and not any(dep in keys for dep in place.payload.needs)):
                continue
            sub_task = place.payload.sub_task.retry(feedback) if task_id == first else place.payload.sub_task
            keys[task_id] = key_of(sub_task, {**place.payload.needs, **_within(keys, place.payload.needs)})
        return {task_id: (self._places[task_id].payload.key, key) for task_id, key in keys.items()}

    async def begin(self, bridge: Bridge, emit: Emit) -> list[Place]:
        """Begin all rework that can begin now, durably. Return the places that have another version."""
        changed: list[Place] = []
        if self.next_rework() is None:
            return changed
        self._beginning += 1  # before the first `await`: no node may take its result for settled meanwhile
        try:
            async with cast(AbstractAsyncContextManager[None], self._lock):
                while (rework := self.next_rework()) is not None:
                    await self._write(bridge, rework)
                    # No `await` between the note and the versions: what runs in between would take the old ones.
                    changed += self._apply(rework)
                    self._tell(emit, rework)
        finally:
            self._beginning -= 1
        return changed

    async def _write(self, bridge: Bridge, rework: Rework) -> None:
        key = note_key(self._number)
        text = json.dumps([each.plain() for each in (*reworks_in(self._memory.seen(key)), rework)])
        former = (self._memory.seen(before) for before, _ in rework.keys.values())
        retracted = [each.with_status("retracted") for each in former if each is not None and each.is_result]
        place = self._places[rework.sub_task_id]
        data: dict[str, Any] = {"feedback": rework.feedback, "round": rework.round, "again": list(rework.keys)}
        # A human who rejects a result makes its own sub-task demand it.
        demands = {name: each.demand() for name, each in self._places.items() if name != rework.sub_task_id}
        if reviewers := [name for name, demand in demands.items() if demand and demand[0] == rework.sub_task_id]:
            data["reviewers"] = reviewers
        sent_back = Fact("sub_task_sent_back", rework.sub_task_id, place.payload.sub_task.attempt, data=data)
        await self._memory.write(bridge, Entry(key=key, text=text, status="note"), *retracted, facts=[sent_back])

    def _tell(self, emit: Emit, rework: Rework) -> None:
        for task_id in rework.keys:
            feedback = rework.feedback if task_id == rework.sub_task_id else ""
            attempt = self._places[task_id].payload.sub_task.attempt
            emit(SubTaskChanged(task_id, "pending", attempt, error=feedback))

    def _apply(self, rework: Rework) -> list[Place]:
        changed = []
        after = {task_id: pair[1] for task_id, pair in rework.keys.items()}
        for task_id, place in self._places.items():
            payload = place.payload
            needs = {**payload.needs, **_within(after, payload.needs)}  # on a resume also of what is not replaced
            if task_id not in rework.keys or payload.key != rework.keys[task_id][0]:
                place.payload = replace(payload, needs=needs)
                continue
            # Only the sub-task that is sent back is told of its result before: those of the others were not refused.
            place.payload = replace(payload, key=after[task_id], needs=needs, round=rework.round, previous="")
            if task_id == rework.sub_task_id:
                sub_task = payload.sub_task.retry(rework.feedback)
                place.payload = replace(place.payload, sub_task=sub_task, previous=payload.key)
            place.round, place.state, place.outcome = rework.round, "waiting", None
            place.version += 1
            changed.append(place)
        return changed


def _within(keys: Mapping[str, str], needs: Collection[str]) -> dict[str, str]:
    return {task_id: key for task_id, key in keys.items() if task_id in needs}
