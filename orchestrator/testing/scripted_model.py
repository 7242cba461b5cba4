"""ScriptedModel: a chat model that answers by a script, in process."""

import itertools
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import Field, PrivateAttr

from orchestrator.models.completions.structured import json_parser
from orchestrator.testing.script import Reply, Request, Script, call_ids, count, cut, in_order

_numbers = itertools.count(1)  # each model is an endpoint of its own, and fails for itself
_LOST = "the connection is lost in the middle of the answer"
_ROLES = {"human": "user", "ai": "assistant", "system": "system", "tool": "tool"}


class ScriptedModel(BaseChatModel):
    """A deterministic double of a chat model, for tests of teams.

    Args:
        script: A function of the request, or replies to give in order.
        window: Tokens that the model takes at once.
        counter: Counts the tokens of a text; by default its words.

    The model cuts an answer at the limit of the request, as endpoints do. `requests` keeps every request. A request
    without an answer in the script raises `UnscriptedCallError`.
    """

    script: Any
    window: int = 100_000
    label: str = "scripted"
    endpoint_url: str = Field(default_factory=lambda: f"scripted:{next(_numbers)}")
    counter: Any = count
    _requests: list[Request] = PrivateAttr(default_factory=list)

    def __init__(self, script: Script | Sequence[Reply | str], **fields: Any) -> None:
        super().__init__(script=script if callable(script) else in_order(script), **fields)

    @property
    def requests(self) -> list[Request]:
        """All requests so far, in their order."""
        return self._requests

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(
        self, tools: Sequence[Any], *, tool_choice: str | None = None, **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind the tools; a script sees their names only."""
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def with_structured_output(
        self, schema: Any, *, include_raw: bool = False, **kwargs: Any
    ) -> Runnable[LanguageModelInput, Any]:
        """Parse the script's answers as JSON, and report errors as real models do."""
        limit = {name: kwargs[name] for name in ("max_tokens",) if name in kwargs}
        return self.bind(schema=schema, **limit) | json_parser(include_raw=include_raw)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        request = self._request(messages, kwargs)
        reply: Reply = self.script(request)
        if reply.gate is not None:
            reply.gate.wait()
        return self._result(request, reply)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        request = self._request(messages, kwargs)
        reply: Reply = self.script(request)
        if reply.gate is not None:
            await reply.gate.await_()
        return self._result(request, reply)

    def _stream(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        request = self._request(messages, kwargs)
        reply: Reply = self.script(request)
        chunks = self._chunks(request, reply)
        for number, chunk in enumerate(chunks):
            if reply.gate is not None and number == min(reply.gate_after, len(chunks) - 1):
                reply.gate.wait()
            yield chunk()

    async def _astream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        request = self._request(messages, kwargs)
        reply: Reply = self.script(request)
        chunks = self._chunks(request, reply)
        for number, chunk in enumerate(chunks):
            if reply.gate is not None and number == min(reply.gate_after, len(chunks) - 1):
                await reply.gate.await_()
            yield chunk()

    def _chunks(self, request: Request, reply: Reply) -> list[Callable[[], ChatGenerationChunk]]:
        """Return functions that make the parts of an answer; the last makes what is no text, or the error."""
        whole = replace(reply, breaks_after=None)
        parts = reply.parts(cut(reply.text, request.max_tokens, self.counter))[: reply.breaks_after]
        texts = [partial(_chunk, AIMessageChunk(content=part)) for part in parts]

        def last() -> ChatGenerationChunk:
            if reply.breaks_after is not None:
                raise ConnectionResetError(_LOST)
            message: Any = self._result(request, whole).generations[0].message
            usage, calls = message.usage_metadata, message.tool_calls
            return _chunk(AIMessageChunk(content="", tool_calls=calls, usage_metadata=usage))

        return [*texts, last]

    def _request(self, messages: Sequence[BaseMessage], kwargs: dict[str, Any]) -> Request:
        request = Request(
            messages=tuple((_ROLES.get(message.type, message.type), str(message.text)) for message in messages),
            tools=tuple(tool["function"]["name"] for tool in kwargs.get("tools") or ()),
            schema=kwargs.get("schema") or {},
            max_tokens=kwargs.get("max_tokens"),
        )
        self._requests.append(request)
        return request

    def _result(self, request: Request, reply: Reply) -> ChatResult:
        if reply.error is not None:
            raise reply.error
        if reply.breaks_after is not None:
            raise ConnectionResetError(_LOST)
        ids = call_ids(reply, request)
        calls = [
            {"name": name, "args": dict(arguments), "id": given, "type": "tool_call"}
            for (name, arguments), given in zip(reply.calls, ids, strict=True)
        ]
        text = cut(reply.text, request.max_tokens, self.counter)
        asked, answered = self.counter(request.text), self.counter(text) if text else 1
        usage = {"input_tokens": asked, "output_tokens": answered, "total_tokens": asked + answered}
        message = AIMessage(content=text, tool_calls=calls, usage_metadata=usage if reply.usage else None)
        return ChatResult(generations=[ChatGeneration(message=message)])


def _chunk(message: AIMessageChunk) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=message)
