"""AdaptiveChatOpenAI: `ChatOpenAI` for any OpenAI-compatible endpoint, whatever it can and cannot do.

What an endpoint cannot do (tool calls, strict schemas, schemas at all) is found out from its refusal, remembered for
the process, and replaced by the next best: constrained JSON for tool calls, a schema without `strict`, and at last
the schema in the prompt. A refusal costs one request.
"""

import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import openai
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_openai import ChatOpenAI

from orchestrator.constrained import (
    first_json_object,
    render_plain,
    restore_calls,
    schema_prompt,
    tool_prompt,
    tool_schema,
)

ToolMode = Literal["auto", "native", "json"]
_NO_TOOLS = re.compile(r"\btools?\b|tool_choice|function.?call", re.I)
_NO_SCHEMA = re.compile(r"response_format|json_schema|schema|grammar|structured|strict", re.I)
_REFUSALS = (400, 404, 415, 422, 500, 501)


@dataclass
class Abilities:
    """What is known of an endpoint's model.

    Args:
        tools: Takes `tools` and answers with tool calls.
        schema: How it takes a schema: `strict`, `plain` (without strict), or only in words.
    """

    tools: bool = True
    schema: Literal["strict", "plain", "words"] = "strict"

    def learn(self, refusal: str, asked_tools: bool, asked_schema: bool) -> bool:
        """Takes a refusal in; whether asking again in another way makes sense."""
        if asked_tools and self.tools and _NO_TOOLS.search(refusal):
            self.tools = False
            return True
        if asked_schema and self.schema != "words" and _NO_SCHEMA.search(refusal):
            self.schema = "plain" if self.schema == "strict" else "words"
            return True
        return False


_known: dict[tuple[str, str], Abilities] = {}


@dataclass(frozen=True)
class _Request:
    """A request in the form that the endpoint takes, and the way back."""

    messages: list[BaseMessage]
    kwargs: dict[str, Any]
    restore: Callable[[ChatResult], ChatResult]
    uses_tools: bool
    uses_schema: bool


class AdaptiveChatOpenAI(ChatOpenAI):
    """See the module.

    Args:
        tool_mode: `native` and `json` fix how tools are called; `auto` finds out.
        window: Tokens that the model takes at once, prompt and answer together; None when not known.
        label: What to call the endpoint to a person.
        small: Whether the model needs narrow schemas and short prompts.
    """

    tool_mode: ToolMode = "auto"
    window: int | None = None
    label: str = ""
    small: bool = False

    @property
    def abilities(self) -> Abilities:
        """What is known of this endpoint's model, shared by all objects of the process."""
        key = (str(self.openai_api_base or ""), self.model_name)
        return _known.setdefault(key, Abilities(tools=self.tool_mode != "json"))

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        while True:
            request = self._adapted(messages, kwargs)
            try:
                payload = self._payload(request, stop)
                answer = self.root_client.post("/chat/completions", cast_to=object, body=payload)
                return request.restore(self._create_chat_result(_checked(answer)))
            except openai.APIStatusError as error:
                if not self._learned(error, request):
                    raise

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        # `post` instead of the typed method: transforming arguments and answers into models and back takes half of
        # the client's time, and the answer is wanted as a plain dict.
        while True:
            request = self._adapted(messages, kwargs)
            try:
                payload = self._payload(request, stop)
                answer = await self.root_async_client.post("/chat/completions", cast_to=object, body=payload)
                return request.restore(self._create_chat_result(_checked(answer)))
            except openai.APIStatusError as error:
                if not self._learned(error, request):
                    raise

    def _stream(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        if not _plain(kwargs):
            yield _whole(self._generate(messages, **_call_kwargs(args, kwargs)))
            return
        yield from super()._stream(messages, *args, **kwargs)

    async def _astream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        if not _plain(kwargs):
            yield _whole(await self._agenerate(messages, **_call_kwargs(args, kwargs)))
            return
        async for chunk in super()._astream(messages, *args, **kwargs):
            yield chunk

    def _payload(self, request: _Request, stop: list[str] | None) -> dict[str, Any]:
        payload = self._get_request_payload(request.messages, stop=stop, **request.kwargs)
        payload.pop("stream", None)
        payload.pop("stream_options", None)
        return payload

    def _learned(self, error: openai.APIStatusError, request: _Request) -> bool:
        if error.status_code not in _REFUSALS:
            return False
        return self.abilities.learn(str(error.body or error.message), request.uses_tools, request.uses_schema)

    def _adapted(self, messages: list[BaseMessage], kwargs: Mapping[str, Any]) -> _Request:
        """The request in the best form that the endpoint is known to take."""
        given, abilities = dict(kwargs), self.abilities
        tools = given.get("tools")
        adapted, restore = list(messages), _same
        uses_tools = bool(tools)
        if tools and not abilities.tools:
            choice = given.pop("tool_choice", None)
            for name in ("tools", "parallel_tool_calls", "strict"):
                given.pop(name, None)
            adapted = render_plain(messages, tool_prompt(tools, choice))
            given["response_format"] = _wrapped(tool_schema(tools, choice))
            uses_tools = False

            def restore(result: ChatResult) -> ChatResult:
                return restore_calls(result, tools)

        elif not abilities.tools:
            adapted = render_plain(messages)
        wanted = given.get("response_format")
        uses_schema = wanted is not None
        if isinstance(wanted, dict) and wanted.get("type") == "json_schema" and abilities.schema != "strict":
            inner = {name: value for name, value in wanted["json_schema"].items() if name != "strict"}
            if abilities.schema == "plain":
                given["response_format"] = {"type": "json_schema", "json_schema": inner}
            else:
                del given["response_format"]
                adapted = render_plain(adapted, schema_prompt(inner["schema"]))
                first, uses_schema = restore, False

                def restore(result: ChatResult) -> ChatResult:
                    return first(_only_json(result))

        return _Request(adapted, given, restore, uses_tools, uses_schema)


def _same(result: ChatResult) -> ChatResult:
    return result


def _only_json(result: ChatResult) -> ChatResult:
    """Takes the JSON out of an answer that may have words around it."""
    import json

    for generation in result.generations:
        found = first_json_object(str(generation.message.text))
        if found is not None:
            generation.message = generation.message.model_copy(update={"content": json.dumps(found)})
    return result


def _wrapped(schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "json_schema",
        "json_schema": {"name": str(schema.get("title", "answer")), "schema": schema},
    }


def _checked(answer: object) -> dict[str, Any]:
    """An answer with choices; anything else is an error that says so.

    Raises:
        openai.APIError: The endpoint answered with something that is no chat completion.
    """
    if isinstance(answer, dict) and isinstance(answer.get("choices"), list) and answer["choices"]:
        return answer
    import httpx2

    text = str(answer)
    request = httpx2.Request("POST", "/chat/completions")
    message = f"the endpoint's answer is no chat completion: {text[:200]}"
    raise openai.APIError(message, request, body=None)


def _plain(kwargs: Mapping[str, Any]) -> bool:
    return not kwargs.get("tools") and kwargs.get("response_format") is None


def _call_kwargs(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    named = dict(zip(("stop", "run_manager"), args, strict=False)) | kwargs
    return {name: value for name, value in named.items() if name != "stream_usage"}


def _whole(result: ChatResult) -> ChatGenerationChunk:
    message: Any = result.generations[0].message
    fields = {name: value for name, value in message.__dict__.items() if name != "type"}
    chunk = AIMessageChunk(**fields)
    return ChatGenerationChunk(message=chunk)
