"""Journals of runs that never were: plans of any shape, with slots, questions, retries and kills."""

import heapq
import math
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from orchestrator.journal.record import JournalRecord
from orchestrator.reports.history.reading import histories
from orchestrator.reports.history.task import TaskHistory

_ASKS_FOR_ANSWER = "The results of the sub-tasks:\nWrite the final answer to the task."
BEGAN = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


class SimulatedRun:
    """The journal of a run, written in order of time.

    Args:
        needs: For each sub-task, the numbers of earlier ones that it needs.
        seconds: For each sub-task, the durations of its requests and of its tool call.
        slots: The number of workers at once.
    """

    def __init__(self, needs: list[list[int]], seconds: list[list[float]], slots: int) -> None:
        self.needs, self.seconds, self.slots = needs, seconds, slots
        self._events: list[tuple[float, int, str, str, dict[str, Any]]] = []

    def tell(self, at: float, kind: str, sub_task: str = "", **data: Any) -> None:
        """Tell of something at a time, in seconds."""
        heapq.heappush(self._events, (at, len(self._events), kind, sub_task, data))

    def request(self, at: float, took: float, sub_task: str, call: str, **end: Any) -> float:
        """Tell of a request, and return its end."""
        prompt = [{"role": "human", "text": _ASKS_FOR_ANSWER}] if call == "answer" else []
        self.tell(at, "model_asked", sub_task, agent=sub_task or "supervisor", model="m", call=call, prompt=prompt)
        kind = "model_failed" if "error" in end else "model_answered"
        self.tell(at + took, kind, sub_task, call=call, spent={"input_tokens": 10}, **end)
        return at + took

    def run(self, until: float = math.inf) -> TaskHistory:
        """Carry it out, and return its history, as it is after some seconds."""
        names = [f"t{number}" for number in range(len(self.needs))]
        plan = [
            {"id": name, "target_agent": "w", "description": name, "depends_on": [f"t{dep}" for dep in deps]}
            for name, deps in zip(names, self.needs, strict=True)
        ]
        self.tell(0, "run_began", task="x", budget={"tokens": 1000})
        planned = self.request(0.1, 1, "", "plan")
        self.tell(planned, "plan_taken", plan={"sub_tasks": plan})
        ends: dict[int, float] = {}
        free = [planned] * self.slots
        for number, deps in enumerate(self.needs):
            name, ready = names[number], max([planned, *(ends[dep] for dep in deps)])
            remaining = sorted(deps, key=lambda dep: ends[dep])
            at = planned
            while remaining and ends[remaining[-1]] > planned:
                self.tell(at, "sub_task_waits", name, reason="dependency", names=[names[dep] for dep in remaining])
                at = ends[remaining.pop(0)]
            slot = heapq.heappop(free)
            if slot > ready:
                self.tell(ready, "sub_task_waits", name, reason="slot", names=[])
            ends[number] = self._work(name, max(slot, ready), self.seconds[number])
            heapq.heappush(free, ends[number])
        last = max(ends.values(), default=planned)
        answered = self.request(last, 1, "", "answer", text="it is so")
        self.tell(answered, "run_ended", status="done")
        records = [
            JournalRecord(seq, BEGAN + timedelta(seconds=at), "t", kind, sub_task, 1 if sub_task else 0, data=data)
            for seq, (at, _, kind, sub_task, data) in enumerate(sorted(self._events, key=lambda each: each[:2]), 1)
            if at <= until
        ]
        return histories(records)[-1]

    def _work(self, name: str, at: float, seconds: list[float]) -> float:
        self.tell(at, "sub_task_started", name, agent="w", description=name)
        first, tool, last = seconds
        at = self.request(at, first, name, f"{name}-1")
        for number in range(2):  # two tool calls side by side
            self.tell(at, "tool_called", name, tool="look", call=f"c{number}", args={})
            self.tell(at + tool * (number + 1) / 2, "tool_returned", name, tool="look", call=f"c{number}", answer="y")
        at = self.request(at + tool, last, name, f"{name}-2")
        self.tell(at, "sub_task_ended", name, status="succeeded", text="r", key=name)
        return at


@st.composite
def simulated_runs(draw: st.DrawFn) -> TaskHistory:
    """Return the history of a run of some plan."""
    count = draw(st.integers(1, 9))
    needs = [
        draw(st.lists(st.integers(0, number - 1), max_size=3, unique=True)) if number else [] for number in range(count)
    ]
    duration = st.floats(0.1, 30).map(lambda seconds: round(seconds, 2))
    seconds = [draw(st.lists(duration, min_size=3, max_size=3)) for _ in range(count)]
    return SimulatedRun(needs, seconds, draw(st.integers(1, 4))).run()
