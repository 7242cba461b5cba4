"""AdaptiveChatOpenAI: `ChatOpenAI` for any OpenAI-compatible endpoint, whatever its capabilities.

A missing capability (tool calls, strict schemas, schemas at all) shows in a refusal, which costs one request. The
process remembers the lesson and uses the next best form: constrained JSON for tool calls, a schema without `strict`,
and at last the schema in the prompt.

An endpoint can also take a schema and ignore it. This shows in the answer, and from then on the prompt contains the
schema too, beginning with the request that repairs the answer.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeGuard

import openai
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableLambda
from langchain_core.utils.function_calling import convert_to_json_schema
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, ValidationError

from orchestrator.concurrency import AWAITING, BLOCKING, Bridge, run_blocking
from orchestrator.models.capabilities import KNOWN, LIMIT_NAMES, Capabilities, SchemaMode, ToolMode
from orchestrator.models.completions.checks import checked, no_completion, reading
from orchestrator.models.completions.stream import CompletionStream, breaking_off, whole_chunk
from orchestrator.models.json_answers import answered_json, fits, may_be_strict, schema_prompt, without_thoughts
from orchestrator.models.json_tool_calls import render_plain, restore_calls, tool_prompt, tool_schema

_MOST_JUNK = 4000  # characters to keep of an answer without the JSON that was asked for
# Statuses with which endpoints refuse a form that they do not know; some servers fail on one with a 500.
_MAY_REFUSE_FORM = (400, 404, 415, 422, 500, 501)
_MAY_REFUSE_STREAM = (400, 405, 415, 422, 501)


@dataclass(frozen=True)
class _Request:
    """A request in a form that the endpoint takes, and the function that turns the answer back."""

    messages: list[BaseMessage]
    kwargs: dict[str, Any]
    restore: Callable[[ChatResult], ChatResult]
    uses_tools: bool
    uses_schema: SchemaMode | None


class AdaptiveChatOpenAI(ChatOpenAI):
    """A chat model that adapts its requests to its endpoint; see the module.

    Args:
        tool_mode: `native` and `json` fix the form of tool calls; `auto` learns the form.
        window: Tokens that the model takes at once, prompt and answer together; None if not known.
        label: Name of the endpoint for a person.
        small: True if the model needs narrow schemas and short prompts.
        retries: How many times the engine repeats a failed request; None for the engine's own setting.
        is_free: True if the model runs on this machine, and its tokens cost nothing.
        sees: True if the model takes pictures; None for what LangChain's list of models says.
    """

    tool_mode: ToolMode = "auto"
    window: int | None = None
    label: str = ""
    small: bool = False
    retries: int | None = None
    is_free: bool = False
    sees: bool | None = None

    @property
    def capabilities(self) -> Capabilities:
        """Capabilities of the model at this endpoint, as learned by this process; all objects share them."""
        return KNOWN.setdefault((str(self.openai_api_base or ""), self.model_name), Capabilities())

    @property
    def is_openai(self) -> bool:
        """True if the endpoint is OpenAI's own."""
        # The slash at the end keeps out hosts such as api.openai.com.example.org.
        return "://api.openai.com/" in f"{self.openai_api_base or '://api.openai.com'}/"

    @property
    def has_native_tools(self) -> bool:
        """True if requests send tools as such."""
        return self.capabilities.tools if self.tool_mode == "auto" else self.tool_mode == "native"

    def with_structured_output(
        self, schema: dict[str, Any] | type | None = None, *, include_raw: bool = False, **kwargs: Any
    ) -> Runnable[Any, Any]:
        """Like `ChatOpenAI`, and strict if the schema allows it.

        A pydantic class is sent as its JSON schema, and then validates the answer.
        """
        if kwargs.get("method", "json_schema") != "json_schema":
            return super().with_structured_output(schema, include_raw=include_raw, **kwargs)
        wanted = schema if isinstance(schema, type) and issubclass(schema, BaseModel) else None
        plain = schema if wanted is None else convert_to_json_schema(wanted)
        if isinstance(plain, dict) and may_be_strict(plain):
            kwargs = {"strict": True, **kwargs}
        if wanted is None:
            return super().with_structured_output(plain, include_raw=include_raw, **kwargs)
        asked = super().with_structured_output(plain, include_raw=True, **kwargs)
        return asked | RunnableLambda(partial(_as_model, wanted, include_raw))

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return run_blocking(self._complete(BLOCKING, self.root_client, messages, stop, kwargs))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return await self._complete(AWAITING, self.root_async_client, messages, stop, kwargs)

    async def _complete(
        self,
        bridge: Bridge,
        client: openai.OpenAI | openai.AsyncOpenAI,
        messages: list[BaseMessage],
        stop: list[str] | None,
        kwargs: Mapping[str, Any],
    ) -> ChatResult:
        """Send a request, and send it in another form while the endpoint's refusals teach one.

        Args:
            bridge: The bridge that calls the client.
            client: The client of this bridge: blocking or asynchronous.
            messages: The conversation.
            stop: Texts that end the answer.
            kwargs: Further arguments of the request.

        Raises:
            openai.OpenAIError: The request failed, or the answer is no chat completion.
        """
        while True:
            request = self._adapted(messages, kwargs)
            payload = self._payload(request, stop)
            # `post` instead of the typed method: turning arguments and answers into models and back takes half of
            # the client's time, and `checked` needs a plain dict.
            post = partial(client.post, "/chat/completions", cast_to=object, body=payload)
            try:
                return self._read(request, await bridge.call(post))
            except json.JSONDecodeError as error:
                raise no_completion(error.doc) from error
            except RecursionError as error:
                raise no_completion(str(error)) from error
            except openai.APIStatusError as error:
                if not self._learned(error, request, payload):
                    raise

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        while (asked := self._streamed(messages, stop, kwargs)) is not None:
            request, body, stream = asked
            post = partial(self.root_client.post, "/chat/completions", cast_to=object, body=body)
            try:
                opened = post(stream=True, stream_cls=openai.Stream[object])
            except openai.APIStatusError as error:
                if self._learned_of_stream(error, request, body):
                    continue
                break
            with opened, breaking_off(self.capabilities):
                for data in opened.response.iter_bytes():
                    yield from stream.feed(data)
                yield from self._rest(request, stream)
            return
        yield self._unstreamed(self._generate(messages, stop, **_unstreamed_arguments(kwargs)), asked is not None)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        while (asked := self._streamed(messages, stop, kwargs)) is not None:
            request, body, stream = asked
            post = partial(self.root_async_client.post, "/chat/completions", cast_to=object, body=body)
            try:
                opened = await post(stream=True, stream_cls=openai.AsyncStream[object])
            except openai.APIStatusError as error:
                if self._learned_of_stream(error, request, body):
                    continue
                break
            async with opened:
                with breaking_off(self.capabilities):
                    async for data in opened.response.aiter_bytes():
                        for chunk in stream.feed(data):
                            yield chunk
                    for chunk in self._rest(request, stream):
                        yield chunk
            return
        answer = await self._agenerate(messages, stop, **_unstreamed_arguments(kwargs))
        yield self._unstreamed(answer, asked is not None)

    def _streamed(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: Mapping[str, Any]
    ) -> tuple[_Request, dict[str, Any], CompletionStream] | None:
        """Return a request for a stream, its body and the reader of the answer; None if the answer comes whole.

        JSON of a schema is of no use before its end, and tool calls in JSON must be turned back as a whole.
        """
        if not self.capabilities.streams or kwargs.get("response_format") is not None:
            return None
        if kwargs.get("tools") and not self.has_native_tools:
            return None
        request = self._adapted(messages, _unstreamed_arguments(kwargs))
        body = {**self._payload(request, stop), "stream": True}
        if self.capabilities.stream_usage and self._should_stream_usage(**kwargs):
            body["stream_options"] = {"include_usage": True}
        convert = partial(self._convert_chunk_to_generation_chunk, default_chunk_class=AIMessageChunk)
        stream = CompletionStream(partial(convert, base_generation_info=None), self.capabilities.is_unopened)
        return request, body, stream

    def _rest(self, request: _Request, stream: CompletionStream) -> Iterator[ChatGenerationChunk]:
        if (completion := stream.whole()) is not None:  # the endpoint ignores `stream`
            yield self._unstreamed(self._read(request, completion), True)
            return
        yield from stream.end()
        self.capabilities.streamed(True)
        self.capabilities.is_unopened = self.capabilities.is_unopened or stream.is_unopened

    def _unstreamed(self, answer: ChatResult, was_refused: bool) -> ChatGenerationChunk:
        """Return a whole answer as the only chunk, and remember if the endpoint does not stream."""
        if was_refused:
            self.capabilities.streams = False
        return whole_chunk(answer)

    def _learned_of_stream(self, error: openai.APIStatusError, request: _Request, body: dict[str, Any]) -> bool:
        """True if the request should be sent in another form; False if it should be sent without a stream.

        Raises:
            openai.APIStatusError: Neither would help.
        """
        if error.status_code in _MAY_REFUSE_FORM:
            refusal = str(error.body or error.message)
            if self.capabilities.learn_stream(refusal, "stream_options" in body) or self._learned(error, request, body):
                return True
        if error.status_code in _MAY_REFUSE_STREAM and self.capabilities.may_not_stream:
            return False
        raise error

    def _get_request_payload(self, input_: Any, *, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        """Like `ChatOpenAI`, with the answer's limit under the name that the endpoint understands."""
        payload: dict[str, Any] = super()._get_request_payload(input_, stop=stop, **kwargs)
        limits = [limit for name in LIMIT_NAMES if (limit := payload.pop(name, None)) is not None]
        if limits:
            payload[self.capabilities.cap or LIMIT_NAMES[0 if self.is_openai else 1]] = min(limits)
        return payload

    def _read(self, request: _Request, answer: object) -> ChatResult:
        completion = checked(answer)
        return reading(lambda: request.restore(_thoughtless(self._create_chat_result(completion))))

    def _payload(self, request: _Request, stop: list[str] | None) -> dict[str, Any]:
        payload = self._get_request_payload(request.messages, stop=stop, **request.kwargs)
        payload.pop("stream", None)
        payload.pop("stream_options", None)
        return payload

    def _learned(self, error: openai.APIStatusError, request: _Request, payload: dict[str, Any]) -> bool:
        if error.status_code not in _MAY_REFUSE_FORM:
            return False
        may_change = request.uses_tools and self.tool_mode == "auto"
        cap = next((name for name in LIMIT_NAMES if name in payload), "")
        return self.capabilities.learn(str(error.body or error.message), may_change, request.uses_schema, cap)

    def _adapted(self, messages: list[BaseMessage], kwargs: Mapping[str, Any]) -> _Request:
        """Return the request in the best form that the endpoint is known to take."""
        arguments, level, native = dict(kwargs), self.capabilities.schema, self.has_native_tools
        tools, wanted = arguments.get("tools"), arguments.get("response_format")
        adapted, restore = list(messages), _same
        if tools and not native:
            choice = arguments.pop("tool_choice", None)
            for name in ("tools", "parallel_tool_calls", "strict"):
                arguments.pop(name, None)
            final = wanted["json_schema"]["schema"] if _has_schema(wanted) else None
            adapted = render_plain(messages, tool_prompt(tools, choice))
            wanted = arguments["response_format"] = _wrapped(tool_schema(tools, choice, final))

            def restore(result: ChatResult) -> ChatResult:
                return restore_calls(result, tools)

        elif not native:  # the history can hold tool calls of earlier requests
            adapted = render_plain(messages)
        if not _has_schema(wanted):
            return _Request(adapted, arguments, restore, bool(tools) and native, "plain" if wanted else None)
        inner = dict(wanted["json_schema"])
        schema, asked = inner["schema"], _form(inner, level)
        if native or not tools:
            restore = partial(self._read_json, schema, None if tools else asked)
        if asked is None or (self.capabilities.also_in_words and not tools):
            adapted = render_plain(adapted, schema_prompt(schema))
        if asked is None:
            del arguments["response_format"]
        else:
            if asked == "plain":
                inner.pop("strict", None)
            arguments["response_format"] = {"type": "json_schema", "json_schema": inner}
        return _Request(adapted, arguments, restore, bool(tools) and native, asked)

    def _read_json(self, schema: dict[str, Any], asked: SchemaMode | None, result: ChatResult) -> ChatResult:
        """Replace an answer by the JSON in it, and learn from an answer that does not fit the schema.

        Args:
            schema: The schema that was asked for.
            asked: Form of the schema in the request; None if nothing can be learned.
            result: The answer.
        """
        for generation in result.generations:
            message: Any = generation.message
            if message.tool_calls or message.additional_kwargs.get("refusal"):
                continue  # a tool call and a refusal need not fit the schema
            value = answered_json(str(message.text), schema)
            does_fit = value is not None and fits(value, schema)
            ended = (generation.generation_info or {}).get("finish_reason")
            # In a truncated answer an object that does not fit can be an inner part of the true one.
            if does_fit or (value is not None and ended != "length"):
                generation.message = message.model_copy(update={"content": json.dumps(value, ensure_ascii=False)})
            elif value is None and len(message.text) > _MOST_JUNK:  # parsers that repair JSON take very long on it
                generation.message = message.model_copy(update={"content": message.text[:_MOST_JUNK]})
            if asked is not None and ended == "stop" and not does_fit:
                self.capabilities.ignored(asked)
        return result


def _form(wanted: Mapping[str, Any], level: SchemaMode) -> SchemaMode | None:
    """Return the form of a schema for an endpoint of this level; None for words."""
    if level == "words":
        return None
    return "strict" if level == "strict" and wanted.get("strict") else "plain"


def _as_model(schema: type[BaseModel], include_raw: bool, reply: dict[str, Any]) -> Any:
    """Validate a structured reply with a pydantic class.

    Raises:
        ValueError: The reply does not fit, and the caller did not ask for the raw reply with the error.
    """
    if (error := reply["parsing_error"]) is None and reply["parsed"] is not None:
        try:
            reply = {**reply, "parsed": schema.model_validate(reply["parsed"])}
        except ValidationError as misfit:
            error, reply = misfit, {**reply, "parsed": None, "parsing_error": misfit}
    if include_raw:
        return reply
    if error is not None:
        raise error
    return reply["parsed"]


def _same(result: ChatResult) -> ChatResult:
    return result


def _thoughtless(result: ChatResult) -> ChatResult:
    """Remove the thoughts before an answer. Otherwise they would become part of results and be paid for again."""
    for generation in result.generations:
        content = generation.message.content
        if isinstance(content, str) and (answer := without_thoughts(content)) != content:
            generation.message = generation.message.model_copy(update={"content": answer})
    return result


def _has_schema(wanted: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(wanted, dict) and wanted.get("type") == "json_schema"


def _wrapped(schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "json_schema",
        "json_schema": {"name": str(schema.get("title", "answer")), "schema": schema},
    }


def _unstreamed_arguments(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments without those of a stream, which would go to the endpoint."""
    return {name: value for name, value in kwargs.items() if name not in ("stream", "stream_usage", "stream_options")}
