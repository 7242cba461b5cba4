"""AdaptiveChatOpenAI: `ChatOpenAI` for any OpenAI-compatible endpoint, whatever its capabilities.

A missing capability (tool calls, strict schemas, a role, a parameter) shows in a refusal, which costs one request. The
package `requests` has the weaker forms, and its `Negotiation` finds the one that the endpoint takes. The package
`completions` reads the answers.

An endpoint can also take a schema and ignore it. This shows in the answer, and from then on the prompt contains the
schema too, beginning with the request that repairs the answer.
"""

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from functools import partial
from typing import Any

import openai
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableLambda
from langchain_core.utils.function_calling import convert_to_json_schema
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, ValidationError

from orchestrator.concurrency import AWAITING, BLOCKING, Bridge, run_blocking
from orchestrator.models.call_reading.native import converted
from orchestrator.models.capabilities import KNOWN, LIMIT_NAMES, Capabilities, ToolMode
from orchestrator.models.completions.answer import is_stream, no_completion, parsed
from orchestrator.models.completions.checks import checked, reading
from orchestrator.models.completions.extras import keep, send_back
from orchestrator.models.completions.prompt_progress import ASKED, LISTENER, ProgressReader, post_with_progress
from orchestrator.models.completions.stream import CompletionStream, breaking_off, whole_chunk
from orchestrator.models.completions.structured import read_json
from orchestrator.models.endpoints.routes import Route
from orchestrator.models.json_answers import may_be_strict, without_thoughts
from orchestrator.models.json_tool_calls import restore_calls
from orchestrator.models.requests import lessons
from orchestrator.models.requests.asked import Asked
from orchestrator.models.requests.tools import JSON_TOOLS

_MODELS_WITHOUT_SCHEMAS = re.compile(r"gpt-3|gpt-4(-|$)")
_OF_STREAMS = ("stream", "stream_usage", "stream_options")


class AdaptiveChatOpenAI(ChatOpenAI):
    """A chat model that adapts its requests to its endpoint; see the module.

    Args:
        tool_mode: `native` and `json` fix the form of tool calls; `auto` learns the form.
        window: Tokens that the model takes at once, prompt and answer together; None to go by what the endpoint says.
        label: Name of the endpoint for a person.
        small: True if the model needs narrow schemas and short prompts.
        retries: How many times the engine repeats a failed request; None for the engine's own setting.
        is_free: True if the model runs on this machine, and its tokens cost nothing.
        sees: True if the model takes pictures; None for what LangChain's list of models says.
        tells_progress: True if the endpoint tells how far it has read a prompt, as llama.cpp does.
    """

    tool_mode: ToolMode = "auto"
    window: int | None = None
    label: str = ""
    small: bool = False
    retries: int | None = None
    is_free: bool = False
    sees: bool | None = None
    tells_progress: bool = False
    # LangChain chooses the Responses API by the model's name otherwise, and other endpoints do not have it.
    use_responses_api: bool | None = False

    @property
    def capabilities(self) -> Capabilities:
        """Capabilities of the model at this endpoint, as learned by this process; all objects share them."""
        endpoint = str(self.openai_api_base or ""), self.model_name
        # Not by `setdefault` alone: each request looks here several times, and it would make an object each time.
        return KNOWN.get(endpoint) or KNOWN.setdefault(endpoint, Capabilities())

    @property
    def learned_window(self) -> int | None:
        """The window that the endpoint has told; None if it has told none."""
        return self.capabilities.window

    @property
    def sure_window(self) -> int | None:
        """The window that the endpoint has told, unless it may turn out larger; None if it has told none."""
        return self.capabilities.window if self.capabilities.is_window_sure else None

    @property
    def longest_answer(self) -> int | None:
        """The most tokens of an answer that the endpoint has told in a refusal; None if it has told none."""
        return self.capabilities.longest_answer

    @property
    def is_openai(self) -> bool:
        """True if the endpoint is OpenAI's own."""
        # The slash at the end keeps out hosts such as api.openai.com.example.org.
        return "://api.openai.com/" in f"{self.openai_api_base or '://api.openai.com'}/"

    @property
    def has_native_tools(self) -> bool:
        """True if requests send tools as such."""
        return self.capabilities.has_tools if self.tool_mode == "auto" else self.tool_mode == "native"

    def with_structured_output(
        self, schema: dict[str, Any] | type | None = None, *, include_raw: bool = False, **kwargs: Any
    ) -> Runnable[Any, Any]:
        """Like `ChatOpenAI`, and strict if the schema allows it.

        A pydantic class is sent as its JSON schema, and then validates the answer.
        """
        if _MODELS_WITHOUT_SCHEMAS.match(self.model_name) and kwargs.get("method", "json_schema") == "json_schema":
            kwargs["method"] = "function_calling"  # langchain-openai 1.7 does so too, with a warning at each call
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
        return run_blocking(self._complete(BLOCKING, self.root_client, self._asked(messages, stop, kwargs)))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return await self._complete(AWAITING, self.root_async_client, self._asked(messages, stop, kwargs))

    def _asked(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: Mapping[str, Any], is_streamed: bool = False
    ) -> Asked:
        arguments = {name: value for name, value in kwargs.items() if name not in _OF_STREAMS}
        body = self._get_request_payload(messages, stop=stop, **arguments)
        for name in _OF_STREAMS:
            body.pop(name, None)
        body["messages"] = send_back(body["messages"], messages, self._endpoint)
        # JSON of a schema is of no use before its end.
        if is_streamed and body.get("response_format") is None:
            body["stream"] = True
            if self._should_stream_usage(**kwargs):
                body["stream_options"] = {"include_usage": True}
            if self._hears_progress:
                body |= ASKED
        fixed = frozenset({JSON_TOOLS.name} if self.tool_mode == "json" else ())
        forbidden = frozenset({JSON_TOOLS.name} if self.tool_mode == "native" else ())
        route = Route(str(self.openai_api_base or ""), "/chat/completions")
        return Asked(self.capabilities, body, fixed, forbidden, route)

    async def _complete(self, bridge: Bridge, client: openai.OpenAI | openai.AsyncOpenAI, asked: Asked) -> ChatResult:
        """Send a request, and send it in another form while the endpoint's refusals teach one.

        Args:
            bridge: The bridge that calls the client.
            client: The client of this bridge: blocking or asynchronous.
            asked: The request.

        Raises:
            openai.OpenAIError: The request failed, or the answer is no chat completion.
        """
        while True:
            # `post` instead of the typed method: turning arguments and answers into models and back takes half of
            # the client's time, and `checked` needs a plain dict.
            post = partial(client.post, asked.route.path, cast_to=object, body=asked.body)
            try:
                try:
                    if self._hears_progress:
                        answer: object = await post_with_progress(client, asked.route.path, asked.body)
                    else:
                        answer = await bridge.call(post)
                except json.JSONDecodeError as error:  # the content type promised JSON
                    answer = error.doc
                except UnicodeDecodeError as error:  # and UTF-8
                    answer = error.object
                except RecursionError as error:
                    raise no_completion(str(error)) from error
                result = self._read(asked, answer)
            except openai.APIError as error:
                asked.refused(error)
                continue
            if asked.taken():
                await bridge.offload(partial(self._keep_lessons, asked))
            return result

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        asked = self._asked(messages, stop, kwargs, is_streamed=True)
        while asked.negotiation.streams:
            stream, progress = self._reader(), ProgressReader()
            post = partial(self.root_client.post, asked.route.path, cast_to=object, body=asked.body)
            try:
                with post(stream=True, stream_cls=openai.Stream[object]) as opened:
                    with breaking_off(self.capabilities, stream):
                        for data in opened.response.iter_bytes():
                            progress.feed(data)
                            yield from stream.feed(data)
                    with breaking_off(self.capabilities, stream):
                        yield from self._rest(asked, stream)
            except openai.APIError as error:
                asked.refused(error, stream.has_begun)
                continue
            if asked.taken():
                self._keep_lessons(asked)
            return
        yield whole_chunk(run_blocking(self._complete(BLOCKING, self.root_client, asked)))

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        asked = self._asked(messages, stop, kwargs, is_streamed=True)
        while asked.negotiation.streams:
            stream, progress = self._reader(), ProgressReader()
            post = partial(self.root_async_client.post, asked.route.path, cast_to=object, body=asked.body)
            try:
                async with await post(stream=True, stream_cls=openai.AsyncStream[object]) as opened:
                    with breaking_off(self.capabilities, stream):
                        async for data in opened.response.aiter_bytes():
                            progress.feed(data)
                            for chunk in stream.feed(data):
                                yield chunk
                    with breaking_off(self.capabilities, stream):
                        for chunk in self._rest(asked, stream):
                            yield chunk
            except openai.APIError as error:
                asked.refused(error, stream.has_begun)
                continue
            if asked.taken():
                await AWAITING.offload(partial(self._keep_lessons, asked))
            return
        yield whole_chunk(await self._complete(AWAITING, self.root_async_client, asked))

    def _reader(self) -> CompletionStream:
        convert = partial(self._convert_chunk_to_generation_chunk, default_chunk_class=AIMessageChunk)
        plain = partial(convert, base_generation_info=None)
        return CompletionStream(plain, self._endpoint, self.capabilities.is_unopened)

    def _rest(self, asked: Asked, stream: CompletionStream) -> Iterator[ChatGenerationChunk]:
        if (completion := stream.whole()) is not None:  # the endpoint ignores `stream`
            answer = whole_chunk(self._read(asked, completion))
            self.capabilities.learn(["unstreamed"])
            yield answer
            return
        yield from stream.end()
        self.capabilities.streamed(True)
        self.capabilities.answered()
        self.capabilities.is_unopened = self.capabilities.is_unopened or stream.is_unopened

    def _get_request_payload(self, input_: Any, *, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        """Like `ChatOpenAI`, with the answer's limit under the name that most endpoints of this kind understand."""
        payload: dict[str, Any] = super()._get_request_payload(input_, stop=stop, **kwargs)
        limits = [limit for name in LIMIT_NAMES if (limit := payload.pop(name, None)) is not None]
        if limits:
            payload[LIMIT_NAMES[0 if self.is_openai else 1]] = min(limits)
        return payload

    def _read(self, asked: Asked, answer: object) -> ChatResult:
        """Return the answer in a body: a completion, or a stream in one text.

        Raises:
            openai.APIError: The answer tells an error, or is no chat completion.
        """
        answer = parsed(answer)
        if is_stream(answer):
            stream = self._reader()
            chunks = [*stream.feed(str(answer).encode()), *stream.end()]
            result = generate_from_stream(iter(chunks))
        else:
            completion = checked(answer)
            result = reading(lambda: converted(completion, self._create_chat_result))
            keep(result, completion["choices"], self._endpoint)
        self.capabilities.answered()
        result = _thoughtless(result)
        if asked.negotiation.uses_json_tools:
            return reading(lambda: restore_calls(result, asked.tools))
        if asked.schema is not None and not read_json(result, asked.schema) and not asked.tools:
            self.capabilities.ignored(asked.is_strict)
        return result

    @property
    def _hears_progress(self) -> bool:
        return self.tells_progress and LISTENER.get() is not None

    @property
    def _endpoint(self) -> str:
        return f"{self.openai_api_base or ''} {self.model_name}"

    def _keep_lessons(self, asked: Asked) -> None:
        lessons.keep(str(self.openai_api_base or ""), self.model_name, self.capabilities)
        asked.route.keep()


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


def _thoughtless(result: ChatResult) -> ChatResult:
    """Remove the thoughts before an answer. Otherwise they would become part of results and be paid for again."""
    for generation in result.generations:
        content = generation.message.content
        if isinstance(content, str) and (answer := without_thoughts(content)) != content:
            generation.message = generation.message.model_copy(update={"content": answer})
    return result
