"""Progress of an endpoint that reads a long prompt, as llama.cpp tells it in its streams.

On a CPU, a small model reads a prompt for a minute before its first word. A caller that wants to know sets `LISTENER`
around its request.
"""

import re
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import httpx2
import openai

from orchestrator.models.completions.stream import broken_off

Listener = Callable[[int, int], None]
"""Takes the tokens of the prompt that were read, and all of them."""

LISTENER: ContextVar[Listener | None] = ContextVar("prompt_progress_listener", default=None)

ASKED = {"return_progress": True}
"""The fields that llama.cpp wants to see in a request."""

# Inside a JSON string the quotes would be escaped, so no model can write this.
_PROGRESS = re.compile(rb'"prompt_progress":\s*\{([^{}]*)\}')
_NUMBER = re.compile(rb'"(total|processed)":\s*(\d+)')
_LONGEST = 1024


class ProgressReader:
    """Finds the progress in the bytes of a stream, and tells the listener of the request."""

    def __init__(self) -> None:
        self._listener = LISTENER.get()
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._listener is None:
            return
        data = self._rest + data
        end = 0
        for found in _PROGRESS.finditer(data):
            end = found.end()
            numbers = {name: int(number) for name, number in _NUMBER.findall(found[1])}
            if numbers.keys() == {b"total", b"processed"}:
                self._listener(numbers[b"processed"], numbers[b"total"])
        self._rest = data[end:][-_LONGEST:]  # it may go on in the next bytes


async def post_with_progress(client: openai.OpenAI | openai.AsyncOpenAI, path: str, body: dict[str, Any]) -> str:
    """Send a request as a stream, and return the whole stream.

    Args:
        client: The client of the endpoint.
        path: The path of the address.
        body: The request.

    Raises:
        openai.APIError: The request failed, or its answer breaks off.
    """
    body = {**body, **ASKED, "stream": True, "stream_options": {"include_usage": True}}
    reader, parts = ProgressReader(), []
    try:
        # The blocking client is used where nothing else runs on the thread.
        if isinstance(client, openai.OpenAI):
            with client.post(path, cast_to=object, body=body, stream=True, stream_cls=openai.Stream[object]) as opened:
                for data in opened.response.iter_bytes():
                    reader.feed(data)
                    parts.append(data)
        else:
            sent = client.post(path, cast_to=object, body=body, stream=True, stream_cls=openai.AsyncStream[object])
            async with await sent as opened:
                async for data in opened.response.aiter_bytes():
                    reader.feed(data)
                    parts.append(data)
    except httpx2.TimeoutException as error:  # behind the head of an answer, openai's client translates no errors
        raise openai.APITimeoutError(request=error.request) from error
    except httpx2.TransportError as error:
        raise broken_off() from error
    return b"".join(parts).decode(errors="replace")
