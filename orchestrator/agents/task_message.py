"""The first message of an attempt: the task, results of other sub-tasks, feedback, and the sub-task itself."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.tools import BaseTool

from orchestrator.agents.assignment import Assignment
from orchestrator.concurrency import Bridge
from orchestrator.journal.fact import Fact
from orchestrator.memory.briefing import brief, fit
from orchestrator.memory.conversation import Conversation
from orchestrator.messages import mark_steered, steered_up_to
from orchestrator.reviews.instructions import instructions_text
from orchestrator.reviews.saved.instructions import Instruction
from orchestrator.text import excerpt
from orchestrator.tool_calls.worker_context import WorkerContext
from orchestrator.trust import merged, taint

_LEAST_TASK_TOKENS = 64
_NO_CONVERSATION = Conversation()


async def task_message(
    bridge: Bridge, assignment: Assignment, context: WorkerContext, *, is_small: bool
) -> HumanMessage:
    """Return the first message of an attempt, marked with the sources from outside that it rests on.

    Args:
        bridge: How to recall results.
        assignment: The sub-task.
        context: The surroundings of the attempt.
        is_small: True for a small model, which would do the whole task at once if it saw it.
    """
    conversation = _NO_CONVERSATION if is_small else Conversation.of(context.memory)
    briefing = await brief(bridge, context.memory, assignment.sub_task, assignment.needs, context.window // 3)
    parts = [
        f"Earlier in this conversation:\n{conversation.text(_conversation_tokens(context.window))}"
        if conversation
        else "",
        "" if is_small else _whole_task(assignment, context.window),
        f"Results of other sub-tasks:\n{briefing.text}" if briefing.text else "",
        _previous_result(assignment, context),
        _feedback(assignment),
        instructions_text(assignment.instructions, context.window // 8),
        _sub_task(assignment),
    ]
    message = HumanMessage("\n\n".join(part for part in parts if part))
    taint(message, merged(briefing.tainted_by, assignment.tainted_by, conversation.tainted_by))
    if assignment.instructions:
        mark_steered(message, assignment.instructions[-1].number)
    return message


def shorter_first(
    assignment: Assignment, context: WorkerContext, *, is_small: bool
) -> Callable[[Bridge, int], Awaitable[HumanMessage]]:
    """Return a function that makes the first message anew for a smaller window, and only once for each.

    Args:
        assignment: The sub-task.
        context: The surroundings of the attempt.
        is_small: As for `task_message`.
    """
    made: dict[int, HumanMessage] = {}

    async def make(bridge: Bridge, window: int) -> HumanMessage:
        if window not in made:
            made[window] = await task_message(bridge, assignment, replace(context, window=window), is_small=is_small)
        return made[window]

    return make


def news(instructions: Sequence[Instruction], messages: Sequence[BaseMessage], window: int) -> list[HumanMessage]:
    """Return a message with the instructions that a conversation does not hold yet; none if it holds all of them.

    Args:
        instructions: What humans have told the run so far.
        messages: The conversation.
        window: Tokens that a prompt may have.
    """
    if not instructions:
        return []
    known = steered_up_to(messages)
    unseen = [instruction for instruction in instructions if instruction.number > known]
    if not unseen:
        return []
    message = HumanMessage(instructions_text(unseen, window // 4))
    mark_steered(message, unseen[-1].number)
    return [message]


def _conversation_tokens(window: int) -> int:
    # Every worker pays for it at each of its steps, and the sub-task says what is needed.
    return min(2000, window // 8)


def _whole_task(assignment: Assignment, window: int) -> str:
    if not assignment.task:
        return ""
    task = excerpt(assignment.task, max(_LEAST_TASK_TOKENS, window // 8), "task")
    return f"The whole task, to know what it is about: {task}"


def _previous_result(assignment: Assignment, context: WorkerContext) -> str:
    entry = context.memory.seen(assignment.previous)
    if entry is None or not entry.text:
        return ""
    # A sub-task is tried again without feedback only where the budget ended the attempt before.
    instruction = "" if assignment.sub_task.feedback else ", which was cut off: go on from there"
    return f"Your result of the attempt before{instruction}:\n{fit([entry], context.window // 8).text}"


def _feedback(assignment: Assignment) -> str:
    if not assignment.sub_task.feedback:
        return ""
    # Without a previous result the sub-task runs again only because a dependency changed. Its result was not
    # refused, so the message must not say so.
    instruction = (
        "It was not accepted. Do it differently" if assignment.previous else "What an earlier attempt was told"
    )
    return "\n".join([f"{instruction}:", *(f"- {line}" for line in assignment.sub_task.feedback)])


def _sub_task(assignment: Assignment) -> str:
    sub_task = assignment.sub_task
    attempt = f" (attempt {sub_task.attempt})" if sub_task.attempt > 1 else ""
    return f"Sub-task {sub_task.id}{attempt}: {sub_task.description}"


def tell_start(
    agent: str,
    assignment: Assignment,
    context: WorkerContext,
    message: str,
    prompt: str = "",
    tools: Sequence[BaseTool] = (),
) -> None:
    """Tell the journal that a worker begins, and what it is asked; once for each attempt, whatever is killed.

    Args:
        agent: The worker's name.
        assignment: The sub-task.
        context: The surroundings of the attempt.
        message: The first message.
        prompt: The worker's own prompt; empty for a guest.
        tools: The worker's tools.
    """
    actor, sub_task = context.actor, assignment.sub_task
    data: dict[str, Any] = {"agent": agent, "description": sub_task.description, "message": message}
    if prompt:
        data["prompt"] = prompt
    if sub_task.feedback:
        data["feedback"] = sub_task.feedback
    if tools:  # the engine's own, such as read_memory, are not named
        data["tools"] = [tool.name for tool in tools]
    # The key of a sub-task is another one for each of its versions and attempts.
    key = f"{actor.task_number} {actor.key} started"
    context.memory.journal.note(Fact("sub_task_started", sub_task.id, sub_task.attempt, key=key, data=data))
