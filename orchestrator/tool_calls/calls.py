"""One tool call: the order of its steps.

1. The policy decides, or a human where the policy asks one.
2. The call is counted against the budget.
3. A call whose effect must happen once is noted in the journal.
4. The tool runs within its time limit.
5. The answer is shortened to fit, kept whole in the shared memory, and marked where it comes from outside.
"""

import math
import time
from dataclasses import dataclass
from functools import cached_property
from typing import cast

from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import ToolCall, ToolMessage
from langchain_core.tools import BaseTool
from langgraph.errors import GraphInterrupt

from orchestrator.budget.budget import BudgetSpentError
from orchestrator.concurrency import Bridge
from orchestrator.events import ToolCalled, ToolReturned, is_heard
from orchestrator.logs import logger
from orchestrator.memory.entry import Entry
from orchestrator.messages import call_problem, mark_stopped
from orchestrator.model_calls.content_blocks import parts_of, text_of, unfolded, with_pictures
from orchestrator.redaction import hide_known, redact
from orchestrator.reviews.decisions import STOPPED, ask_unless_stopped
from orchestrator.reviews.questions import CallInQuestion, repeat_review
from orchestrator.reviews.review import Decision, Review
from orchestrator.text import shorten, sound
from orchestrator.tool_calls.answers import UnusableAnswerError, artifact_of, message_of
from orchestrator.tool_calls.declaration import (
    effect_of,
    is_trusted,
    time_limit_of,
)
from orchestrator.tool_calls.execution import Handler, ToolFailedError, ToolTimeLimitError, execute
from orchestrator.tool_calls.journals.call_facts import CallFacts
from orchestrator.tool_calls.journals.effects import CallJournal, call_identity, is_answered, is_paused, repetition_of
from orchestrator.tool_calls.pauses.answers import Answers, Question
from orchestrator.tool_calls.pauses.asking import Asking
from orchestrator.tool_calls.permission import Permission, PermissionRequest, permission_of
from orchestrator.tool_calls.results import read_memory, reread, shown_text, source_labels
from orchestrator.tool_calls.worker_context import Actor, WorkerContext
from orchestrator.trust import split_data, taint, tainted_by

_ANSWER_CHARS = 2000  # of an answer in an event


_log = logger(__name__)


async def call_tool(bridge: Bridge, request: ToolCallRequest, handler: Handler) -> ToolMessage:
    """Carry out one call, or answer why it is not made. A call that could not be read is asked of nobody.

    Args:
        bridge: How to reach the store and the handler.
        request: The call.
        handler: Makes the call.

    Raises:
        GraphInterrupt: A human must decide first.
    """
    messages, call = request.state["messages"], request.tool_call
    if problem := call_problem(messages, call["id"]):
        return ToolMessage(redact(problem), tool_call_id=call["id"], name=call["name"], status="error")
    if request.tool is None:  # unknown name: LangGraph's tool node answers with the names of the tools
        unknown: ToolMessage = await bridge.call(handler, request)
        return unknown
    context = cast(WorkerContext, request.runtime.context)
    async with context.oversight.parking.call():
        return await _Call(bridge, request, handler, context, request.tool).carry_out()


@dataclass
class _Call:
    bridge: Bridge
    request: ToolCallRequest
    handler: Handler
    context: WorkerContext
    tool: BaseTool
    chars: int = 0  # of the tool's whole answer

    @property
    def actor(self) -> Actor:
        """The worker that calls, and its sub-task."""
        return self.context.actor

    @property
    def call(self) -> ToolCall:
        """The name, arguments and id."""
        return self.request.tool_call

    @cached_property
    def identity(self) -> str:
        """The name of the call in reviews and in the journal."""
        return call_identity(self.request.state["messages"], self.call["id"])

    @cached_property
    def journal(self) -> CallJournal:
        """The call's note in the shared memory."""
        return CallJournal(self.bridge, self.context.memory, self.actor.key, self.identity, self.tool.name)

    @cached_property
    def facts(self) -> CallFacts:
        """The facts of the call for the journal of the thread."""
        is_once = effect_of(self.tool) == "once"
        return CallFacts(self.context, self.call, self.identity, self.journal.key if is_once else "")

    async def carry_out(self) -> ToolMessage:
        messages = self.request.state["messages"]
        request = PermissionRequest(self.bridge, self.context, self.tool, self.call, self.identity, messages)
        permission = await request.ask()
        if permission.args is None:
            refused = self._refused(permission)
            why = refused.text.removeprefix("error: ")
            self.facts.note(self.facts.refused(why))
            return refused
        if permission.args is not self.call["args"]:  # edited by a human
            self.request = self.request.override(tool_call={**self.call, "args": dict(permission.args)})
        try:
            await self.context.allowance.count_tool_call(self.bridge)
        except BudgetSpentError as error:
            return self._error(f"{error}. Give your result from what you have")
        _log.debug("thread %s: sub-task %s calls '%s'", self.actor.thread_id, self.actor.sub_task_id, self.tool.name)
        self.context.emit(ToolCalled(self.actor.sub_task_id, self.tool.name, self.call["args"], self.identity))
        began = time.monotonic()
        answer = await self._answer()
        self.facts.note(self.facts.returned(answer, self.chars, time.monotonic() - began))
        if is_heard(self.context.emit):
            self.context.emit(self._returned(answer, time.monotonic() - began))
        return answer

    async def _answer(self) -> ToolMessage:
        if effect_of(self.tool) == "once":
            if (note := await self.journal.read()) is not None:
                return await self._after_crash(note)
            await self.journal.begin(facts=[self.facts.called()])
        else:
            self.facts.note(self.facts.called())
        return await self._call_and_keep()

    def _returned(self, answer: ToolMessage, seconds: float) -> ToolReturned:
        _, body, _, note = split_data(answer.text)
        # Redacted before it is shortened: half a secret is not recognised any more.
        text = shorten(redact(body + note), _ANSWER_CHARS)
        is_error = answer.status == "error"
        return ToolReturned(
            self.actor.sub_task_id,
            self.tool.name,
            self.identity,
            answer="" if is_error else text,
            error=text.removeprefix("error: ") if is_error else "",
            untrusted=bool(tainted_by([answer])),
            chars=self.chars or len(answer.text),
            seconds=round(seconds, 3),
        )

    async def _call_and_keep(self) -> ToolMessage:
        answers = Answers()
        asking = Asking(self.bridge, self.context, self._in_question())
        while True:
            try:
                return await self._execute(answers)
            except GraphInterrupt as pause:
                questions = await answers.questions_in(self.bridge, pause)
            if not questions:
                why = f"'{self.tool.name}' runs a graph that pauses without a question, which is not possible in a tool"
                return self._tainted(self._error(f"{why}. Do without"))
            decision = await self._ask_for_tool(asking, questions, answers)
            if decision is not None:
                is_automatic = self.context.oversight.auto_approve
                return self._refused(permission_of(decision, self.call, is_automatic=is_automatic))

    async def _ask_for_tool(self, asking: Asking, questions: list[Question], answers: Answers) -> Decision | None:
        """Ask a human what the tool asks. Return a decision that is no answer. Auto-approval cannot answer it."""
        if self.context.oversight.unattended:
            return Decision(review_id="", action="reject", text="there is nobody here to ask")
        if effect_of(self.tool) != "once":
            decision = await asking.answer(questions, answers)
        else:
            repetition = await self.journal.pause()
            decision = await asking.answer(questions, answers)
            await self.journal.begin(repetition)
        return decision

    async def _decision(self, review: Review) -> Decision:
        oversight = self.context.oversight
        return await ask_unless_stopped(self.bridge, oversight.store, review, oversight.parking)

    async def _execute(self, answers: Answers) -> ToolMessage:
        limit, left = time_limit_of(self.tool), self.context.allowance.time_left
        left = math.inf if left is None else left  # without a limit of the run
        try:
            context = self.context if self.tool is read_memory else self.context.users
            answer = await execute(self.bridge, self.request, self.handler, min(limit, left), answers, context)
            message = message_of(answer, self.call)
            message.content = hide_known(message.content)
            return await self._shown(message)
        except ToolTimeLimitError:
            if left < limit:
                return self._tainted(self._error(f"the run's time was over before '{self.tool.name}' answered"))
            return self._tainted(self._error(f"'{self.tool.name}' did not answer within {limit:g} s and was given up"))
        except (ToolFailedError, UnusableAnswerError) as error:
            return self._tainted(self._error(str(error)))

    async def _shown(self, answer: ToolMessage) -> ToolMessage:
        """Return the answer as the worker sees it, after noting the whole of a long answer, or of an effect."""
        if self.tool is read_memory:
            return reread(answer, self.context.memory, str(self.call["args"].get("key", "")))
        answer = unfolded(answer)
        text = text_of(answer)
        self.chars = len(text)
        shown, is_shortened = shown_text(self.tool, text, self.journal.key, self.context.window)
        if is_shortened or effect_of(self.tool) == "once":
            whole = self._tainted(ToolMessage(text, tool_call_id=self.call["id"]))
            facts = [self.facts.returned(whole, self.chars)] if effect_of(self.tool) == "once" else []
            trusted, labels = is_trusted(self.tool), self._labels()
            await self.journal.finish(text, trusted=trusted, tainted_by=labels, facts=facts)
        message = answer.model_copy(update={"content": shown, "artifact": artifact_of(answer)})
        return self._tainted(with_pictures(message, parts_of(answer)))

    def _labels(self) -> tuple[str, ...]:
        return source_labels(self.tool, self.actor.sub_task_id, self.call["args"])

    def _tainted(self, answer: ToolMessage) -> ToolMessage:
        taint(answer, self._labels())
        return answer

    async def _after_crash(self, note: Entry) -> ToolMessage:
        """Answer a call that an earlier process began, with the noted answer or by a human's decision."""
        if is_answered(note):
            shown, _ = shown_text(self.tool, note.text, self.journal.key, self.context.window)
            return self._tainted(ToolMessage(shown, tool_call_id=self.call["id"], name=self.tool.name))
        if is_paused(note):  # it had asked a question, and runs again from its beginning
            self.facts.repetition = repetition_of(note)
            await self.journal.begin(self.facts.repetition)
            return await self._call_and_keep()
        unknown = (
            f"the call of '{self.tool.name}' was begun, and the run was interrupted before it ended: "
            "it may have had its effect or not"
        )
        if self.context.oversight.auto_approve:
            return self._error(unknown + ". It was not repeated")
        repetition = repetition_of(note) + 1
        review = repeat_review(self.actor.thread_id, self._in_question(), unknown, repetition)
        decision = await self._decision(review)
        if decision.action == "approve":
            self.facts.repetition = repetition
            # From here on, another kill is another question.
            await self.journal.begin(repetition, [self.facts.called()])
            return await self._call_and_keep()
        if decision.action == "stop":
            return self._stopped()
        return self._error(f"{unknown}. A human decided not to repeat it: {decision.text or 'no reason given'}")

    def _in_question(self) -> CallInQuestion:
        actor = self.actor
        args = self.call["args"]
        return CallInQuestion(actor.sub_task_id, actor.key, self.identity, self.tool.name, args, actor.task_number)

    def _refused(self, permission: Permission) -> ToolMessage:
        return self._stopped() if permission.is_stop else self._error(permission.refusal)

    def _stopped(self) -> ToolMessage:
        """Answer that the call is not made; the middleware ends the attempt at the mark."""
        return mark_stopped(self._error(STOPPED))

    def _error(self, text: str) -> ToolMessage:
        text = f"error: {redact(sound(text))}"
        return ToolMessage(text, tool_call_id=self.call["id"], name=self.call["name"], status="error")
