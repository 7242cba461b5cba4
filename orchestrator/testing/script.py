"""Scripts: the answers of a double of a model. One script serves in process and over HTTP."""

import asyncio
import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

ATTEMPT_TIMEOUT_S = 30.0


class UnscriptedCallError(AssertionError):
    """The script has no answer to a request."""


class Gate:
    """Hold a reply back until the test releases it, so that a test forces an order instead of sleeping for it."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self._open = threading.Event()
        self._lock = threading.Lock()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []

    def release(self) -> None:
        """Release all held and all later replies."""
        with self._lock:
            self._open.set()
            waiting, self._waiting = self._waiting, []
        for loop, future in waiting:
            with contextlib.suppress(RuntimeError):  # a loop that was closed after its caller was cancelled
                # The future of a caller that was cancelled is done already.
                loop.call_soon_threadsafe(lambda f=future: f.done() or f.set_result(None))  # type: ignore[misc]

    def wait(self) -> None:
        """Wait in a thread.

        Raises:
            TimeoutError: The gate stayed closed for too long.
        """
        self.entered.set()
        if not self._open.wait(ATTEMPT_TIMEOUT_S):
            raise TimeoutError("the gate was never released")

    async def await_(self) -> None:
        """Wait on an event loop."""
        with self._lock:
            if self._open.is_set():
                self.entered.set()
                return
            loop = asyncio.get_running_loop()
            future: asyncio.Future[None] = loop.create_future()
            self._waiting.append((loop, future))
        self.entered.set()
        await future


@dataclass(frozen=True)
class Reply:
    """The answer of the model.

    Args:
        text: The text; for a structured answer, JSON.
        calls: Tool calls as (name, arguments).
        error: An exception to raise instead.
        gate: A gate that holds the reply back.
        usage: Report token counts.
        pieces: The parts in which a stream sends the text; by default its words.
        gate_after: The parts that a stream sends before the gate holds it.
        breaks_after: The parts after which the connection is lost, instead of the rest; None for a whole answer.
    """

    text: str = ""
    calls: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    error: BaseException | None = None
    gate: Gate | None = None
    usage: bool = True
    pieces: tuple[str, ...] = ()
    gate_after: int = 0
    breaks_after: int | None = None

    def behind(self, gate: Gate, after: int = 0) -> "Reply":
        """Return the same reply, held back by a gate.

        Args:
            gate: The gate.
            after: The parts that a stream sends before.
        """
        return replace(self, gate=gate, gate_after=after)

    def parts(self, text: str) -> list[str]:
        """Return the parts in which a stream sends the text, which may be cut at a limit."""
        if text == "".join(self.pieces):
            return list(self.pieces)
        return re.findall(r"\s*\S+\s*\Z|\s*\S+|\s+\Z", text)


@dataclass(frozen=True)
class Request:
    """A request to the model, in plain form.

    Args:
        messages: (role, text) pairs; roles are system, user, assistant, tool.
        tools: Names of the tools that the model may call.
        schema: The JSON schema of the answer; empty for none.
        max_tokens: The largest number of tokens of the answer; None for no limit.
    """

    messages: tuple[tuple[str, str], ...]
    tools: tuple[str, ...] = ()
    schema: Mapping[str, Any] = field(default_factory=dict)
    max_tokens: int | None = None

    @property
    def title(self) -> str:
        """The schema's title."""
        return str(self.schema.get("title", ""))

    @property
    def text(self) -> str:
        """The whole conversation."""
        return "\n".join(text for _, text in self.messages)

    @property
    def last_user(self) -> str:
        """The last message of a user."""
        return next((text for role, text in reversed(self.messages) if role == "user"), "")

    @property
    def step(self) -> int:
        """The number of answers of the model in this conversation so far."""
        return sum(role == "assistant" for role, _ in self.messages)


Script = Callable[[Request], Reply]


def say(text: str) -> Reply:
    """Return a plain answer."""
    return Reply(text=text)


def call(name: str, /, **arguments: Any) -> Reply:
    """Return a call of one tool."""
    return Reply(calls=((name, arguments),))


def structure(data: Any) -> Reply:
    """Return a structured answer."""
    return Reply(text=json.dumps(data))


def fail(error: BaseException) -> Reply:
    """Return an answer that raises an exception."""
    return Reply(error=error)


def hang() -> Reply:
    """Return an answer that never comes; the wait ends with the caller or after a time limit."""
    return Reply(gate=Gate())


def call_ids(reply: Reply, request: Request) -> Sequence[str]:
    """Return ids for the calls of a reply. The same conversation gets the same ids in any process."""
    seed = json.dumps([request.messages, [list(part) for part in reply.calls]], default=dict)
    return [f"call_{hashlib.sha256(f'{seed}{at}'.encode()).hexdigest()[:12]}" for at in range(len(reply.calls))]


def in_order(replies: Sequence[Reply | str]) -> Script:
    """Return a script that gives the replies one after the other, to any requests."""
    rest, lock = list(replies), threading.Lock()

    def answer(request: Request) -> Reply:
        with lock:
            if not rest:
                raise UnscriptedCallError(f"the script has no reply left for:\n{request.text[-800:]}")
            reply = rest.pop(0)
        return say(reply) if isinstance(reply, str) else reply

    return answer


def count(text: str) -> int:
    """Return the tokens that a double reports for a text: its words."""
    return max(1, len(text.split()))


def cut(text: str, most: int | None, counter: Callable[[str], int] = count) -> str:
    """Return the longest beginning of a text within a limit of tokens."""
    if most is None or counter(text) <= most:
        return text
    low, high = 0, len(text)  # invariant: text[:low] is short enough
    while low < high:
        middle = (low + high + 1) // 2
        if counter(text[:middle]) <= most:
            low = middle
        else:
            high = middle - 1
    return text[:low]
