"""Streamed chat completions: server-sent events in, message chunks out. It reads nothing itself.

Endpoints differ, and LangChain adds up what they repeat. So usage and finish reason are kept until the end, the last
of each counts, and tool calls get the indices and the single names that LangChain expects.
"""

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import openai
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from orchestrator.models.call_reading.native import SentCall, as_sent
from orchestrator.models.capabilities import Capabilities
from orchestrator.models.completions.answer import error_in, no_completion
from orchestrator.models.completions.checks import plausible_usage, reading, text_of
from orchestrator.models.completions.extras import Extras
from orchestrator.models.completions.thoughts import ThoughtFilter
from orchestrator.models.json_answers import without_thoughts

Convert = Callable[[dict[str, Any]], ChatGenerationChunk | None]
"""Makes a message chunk of a completion chunk, as `ChatOpenAI` does."""

_BROKEN_OFF = "the endpoint broke off in the middle of its answer"


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
        self._bytes = b""
        self._event: list[bytes] = []
        self._other: list[bytes] = []
        self._head: dict[str, Any] = {}
        self._is_done = False
        self._is_ending = False
        self._thoughts = ThoughtFilter(is_unopened)
        self._text: list[str] = []
        self._shown: list[str] = []
        self._calls = _Calls()

    def feed(self, data: bytes) -> Iterator[ChatGenerationChunk]:
        """Take the next bytes of the body, and yield what they complete.

        Raises:
            openai.APIError: The endpoint reports an error, or its answer is no chat completion.
        """
        # Split as bytes: the lines of `httpx` end at U+2028 too, which may stand inside a JSON text.
        *lines, self._bytes = (self._bytes + data).split(b"\n")
        for line in lines:
            yield from self._line(line.rstrip(b"\r"))

    def end(self) -> Iterator[ChatGenerationChunk]:
        """Take the end of the body, and yield the rest.

        Raises:
            openai.APIError: As for `feed`, or the endpoint broke off.
        """
        self._is_ending = True
        for line in (self._bytes.rstrip(b"\r"), b""):
            yield from self._line(line)
        if not self._head and not self._is_done:
            raise no_completion(b"\n".join(self._other).decode(errors="replace"))
        if not self._is_done and not self.finish_reason:
            raise broken_off()
        for last in self._chunk({"content": self._rest()}, self.finish_reason, self.usage):
            last.message.additional_kwargs.update(self._extras.as_kept(self._endpoint) | as_sent(self._calls.sent))
            yield last
        # Some chat templates open the tag of the thoughts in the prompt. Then only the end of the thoughts shows.
        whole = "".join(self._text)
        self.is_unopened = not self.is_unopened and without_thoughts(whole).strip() != "".join(self._shown).strip()

    def whole(self) -> object | None:
        """Return the completion of an endpoint that does not stream and has sent one JSON object; None for others."""
        if self._head or self._is_done or self._event:
            return None
        try:
            completion: object = json.loads(b"\n".join([*self._other, self._bytes]))
        except (ValueError, RecursionError):
            return None
        return completion

    @property
    def has_begun(self) -> bool:
        """True if the answer has begun, and was probably paid for."""
        return bool(self._text) or self._calls.any

    def _line(self, line: bytes) -> Iterator[ChatGenerationChunk]:
        if line.startswith(b"data:"):
            self._event.append(line[5:].strip())
        elif not line and self._event:
            data, self._event = b"\n".join(self._event), []
            yield from self._dispatch(data)
        elif line and not line.startswith((b":", b"event:", b"id:", b"retry:")):
            self._other.append(line)

    def _dispatch(self, data: bytes) -> Iterator[ChatGenerationChunk]:
        if self._is_done or data.startswith(b"[DONE]"):
            self._is_done = True
            return
        try:
            chunk = json.loads(data)
        except (ValueError, RecursionError):
            if self._is_ending:  # the body ends inside the event
                raise broken_off() from None
            raise no_completion(data.decode(errors="replace")) from None
        if not isinstance(chunk, dict):
            raise no_completion(str(chunk))
        if (error := error_in(chunk, self.has_begun)) is not None:
            raise error
        yield from reading(lambda: list(self._read(chunk)))

    def _read(self, chunk: dict[str, Any]) -> Iterator[ChatGenerationChunk]:
        self._head = {**chunk, "choices": [], "usage": None}
        self.usage = plausible_usage(chunk.get("usage")) or self.usage
        for choice in (chunk.get("choices") or [])[:1]:
            self.finish_reason = choice.get("finish_reason") or self.finish_reason
            # A whole completion in one event has a message.
            delta = choice.get("delta") or choice.get("message") or {}
            pieces = [piece for piece in delta.get("tool_calls") or () if isinstance(piece, dict)]
            text, calls = text_of(delta.get("content")), self._calls.added(pieces)
            self._extras.add(delta)
            for call, piece in zip(calls, pieces, strict=True):
                self._extras.add_call(self._calls.ids[call["index"]], piece)
            if text:
                self._text.append(text)
                text = self._thoughts.feed(text)
                self._shown.append(text)
            if text or calls:
                yield from self._chunk({"content": text, "tool_calls": calls})

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


class _Calls:
    """The tool calls of one answer, as they arrive in pieces."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self._names: list[str] = []
        self._arguments: list[list[str]] = []

    @property
    def sent(self) -> list[SentCall]:
        """The calls so far, with their arguments as they came."""
        parts = zip(self.ids, self._names, self._arguments, strict=True)
        return [SentCall(name, call_id, "".join(arguments)) for call_id, name, arguments in parts]

    @property
    def any(self) -> bool:
        return bool(self.ids)

    def added(self, pieces: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return pieces with indices, and with the id and the name of each call only once."""
        return [self._normal(piece) for piece in pieces]

    def _normal(self, piece: dict[str, Any]) -> dict[str, Any]:
        function, call_id = piece.get("function") or {}, str(piece.get("id") or "")
        name, arguments = str(function.get("name") or ""), function.get("arguments")
        index = self._index(piece.get("index"), call_id, name)
        # Some endpoints repeat both in every piece, and LangChain would join them.
        is_new_id, is_new_name = bool(call_id and not self.ids[index]), bool(name and not self._names[index])
        self.ids[index] = self.ids[index] or call_id
        self._names[index] = self._names[index] or name
        if arguments is not None and not isinstance(arguments, str):
            arguments = json.dumps(arguments)
        self._arguments[index].append(arguments or "")
        return {
            "index": index,
            "id": call_id if is_new_id else None,
            "function": {
                "name": name if is_new_name else None,
                "arguments": arguments,
            },
        }

    def _index(self, index: object, call_id: str, name: str) -> int:
        if not isinstance(index, int):  # some endpoints leave it out
            is_other = bool(call_id and self.ids and call_id != self.ids[-1])
            is_next = not self.ids or is_other or (bool(name) and not call_id)
            index = len(self.ids) - (not is_next)
        if not 0 <= index <= len(self.ids):
            raise ValueError(f"a tool call with the index {index}")
        if index == len(self.ids):
            self.ids.append("")
            self._names.append("")
            self._arguments.append([])
        return index


def broken_off() -> openai.APIConnectionError:
    """Return the error for an answer that breaks off."""
    return openai.APIConnectionError(message=_BROKEN_OFF, request=_request())


@contextlib.contextmanager
def breaking_off(capabilities: Capabilities) -> Iterator[None]:
    """Raise the errors of a lost connection as `openai` does before a stream, and learn from an answer that breaks off.

    Raises:
        openai.APIConnectionError: The connection was lost, or nothing came for too long.
    """
    try:
        yield
    except httpx2.TimeoutException as error:
        raise openai.APITimeoutError(_request()) from error
    except (httpx2.TransportError, openai.APIConnectionError) as error:
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
