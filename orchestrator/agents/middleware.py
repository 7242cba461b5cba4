"""WorkerMiddleware: steps, window, budget and repetitions around a worker's model, and the engine's tool calls.

It only wraps calls. LangChain's own limit and review middleware adds nodes to the agent's graph, and each node costs a
super-step and a checkpoint for every model call.
"""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, cast

from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.tools import BaseTool
from langgraph.types import Command

from orchestrator.agents.attempt_end import AttemptEnd
from orchestrator.agents.loop_detection import Repetition, repetitions
from orchestrator.agents.task_message import news
from orchestrator.budget.budget import BudgetSpentError
from orchestrator.concurrency import AWAITING, BLOCKING, Bridge, run_blocking
from orchestrator.memory.briefing import shorter
from orchestrator.messages import is_first_call, is_stopped, window_of
from orchestrator.model_calls.calls import Question
from orchestrator.model_calls.content_blocks import as_seen, has_pictures
from orchestrator.model_calls.text_stream import TextStream, drop_thoughts
from orchestrator.model_calls.truncation import as_part, can_go_on, is_cut, is_lost, request_for_the_rest
from orchestrator.models.call_reading.answer import Toolbox, with_calls
from orchestrator.models.call_reading.native import failed_call
from orchestrator.models.errors import is_endpoint_failure, is_refusal
from orchestrator.models.profile import ModelProfile
from orchestrator.text import READ_ON, count_tokens
from orchestrator.tool_calls.calls import call_tool
from orchestrator.tool_calls.declaration import risk_of, says_its_risk
from orchestrator.tool_calls.execution import Handler
from orchestrator.tool_calls.first_call import first_call
from orchestrator.tool_calls.results import read_memory
from orchestrator.tool_calls.tool_search import ToolSearch
from orchestrator.tool_calls.worker_context import WorkerContext

_GIVE = "Give your result now, from what you have, and say what is missing."
_LAST_STEP = f"You have no more tool calls. {_GIVE}"
_NO_TOOL_CALLS = f"The tool calls of this run are used up. {_GIVE}"
_LITTLE_LEFT = f"The budget is nearly spent, and this is your last answer. {_GIVE}"
_REPEATS = "You are repeating yourself: {what} Do something else, or give your result from what you have."
_STALLED = "You repeated yourself again: {what} You have no more tool calls. " + _GIVE
_CALLED = "(a tool call)"
_NO_TOOLS = (
    "That was a tool call, and you have no tools. Give your result in words. If the call is part of your result, put "
    "it into a code block, among words."
)
_SO_FAR_CHARS = 600
_SO_FAR_RESULTS = 6
_SHORTENED_CHARS = (160, 0)


class WorkerMiddleware(AgentMiddleware[AgentState[Any], WorkerContext, Any]):
    """Wraps every model call and every tool call of a worker.

    Args:
        steps: Most model calls in one attempt. The last one has no tools.
        choice: Chooses the tools that are shown; None to show all.
        begins_with: The tool to call before the model is asked.
    """

    def __init__(self, steps: int, choice: ToolSearch | None = None, begins_with: str | None = None) -> None:
        super().__init__()
        self.steps = steps
        self.choice = choice
        self.begins_with = begins_with

    def wrap_model_call(
        self,
        request: ModelRequest[WorkerContext],
        handler: Callable[[ModelRequest[WorkerContext]], ModelResponse[Any]],
    ) -> ModelResponse[Any]:
        """Wrap a model call of a blocking run."""
        return run_blocking(self._model_call(BLOCKING, request, handler))

    # The async twins are no coroutine functions. LangChain wraps these hooks in LangSmith's tracing, whose wrapper of
    # coroutine functions sends every call through a thread twice, even if nothing is traced.
    def awrap_model_call(
        self,
        request: ModelRequest[WorkerContext],
        handler: Callable[[ModelRequest[WorkerContext]], Awaitable[ModelResponse[Any]]],
    ) -> Coroutine[Any, Any, ModelResponse[Any]]:
        """Wrap a model call of an asynchronous run."""
        return self._model_call(AWAITING, request, handler)

    def wrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], ToolMessage | Command[Any]]
    ) -> ToolMessage:
        """Wrap a tool call of a blocking run."""
        return run_blocking(call_tool(BLOCKING, request, handler))

    def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[ToolMessage | Command[Any]]]
    ) -> Coroutine[Any, Any, ToolMessage]:
        """Wrap a tool call of an asynchronous run."""
        return call_tool(AWAITING, request, handler)

    async def _model_call(
        self, bridge: Bridge, request: ModelRequest[WorkerContext], handler: Handler
    ) -> ModelResponse[Any]:
        context = request.runtime.context
        if is_stopped(request.messages):
            return _ended(request, AttemptEnd(stopped=True))
        tools = self._shown_tools(request)
        messages = list(request.messages)
        if self.begins_with and not any(isinstance(message, AIMessage) for message in messages):
            return ModelResponse(result=[first_call(self.begins_with, context.actor.key)])
        # At the end, so that an endpoint's cache of the conversation still fits. They stay in the state, before the
        # answer that they lead to, so that a resumed worker goes on from the conversation that it had.
        instructions = news(await context.instructions(), messages, context.window)
        messages += instructions
        # A first call comes from the engine, and costs the model no step.
        calls_so_far = sum(isinstance(message, AIMessage) and not is_first_call(message) for message in messages)
        repeated = repetitions(messages)
        # Notices are added to this request only. The state keeps the conversation without them.
        if tools and (notice := self._last_notice(context, calls_so_far, repeated)):
            tools = []
            messages.append(HumanMessage(notice))
        elif repeated and repeated[-1].at == _last_answer(messages):
            messages.append(HumanMessage(_REPEATS.format(what=repeated[-1].what)))
        window = _window(request)
        messages = await _fitted(bridge, request, messages)
        question = Question(_with_system(request, messages), tools)
        spent = context.calls.last_call(request.model, question, of_run=context.finishes_when_spent) if tools else None
        if spent is not None:
            messages, tools = [*messages, HumanMessage(_LITTLE_LEFT)], []
        text = context.calls.text_stream()
        while True:
            try:
                answer = await self._ask(bridge, request, handler, messages, tools, text)
                break
            except BudgetSpentError as error:
                if (end := await _end_of_budget(context, error)) is not None:
                    return _ended(request, end)
            except Exception as error:
                if not is_endpoint_failure(error) or _window(request) >= window:
                    raise
                window = _window(request)  # the refusal has told it
                messages = await _fitted(bridge, request, messages)
        if calls_so_far + 1 < self.steps and can_go_on(last := answer.result[-1]):
            tools = tools if calls_so_far + 2 < self.steps else []
            answer = await self._continued(bridge, request, handler, last, messages, tools, text)
        if not request.tools and calls_so_far + 1 < self.steps and self._still_calls(answer):
            answer = await self._told_to_call_nothing(bridge, request, handler, answer, messages, text)
        if not tools and self._still_calls(answer):
            # The model still calls tools although none are offered: end the attempt.
            end = AttemptEnd(limit=spent) if spent else AttemptEnd(stalled=self._stalled_by(request, repeated))
            return _ended(request, end, answer)
        return replace(answer, result=[*instructions, *answer.result]) if instructions else answer

    async def _ask(
        self,
        bridge: Bridge,
        request: ModelRequest[WorkerContext],
        handler: Handler,
        messages: list[AnyMessage],
        tools: list[Any],
        text: TextStream | None,
    ) -> ModelResponse[Any]:
        tool_choice = "any" if _has_to_call(request.model, messages, tools) else request.tool_choice
        adapted = request.override(tools=tools, messages=messages, tool_choice=tool_choice)
        box = Toolbox(_by_name(request.tools), _by_name(tools).keys())
        seed = [request.runtime.context.actor.key, sum(isinstance(message, AIMessage) for message in messages)]

        async def send(model: BaseChatModel, arguments: dict[str, Any]) -> ModelResponse[Any]:
            settings = {**request.model_settings, **arguments}
            sent = adapted.override(model=model, model_settings=settings)
            try:
                with text.listening() if text is not None else nullcontext():
                    answer = await _with_sight(bridge, handler, sent)
            except Exception as error:
                if (failed := failed_call(error)) is None:
                    raise
                answer = ModelResponse(result=[failed])
            # Before the stream of words ends: what turns out to be a call is void there.
            return replace(answer, result=[with_calls(m, box, seed, is_cut=is_cut(m)) for m in answer.result])

        question = Question(_with_system(request, messages), tools)
        answer: ModelResponse[Any] = await request.runtime.context.calls.call(
            request.model, question, send, _messages_of, text
        )
        drop_thoughts(answer.result)
        return answer

    async def _continued(
        self,
        bridge: Bridge,
        request: ModelRequest[WorkerContext],
        handler: Handler,
        answer: AIMessage,
        messages: list[AnyMessage],
        tools: list[Any],
        text: TextStream | None,
    ) -> ModelResponse[Any]:
        """Return a truncated answer with its continuation, or alone if there is no room for that."""
        part = as_part(answer)
        if text is not None and is_lost(part):
            text.void("it was cut off", forget=True)
        prompt = fit_messages([*messages, part, request_for_the_rest(part)], _window(request))
        try:
            rest = await self._ask(bridge, request, handler, prompt, tools, text)
        except Exception as error:
            if text is not None:
                text.tell_kept()
            if isinstance(error, BudgetSpentError) or is_refusal(error):  # the prompt may be too long by now
                return ModelResponse(result=[answer])
            raise
        return ModelResponse(result=[part, *rest.result])

    async def _told_to_call_nothing(
        self,
        bridge: Bridge,
        request: ModelRequest[WorkerContext],
        handler: Handler,
        answer: ModelResponse[Any],
        messages: list[AnyMessage],
        text: TextStream | None,
    ) -> ModelResponse[Any]:
        """Return the answer of a worker without tools that has called one and is told that it has none."""
        called = cast(AIMessage, answer.result[-1])
        # Endpoints refuse calls in a request without tools, and messages without a text.
        words = AIMessage(_CALLED, id=called.id, usage_metadata=called.usage_metadata)
        try:
            again = await self._ask(bridge, request, handler, [*messages, words, HumanMessage(_NO_TOOLS)], [], text)
        except BudgetSpentError:
            return answer
        return ModelResponse(result=[*answer.result[:-1], words, *again.result])

    def _shown_tools(self, request: ModelRequest[WorkerContext]) -> list[Any]:
        tools = list(request.tools)
        # Read off the conversation itself, so that a worker resumed after a pause or a crash can read on too.
        if not any(READ_ON in message.text for message in request.messages):
            tools = [item for item in tools if item is not read_memory]
        if self.choice is not None:
            shown = self.choice.shown(request.messages)
            tools = [item for item in tools if item is read_memory or getattr(item, "name", "") in shown]
        return tools

    def _last_notice(self, context: WorkerContext, calls_so_far: int, repeated: Sequence[Repetition]) -> str:
        """Return the notice that the attempt must end now, or "" while it need not."""
        if len(repeated) > 1:
            return _STALLED.format(what=repeated[-1].what)
        if calls_so_far >= self.steps - 1:
            return _LAST_STEP
        return _NO_TOOL_CALLS if context.allowance.left("tool_calls") == 0 else ""

    def _stalled_by(self, request: ModelRequest[WorkerContext], repeated: Sequence[Repetition]) -> str:
        """Return what a worker did that calls tools although none are offered any more."""
        if repeated:
            return repeated[-1].what
        if not request.tools:
            return "it called tools, and has none"
        if request.runtime.context.allowance.left("tool_calls") == 0:
            return "it called tools after the tool calls of the run were used up"
        return f"it called tools after {self.steps} steps"

    def _still_calls(self, answer: ModelResponse[Any]) -> bool:
        last = answer.result[-1] if answer.result else None
        return isinstance(last, AIMessage) and bool(last.tool_calls or last.invalid_tool_calls)


async def _end_of_budget(context: WorkerContext, error: BudgetSpentError) -> AttemptEnd | None:
    """Return the end of an attempt whose call does not fit, or None once a human has raised the budget.

    Raises:
        BudgetSpentError: A human must decide, and the run pauses for that.
    """
    if not error.is_of_run or context.finishes_when_spent:
        return AttemptEnd(limit=error)
    decision = await context.more_budget(error)
    if decision is None:
        raise error
    if decision == "go":
        return None
    return AttemptEnd(limit=error) if decision == "finish" else AttemptEnd(stopped=True)


def _ended(
    request: ModelRequest[WorkerContext], end: AttemptEnd, answer: ModelResponse[Any] | None = None
) -> ModelResponse[Any]:
    """Return the results so far in the place of the model's answer, marked with the reason why the attempt ended."""
    last = answer.result[-1] if answer is not None else None
    return ModelResponse(result=[end.message(so_far(request.messages), cast("AIMessage | None", last))])


def _has_to_call(model: BaseChatModel, messages: Sequence[AnyMessage], tools: Sequence[Any]) -> bool:
    """True if the answer must be a tool call: for a small model, until a tool has answered it.

    Given the choice, a small model answers from memory. It keeps the choice if a tool does more than read, since a
    model must not be forced to change something.
    """
    if not tools or not ModelProfile.of(model).is_small:
        return False
    if any(isinstance(message, ToolMessage) and message.status != "error" for message in messages):
        return False
    return all(isinstance(tool, BaseTool) and says_its_risk(tool) and risk_of(tool) == "read" for tool in tools)


async def _with_sight(bridge: Bridge, handler: Handler, request: ModelRequest[WorkerContext]) -> ModelResponse[Any]:
    """Send a request with the pictures that its model can see, and without them where the endpoint refuses."""
    if not has_pictures(request.messages):
        return cast(ModelResponse[Any], await bridge.call(handler, request))
    profile = ModelProfile.of(request.model)
    try:
        shown = as_seen(request.messages, sees=profile.sees_pictures)
        return cast(ModelResponse[Any], await bridge.call(handler, request.override(messages=shown)))
    except Exception as error:
        if not (profile.sees_pictures and is_refusal(error)):
            raise
        profile.refuses_pictures()
        named = as_seen(request.messages, sees=False)
        return cast(ModelResponse[Any], await bridge.call(handler, request.override(messages=named)))


def _by_name(tools: Sequence[Any]) -> dict[str, Any]:
    """Return tools by name; those that an endpoint has itself are plain data, and are never called here."""
    return {tool.name: tool for tool in tools if isinstance(tool, BaseTool)}


def _with_system(request: ModelRequest[WorkerContext], messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    return [*([request.system_message] if request.system_message is not None else []), *messages]


def _last_answer(messages: Sequence[AnyMessage]) -> int:
    """Return the index of the model's last message, or -1."""
    return max((at for at, message in enumerate(messages) if isinstance(message, AIMessage)), default=-1)


def _messages_of(response: ModelResponse[Any]) -> Sequence[BaseMessage]:
    return response.result


def so_far(messages: Sequence[AnyMessage]) -> str:
    """Return the results of an unfinished attempt: the agent's newest words, and its tools' answers."""
    spoken = (m for m in reversed(messages) if isinstance(m, AIMessage) and m.text.strip() and not is_lost(m))
    words = next((m.text.strip() for m in spoken), "")
    answers = [
        f"{m.name}: {' '.join(m.text.split())[:_SO_FAR_CHARS]}"
        for m in messages
        if isinstance(m, ToolMessage) and m.status != "error"
    ]
    parts = [part for part in (words, "\n".join(answers[-_SO_FAR_RESULTS:])) if part]
    return "Not finished. So far:\n" + "\n".join(parts) if parts else ""


def _window(request: ModelRequest[WorkerContext]) -> int:
    """Return the tokens that a prompt may have now: a model's window can turn out smaller during an attempt."""
    return min(request.runtime.context.window, ModelProfile.of(request.model).window)


async def _fitted(bridge: Bridge, request: ModelRequest[WorkerContext], messages: list[AnyMessage]) -> list[AnyMessage]:
    """Return a conversation within the window, with a new first message if that was made for a larger window."""
    make = request.runtime.context.shorter_first
    if make is not None and ModelProfile.of(request.model).window < window_of(messages[0]):
        first = await make(bridge, _window(request))
        messages = [first.model_copy(update={"id": messages[0].id}), *messages[1:]]
    # Only tool results are shortened, and a single message is none.
    return fit_messages(messages, _window(request)) if len(messages) > 1 else messages


def fit_messages(messages: list[AnyMessage], window: int) -> list[AnyMessage]:
    """Return the conversation within a window, with the oldest tool results shortened further until it fits.

    The first message (the sub-task) stays whole, and the newest result for as long as possible. A worker can read on
    in every result that is shortened here.
    """
    budget = window * 3 // 4  # the rest is for the system prompt, the tools and the answer
    total = sum(count_tokens(message.text) + _calls_tokens(message) for message in messages)
    fitted = list(messages)
    for most in _SHORTENED_CHARS:
        for index, message in enumerate(fitted):
            if total <= budget:
                return fitted
            if not isinstance(message, ToolMessage):
                continue
            short = shorter(message.text, most)
            if (saved := count_tokens(message.text) - count_tokens(short)) > 0:
                fitted[index] = message.model_copy(update={"content": short})
                total -= saved
    return fitted


def _calls_tokens(message: AnyMessage) -> int:
    return count_tokens(str(message.tool_calls)) if isinstance(message, AIMessage) and message.tool_calls else 0
