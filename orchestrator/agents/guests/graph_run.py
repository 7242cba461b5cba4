"""GraphRun: a guest's graph, driven from its first step to its end, over pauses, kills and questions.

The graph runs as a root graph on a thread of its own. With the thread's saver, that thread is a namespace of the
thread that the worker works for (see `SubSaver`).
"""

from dataclasses import dataclass, replace
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.types import Command, Interrupt, StateSnapshot

from orchestrator.agents.guests.stretch import Stretch
from orchestrator.concurrency import BLOCKING, Bridge
from orchestrator.errors import WorkerError
from orchestrator.reviews.decisions import STOPPED
from orchestrator.reviews.questions import CallInQuestion, question_review
from orchestrator.reviews.review import Decision, Review
from orchestrator.tool_calls.pauses.questions import Questions
from orchestrator.tool_calls.worker_context import WorkerContext

_NOT_FOUND = 404


class StoppedByHumanError(Exception):
    """A human answered a question with stop."""


@dataclass
class GraphRun:
    """One attempt of a graph.

    Args:
        graph: A compiled graph with its saver, or a remote one.
        config: Its config, with a thread of its own.
        call: The worker's task, for questions.
        context: The surroundings of the attempt.
        stretch: Carries out one invocation.
        questions: What it has asked before.
        bridge: How to call the graph.
    """

    graph: Any
    config: RunnableConfig
    call: CallInQuestion
    context: WorkerContext
    stretch: Stretch
    questions: Questions
    bridge: Bridge

    async def run(self, value: Any) -> Any:
        """Return the graph's output.

        Args:
            value: The input, for a graph that has not begun.

        Raises:
            GraphInterrupt: A human must answer.
            StoppedByHumanError: A human stopped the run.
            WorkerError: A human did not answer.
        """
        await self.questions.load()
        self.stretch.counter.spent += self.questions.spent
        snapshot = await self._state()
        # `next` would leave out nodes whose writes are saved and not yet applied.
        if snapshot is not None and not snapshot.tasks:
            return snapshot.values  # a process that was killed before the result was filed had finished it
        if snapshot is not None:
            value = await self._answers(snapshot, stopped_here=False)
        while True:
            output = await self.stretch.invoke(self.graph, value, self.config)
            snapshot = await self._state()
            if snapshot is None or not snapshot.tasks:
                return output
            value = await self._answers(snapshot, stopped_here=True)

    async def _state(self) -> StateSnapshot | None:
        """Return the graph's newest state; None if it has not begun."""
        read = self.graph.get_state if self.bridge is BLOCKING else self.graph.aget_state
        try:
            snapshot: StateSnapshot = await self.bridge.call(read, self.config)
        except Exception as error:
            if getattr(getattr(error, "response", None), "status_code", None) == _NOT_FOUND:  # of a server
                return None
            raise
        return snapshot if snapshot.created_at or snapshot.values or snapshot.tasks else None

    async def _answers(self, snapshot: StateSnapshot, *, stopped_here: bool) -> Command[Any] | None:
        """Return what to go on with: the answers that humans gave, or None where nothing was asked."""
        reviews = {self._question(interrupt).id: interrupt for interrupt in snapshot.interrupts}
        if reviews:
            decisions = await self._decide([self._question(interrupt) for interrupt in snapshot.interrupts])
            given = {review: _answer_of(decision) for review, decision in decisions.items()}
            return Command(resume={reviews[review].id: answer for review, answer in given.items()})
        if stopped_here or self._may_stop_before(snapshot):
            await self._decide([self._stop_question(snapshot)])
        return None

    def _may_stop_before(self, snapshot: StateSnapshot) -> bool:
        """True if the graph's own breakpoints can be the reason why it stands where a killed process left it."""
        before = getattr(self.graph, "interrupt_before_nodes", ())
        after = getattr(self.graph, "interrupt_after_nodes", ())
        is_named = before == "*" or bool(after) or any(name in before for name in snapshot.next)
        return bool(snapshot.next) and is_named

    async def _decide(self, reviews: list[Review]) -> dict[str, Decision]:
        if self.context.oversight.unattended:
            raise WorkerError(f"'{self.call.tool}' asks a human, and there is nobody here to ask")
        decisions = await self.questions.ask(reviews, self.stretch.counter.spent)
        for decision in decisions.values():
            if decision.action == "stop":
                raise StoppedByHumanError(STOPPED)
            if decision.action == "reject":
                raise WorkerError(f"a human did not answer '{self.call.tool}': {decision.text}")
        return decisions

    def _question(self, interrupt: Interrupt) -> Review:
        call = replace(self.call, identity=interrupt.id)
        schema = getattr(interrupt, "response_schema", None)
        return question_review(self.context.actor.thread_id, call, 0, interrupt.value, schema)

    def _stop_question(self, snapshot: StateSnapshot) -> Review:
        names = ", ".join(snapshot.next)
        identity = f"stop-{(snapshot.config.get('configurable') or {}).get('checkpoint_id', '')}"
        call = replace(self.call, identity=identity)
        payload = {"question": f"'{self.call.tool}' stops before {names}. Shall it go on?"}
        return question_review(self.context.actor.thread_id, call, 0, payload)


def _answer_of(decision: Decision) -> Any:
    return decision.text if decision.data is None else decision.data
