"""Asking: the questions of one call of a tool or a function, put to a human as reviews."""

from collections.abc import Sequence
from dataclasses import replace

from orchestrator.budget.spend import Spend
from orchestrator.concurrency import Bridge
from orchestrator.reviews.decisions import ask_unless_stopped
from orchestrator.reviews.questions import CallInQuestion, question_review
from orchestrator.reviews.review import Decision, Review
from orchestrator.tool_calls.pauses.answers import Answers, Question
from orchestrator.tool_calls.pauses.questions import Questions
from orchestrator.tool_calls.worker_context import WorkerContext


class Asking:
    """The questions of one call.

    A tool that runs again asks its own questions again, in their order. A graph that it runs does not ask again, so
    from its first question on, the questions of the call are noted.

    Args:
        bridge: How to reach the store.
        context: The surroundings of the attempt.
        call: The call.
    """

    def __init__(self, bridge: Bridge, context: WorkerContext, call: CallInQuestion) -> None:
        self._bridge = bridge
        self._context = context
        self._call = call
        self._questions = Questions(bridge, context, f"asked-{call.key}-{call.identity}")
        self._is_loaded = False

    async def answer(self, questions: Sequence[Question], answers: Answers) -> Decision | None:
        """Ask questions, and keep the answers for the tool. Return the decision that is no answer, if there is one.

        Args:
            questions: All that are open now, of the tool itself or of graphs.
            answers: Takes the answers.

        Raises:
            GraphInterrupt: A human must answer first.
        """
        if not self._is_loaded:
            await self._questions.load()
            self._is_loaded = True
        reviews = [self._review(question) for question in questions]
        if len(questions) > 1 or questions[0].asker != "tool" or self._questions.is_noted:
            decisions = await self._questions.ask(reviews, Spend())
        else:
            parking = self._context.oversight.parking
            decision = await ask_unless_stopped(self._bridge, self._context.oversight.store, reviews[0], parking)
            self._questions.remember(reviews[0], decision)
            decisions = {reviews[0].id: decision}
        for review, question in zip(reviews, questions, strict=True):
            given = decisions.get(review.id)
            if given is None:
                continue
            if given.action != "answer":
                return given
            answers.give(question, given.text if given.data is None else given.data)
        return None

    def _review(self, question: Question) -> Review:
        call = self._call
        identity = f"{call.identity} {question.place}" if question.place else call.identity
        asking = replace(call, identity=identity)
        schema = question.interrupt.response_schema
        return question_review(self._context.actor.thread_id, asking, question.number, question.interrupt.value, schema)
