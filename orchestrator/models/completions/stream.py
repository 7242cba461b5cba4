"""Streamed chat completions: server-sent events in, message chunks out. It reads nothing itself.

Endpoints differ, and LangChain adds up what they repeat. So usage and finish reason are kept until the end, the last
of each counts, and tool calls get the indices and the single names that LangChain expects.
"""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx2
import openai
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from orchestrator.models.call_reading.native import as_sent, calls_in
from orchestrator.models.capabilities import Capabilities
from orchestrator.models.completions.answer import error_in, json_of, no_completion, unwrapped
from orchestrator.models.completions.checks import plausible_usage, reading, text_of
from orchestrator.models.completions.events import EventReader
from orchestrator.models.completions.extras import Extras
from orchestrator.models.completions.stream_calls import StreamCalls
from orchestrator.models.completions.thoughts import ThoughtFilter
from orchestrator.models.endpoints.reasons import BROKEN_OFF
from orchestrator.models.json_answers import without_thoughts

Convert = Callable[[dict[str, Any]], ChatGenerationChunk | None]
"""Makes a message chunk of a completion chunk, as `ChatOpenAI` does."""


class CompletionStream:
    """One streamed answer.

    Args:
        convert: Makes the message chunks.
        endpoint: The endpoint, which gets back the fields that only it knows.
        is_unopened: See `ThoughtFilter`.

    Attributes:
        usage: The usage that the endpoint reported last; None for none.
        finish_reason: Its reason to end; empty when there was none.
        is_unopened: The answer began inside thoughts.
    """

    def __init__(self, convert: Convert, endpoint: str, is_unopened: bool = False) -> None:
        self.usage: dict[str, Any] | None = None
        self.finish_reason = ""
        self.is_unopened = is_unopened
        self._convert = convert
        self._endpoint = endpoint
        self._extras = Extras()
        self._events = EventReader()
        self._head: dict[str, Any] = {}
        self._has_choices = False
        self._callers: object = 0  # the number of the choice with the calls
        self._is_done = False
        self._is_ending = False
        self._thoughts = ThoughtFilter(is_unopened)
        self._text: list[str] = []
        self._shown: list[str] = []
        self._calls = StreamCalls()

    def feed(self, data: bytes) -> Iterator[ChatGenerationChunk]:
        """Take the next bytes of the body, and yield what they complete.

        Raises:
            openai.APIError: The endpoint reports an error, or its answer is no chat completion.
        """
        for event in self._events.feed(data):
            yield from self._dispatch(event)

    def end(self) -> Iterator[ChatGenerationChunk]:
        """Take the end of the body, and yield the rest.

        Raises:
            openai.APIError: As for `feed`, or the endpoint broke off.
        """
        self._is_ending = True
        for event in self._events.end():
            yield from self._dispatch(event)
        if not self._has_choices:
            told = self._head or self._events.other.decode(errors="replace")
            raise no_completion(told if isinstance(told, str) else json.dumps(told))
        if not self._is_done and not self.finish_reason:
            raise broken_off()
        for last in self._chunk({"content": self._rest()}, self.finish_reason, self.usage):
            calls = {} if self._calls.is_as_sent else as_sent(self._calls.sent)
            last.message.additional_kwargs.update(self._extras.as_kept(self._endpoint) | calls)
            yield last
        # Some chat templates open the tag of the thoughts in the prompt. Then only the end of the thoughts shows.
        whole = "".join(self._text)
        self.is_unopened = not self.is_unopened and without_thoughts(whole).strip() != "".join(self._shown).strip()

    def whole(self) -> object | None:
        """Return the completion of an endpoint that does not stream and has sent one JSON object; None for others."""
        if self._head or self._is_done or self._events.is_inside:
            return None
        try:
            completion: object = json.loads(self._events.other)
        except (ValueError, RecursionError):
            return None
        return completion

    @property
    def has_begun(self) -> bool:
        """True if the answer has begun, and was probably paid for."""
        return bool(self._text) or self._calls.any

    @property
    def is_whole(self) -> bool:
        """True if the endpoint has ended its answer, whatever becomes of the connection."""
        return self._is_done or bool(self.finish_reason)

    def _dispatch(self, data: bytes) -> Iterator[ChatGenerationChunk]:
        if self._is_done or data.startswith(b"[DONE]"):
            self._is_done = True
            return
        try:
            chunk = json_of(data)
        except (ValueError, RecursionError):
            if self._is_ending:  # the body ends inside the event
                raise broken_off() from None
            raise no_completion(data.decode(errors="replace")) from None
        if not isinstance(chunk, dict):
            raise no_completion(str(chunk))
        if (error := error_in(chunk, self.has_begun)) is not None:
            raise error
        yield from reading(lambda: list(self._read(unwrapped(chunk))))

    def _read(self, chunk: dict[str, Any]) -> Iterator[ChatGenerationChunk]:
        self._head = {**chunk, "choices": [], "usage": None}
        self.usage = plausible_usage(chunk.get("usage")) or self.usage
        choices = chunk.get("choices") or []
        for choice in [choices] if isinstance(choices, dict) else choices:
            self._has_choices = True
            if self._is_other(choice):
                continue
            self.finish_reason = choice.get("finish_reason") or self.finish_reason
            # A whole completion in one event has a message.
            delta = choice.get("delta") or choice.get("message") or {}
            text, pieces = text_of(delta.get("content", choice.get("text"))), calls_in(delta, choice)
            calls = self._calls.added(pieces)
            self._extras.add(delta)
            for call, piece in zip(calls, pieces, strict=True):
                self._extras.add_call(self._calls.id_at(call["index"]), piece)
            if text:
                self._text.append(text)
                text = self._thoughts.feed(text)
                self._shown.append(text)
            if text or calls:
                yield from self._chunk({"content": text, "tool_calls": calls})

    def _is_other(self, choice: Mapping[str, Any]) -> bool:
        """True for a second answer. A second choice with the calls that belong to the first is none."""
        number = choice.get("index") or 0
        if number in (0, "0") or (number == self._callers and number):
            return False
        delta = choice.get("delta") or {}
        if self._calls.any or text_of(delta.get("content")) or not calls_in(delta, choice):
            return True
        self._callers = number
        return False

    def _rest(self) -> str:
        rest = self._thoughts.end()
        if not rest and not any(self._shown):
            rest = "".join(self._text)  # of thoughts alone, as `without_thoughts` keeps them
        if not rest and not any(self._shown) and not self._calls.any and self.finish_reason != "length":
            rest = self._extras.reasoning  # vLLM's parsers of thoughts take a whole answer for thoughts
        self._shown.append(rest)
        return rest

    def _chunk(
        self, delta: dict[str, Any], finish_reason: str = "", usage: dict[str, Any] | None = None
    ) -> Iterator[ChatGenerationChunk]:
        choice = {"index": 0, "delta": {"role": "assistant", **delta}, "finish_reason": finish_reason or None}
        converted = self._convert({**self._head, "choices": [choice], "usage": usage})
        if converted is not None:
            yield converted


def broken_off() -> openai.APIConnectionError:
    """Return the error for an answer that breaks off."""
    return openai.APIConnectionError(message=BROKEN_OFF, request=_request())


@contextlib.contextmanager
def breaking_off(capabilities: Capabilities, stream: CompletionStream) -> Iterator[None]:
    """Raise the errors of a lost connection as `openai` does before a stream, and learn from an answer that breaks off.

    A connection that is lost behind the end of the answer is no error.

    Raises:
        openai.APIConnectionError: The connection was lost, the body cannot be read, or nothing came for too long.
    """
    try:
        yield
    except httpx2.TimeoutException as error:
        if not stream.is_whole:
            raise openai.APITimeoutError(_request()) from error
    except (httpx2.RequestError, openai.APIConnectionError) as error:
        if stream.is_whole and not isinstance(error, openai.APIConnectionError):
            return
        capabilities.streamed(False)
        raise broken_off() from error


def whole_chunk(answer: ChatResult) -> ChatGenerationChunk:
    """Return a whole answer as one chunk of a stream."""
    message: Any = answer.generations[0].message
    # The `type` of a chunk is a literal of its own, and pydantic refuses that of a message.
    fields = {name: value for name, value in message.__dict__.items() if name != "type"}
    chunk = AIMessageChunk(**fields)
    return ChatGenerationChunk(message=chunk, generation_info=answer.generations[0].generation_info)


def _request() -> httpx2.Request:
    return httpx2.Request("POST", "/chat/completions")
