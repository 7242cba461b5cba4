"""What stands between a worker's agent and its model and tools.

All of it wraps calls and adds no node to the agent's graph: LangChain's own limit and review middleware adds nodes,
and each costs a super-step and a checkpoint for every model call.
"""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, cast

from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langchain_core.tools import BaseTool, tool
from langgraph.errors import GraphBubbleUp
from langgraph.prebuilt import ToolRuntime
from langgraph.store.base import BaseStore
from langgraph.types import Command

from orchestrator.bridge import AWAITING, BLOCKING, Bridge, run_blocking
from orchestrator.memory import Entry, SharedMemory
from orchestrator.policy import asks_first, effect_of, is_trusted, risk_of
from orchestrator.reviews import Decision, Review, ask, review_id
from orchestrator.tokens import count_tokens, excerpt

_LAST_STEP = "You have no more tool calls. Give your result now, from what you have, and say what is missing."


@dataclass
class WorkerContext:
    """What one execution of a worker's agent may use; LangGraph hands it to middleware and tools.

    Args:
        store: Where decisions are recorded.
        memory: The thread's shared memory.
        thread_id: The thread.
        sub_task_id: The sub-task being executed.
        key: Its key.
        auto_approve: Whether tool calls need no human.
        window: Tokens that a prompt may have.
        emit: Takes progress events.
        shortened: Whether something was shortened, so that `read_memory` is of use.
        stopped: Ids of the tool calls at whose review a human stopped the run.
        unattended: There is no graph that could pause: what needs a review is refused.
    """

    store: BaseStore
    memory: SharedMemory
    thread_id: str
    sub_task_id: str
    key: str
    auto_approve: bool
    window: int
    emit: Callable[[dict[str, Any]], None]
    shortened: bool = False
    stopped: list[str] = field(default_factory=list)
    unattended: bool = False


@tool
def read_memory(key: str, runtime: ToolRuntime[WorkerContext, Any], start: int = 0) -> str:
    """Reads on in a text that was shortened.

    Args:
        key: The key that the note at the end of the shortened text names.
        start: First character to read, from the same note.
    """
    context = runtime.context
    entry = context.memory.seen(key)
    if entry is None:
        return f"error: there is nothing under the key '{key}'; use a key from a note such as [… read_memory(key=…)]"
    return excerpt(entry.text, result_allowance(context.window), key, start=max(0, start))


read_memory.metadata = {"risk": "read", "effect": "none", "trust": "untrusted"}


def result_allowance(window: int) -> int:
    """Tokens that one tool result may take of a prompt."""
    return min(6000, window * 3 // 10)


Handler = Callable[[Any], Any]
ToolAnswer = ToolMessage | Command[Any]


class WorkerMiddleware(AgentMiddleware[AgentState[Any], WorkerContext, Any]):
    """Step limit, fitting the window, tool reviews, effects that happen once, tool errors, long tool results.

    Args:
        steps: Most model calls in one attempt; at the last one the agent has no tools.
    """

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def wrap_model_call(
        self,
        request: ModelRequest[WorkerContext],
        handler: Callable[[ModelRequest[WorkerContext]], ModelResponse[Any]],
    ) -> ModelResponse[Any]:
        """Blocking twin."""
        return run_blocking(self._model_call(BLOCKING, request, handler))

    # The async twins are no coroutine functions: LangChain wraps these hooks in LangSmith's tracing, and its wrapper
    # of coroutine functions sends every call through a thread twice, whether anything is traced or not.
    def awrap_model_call(
        self,
        request: ModelRequest[WorkerContext],
        handler: Callable[[ModelRequest[WorkerContext]], Awaitable[ModelResponse[Any]]],
    ) -> Coroutine[Any, Any, ModelResponse[Any]]:
        """Async twin."""
        return self._model_call(AWAITING, request, handler)

    def wrap_tool_call(self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], ToolAnswer]) -> ToolAnswer:
        """Blocking twin."""
        return run_blocking(self._tool_call(BLOCKING, request, handler))

    def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[ToolAnswer]]
    ) -> Coroutine[Any, Any, ToolAnswer]:
        """Async twin."""
        return self._tool_call(AWAITING, request, handler)

    async def _model_call(
        self, bridge: Bridge, request: ModelRequest[WorkerContext], handler: Handler
    ) -> ModelResponse[Any]:
        context = request.runtime.context
        tools = list(request.tools)
        if not context.shortened:
            tools = [item for item in tools if item is not read_memory]
        messages = list(request.messages)
        calls_so_far = sum(isinstance(message, AIMessage) for message in messages)
        if tools and calls_so_far >= self.steps - 1:
            tools = []
            messages.append(HumanMessage(_LAST_STEP))
        if calls_so_far:
            messages = fit_messages(messages, context)
        answer: ModelResponse[Any] = await bridge.call(handler, request.override(tools=tools, messages=messages))
        return answer

    async def _tool_call(self, bridge: Bridge, request: ToolCallRequest, handler: Handler) -> ToolAnswer:
        context = cast(WorkerContext, request.runtime.context)
        call, tool_ = request.tool_call, request.tool
        if tool_ is None:  # the agent's tool node answers with the names that there are
            unknown: ToolAnswer = await bridge.call(handler, request)
            return unknown
        if asks_first(tool_):
            decision = await self._review(bridge, context, tool_, call)
            if decision.action in ("reject", "stop"):
                if decision.action == "stop":
                    context.stopped.append(call["id"] or "")
                return _refusal(call, decision)
            if decision.action == "edit":
                call = {**call, "args": dict(decision.data or {})}
                request = request.override(tool_call=call)
        context.emit({"event": "tool", "sub_task_id": context.sub_task_id, "tool": tool_.name, "args": call["args"]})
        return await self._execute(bridge, context, tool_, request, handler)

    async def _review(self, bridge: Bridge, context: WorkerContext, tool_: BaseTool, call: Any) -> Decision:
        risk = risk_of(tool_)
        review = Review(
            id=review_id(context.thread_id, "tool", context.key, call["id"] or ""),
            kind="tool",
            question=f"May sub-task {context.sub_task_id} call the tool '{tool_.name}'?",
            stake=f"the tool may {risk}"
            + (", and its effect cannot be repeated" if effect_of(tool_) == "once" else ""),
            subject={"tool": tool_.name, "args": call["args"], "risk": risk, "effect": effect_of(tool_)},
            sub_task_id=context.sub_task_id,
        )
        if context.auto_approve:
            return Decision(review_id=review.id, action="approve")
        if context.unattended:
            return Decision(review_id=review.id, action="reject", text="there is nobody here to ask")
        return await ask(bridge, context.store, review)

    async def _execute(
        self,
        bridge: Bridge,
        context: WorkerContext,
        tool_: BaseTool,
        request: ToolCallRequest,
        handler: Handler,
    ) -> ToolAnswer:
        journal = f"call-{context.key}-{request.tool_call['id']}"
        if effect_of(tool_) == "once":
            if (before := await context.memory.fetch(bridge, journal)) is not None:
                return await self._after_crash(bridge, context, before, request, handler, journal)
            await context.memory.write(bridge, Entry(key=journal, text="", status="note", agent=tool_.name))
        return await self._call_and_keep(bridge, context, tool_, request, handler, journal)

    async def _call_and_keep(
        self,
        bridge: Bridge,
        context: WorkerContext,
        tool_: BaseTool,
        request: ToolCallRequest,
        handler: Handler,
        journal: str,
    ) -> ToolAnswer:
        try:
            answer: ToolAnswer = await bridge.call(handler, request)
        except GraphBubbleUp:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a tool raises is something for its agent to react to
            return _error(request.tool_call, f"{type(error).__name__}: {error}")
        if not isinstance(answer, ToolMessage):
            return answer
        allowance = result_allowance(context.window)
        text = answer.text
        too_long = tool_ is not read_memory and count_tokens(text) > allowance
        if too_long or effect_of(tool_) == "once":
            note = Entry(
                key=journal,
                text=text,
                status="note",
                agent=tool_.name,
                trusted=is_trusted(tool_),
                outcome={"done": True},
            )
            await context.memory.write(bridge, note)
        if too_long:
            context.shortened = True
            answer = answer.model_copy(update={"content": excerpt(text, allowance, journal)})
        return answer

    async def _after_crash(
        self,
        bridge: Bridge,
        context: WorkerContext,
        before: Entry,
        request: ToolCallRequest,
        handler: Handler,
        journal: str,
    ) -> ToolAnswer:
        """The call was begun by a process that is gone: give its result again, or ask a human when it has none."""
        call = request.tool_call
        if before.outcome.get("done"):
            text = excerpt(before.text, result_allowance(context.window), journal)
            return ToolMessage(text, tool_call_id=call["id"], name=call["name"])
        unknown = (
            f"the call of '{call['name']}' was begun, and the run was interrupted before it ended: "
            "it may have had its effect or not"
        )
        if context.auto_approve:
            return _error(call, unknown + ". It was not repeated")
        review = Review(
            id=review_id(context.thread_id, "tool", context.key, call["id"] or "", "again"),
            kind="tool",
            question=f"Call '{call['name']}' again for sub-task {context.sub_task_id}?",
            stake=unknown,
            subject={"tool": call["name"], "args": call["args"]},
            allowed=("approve", "reject", "stop"),
            sub_task_id=context.sub_task_id,
        )
        decision = await ask(bridge, context.store, review)
        if decision.action == "approve":
            assert request.tool is not None
            return await self._call_and_keep(bridge, context, request.tool, request, handler, journal)
        if decision.action == "stop":
            context.stopped.append(call["id"] or "")
        return _error(call, f"{unknown}. A human decided not to repeat it: {decision.text or 'no reason given'}")


def _refusal(call: Any, decision: Decision) -> ToolMessage:
    reason = decision.text.strip() or "no reason given"
    return _error(call, f"a human did not allow this call: {reason}. Go on without it")


def _error(call: Any, text: str) -> ToolMessage:
    return ToolMessage(f"error: {text}", tool_call_id=call["id"], name=call["name"], status="error")


def fit_messages(messages: list[AnyMessage], context: WorkerContext) -> list[AnyMessage]:
    """The conversation within the window: the oldest tool results are shortened further until it fits.

    The first message (the sub-task) and the newest result stay as they are for as long as possible. Every result
    that is shortened here can be read on by its key, or was short already.
    """
    budget = context.window * 3 // 4
    total = sum(count_tokens(message.text) + _calls_tokens(message) for message in messages)
    fitted = list(messages)
    for index, message in enumerate(fitted):
        if total <= budget:
            break
        if isinstance(message, ToolMessage) and (size := count_tokens(message.text)) > 80:
            short = message.text[:160] + " [… shortened: call the tool again to see all of it]"
            fitted[index] = message.model_copy(update={"content": short})
            total -= size - count_tokens(short)
    return fitted


def _calls_tokens(message: AnyMessage) -> int:
    return count_tokens(str(message.tool_calls)) if isinstance(message, AIMessage) and message.tool_calls else 0
