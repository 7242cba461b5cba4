"""What stands between a worker's agent and its model and tools.

All of it wraps calls and adds no node to the agent's graph: LangChain's own limit and review middleware adds nodes,
and each costs a super-step and a checkpoint for every model call.
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from orchestrator.bridge import AWAITING, BLOCKING, Bridge, run_blocking
from orchestrator.tokens import count_tokens
from orchestrator.tool_calls import Handler, ToolAnswer, call_tool, read_memory
from orchestrator.tool_choice import ToolChoice
from orchestrator.worker_context import WorkerContext

_LAST_STEP = "You have no more tool calls. Give your result now, from what you have, and say what is missing."


class WorkerMiddleware(AgentMiddleware[AgentState[Any], WorkerContext, Any]):
    """Step limit, fitting the window, tool reviews, effects that happen once, tool errors, long tool results.

    Args:
        steps: Most model calls in one attempt; at the last one the agent has no tools.
        choice: Which of many tools are shown; None for all.
    """

    def __init__(self, steps: int, choice: ToolChoice | None = None) -> None:
        super().__init__()
        self.steps = steps
        self.choice = choice

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
        return run_blocking(call_tool(BLOCKING, request, handler))

    def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[ToolAnswer]]
    ) -> Coroutine[Any, Any, ToolAnswer]:
        """Async twin."""
        return call_tool(AWAITING, request, handler)

    async def _model_call(
        self, bridge: Bridge, request: ModelRequest[WorkerContext], handler: Handler
    ) -> ModelResponse[Any]:
        context = request.runtime.context
        tools = list(request.tools)
        if not context.shortened:
            tools = [item for item in tools if item is not read_memory]
        if self.choice is not None:
            shown = self.choice.shown(request.messages)
            tools = [item for item in tools if item is read_memory or getattr(item, "name", "") in shown]
        messages = list(request.messages)
        calls_so_far = sum(isinstance(message, AIMessage) for message in messages)
        if tools and calls_so_far >= self.steps - 1:
            tools = []
            messages.append(HumanMessage(_LAST_STEP))
        if calls_so_far:
            messages = fit_messages(messages, context)
        answer: ModelResponse[Any] = await bridge.call(handler, request.override(tools=tools, messages=messages))
        return answer


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
