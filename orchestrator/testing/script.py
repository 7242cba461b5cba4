"""Scripts: what a double of a model answers to which request. One script serves in process and over HTTP."""

import asyncio
import hashlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

ATTEMPT_TIMEOUT_S = 30.0


class UnscriptedCallError(AssertionError):
    """The model was asked something that its script does not answer."""


class Gate:
    """Holds a reply back until the test lets it go, so that tests force an order instead of sleeping for it."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self._open = threading.Event()
        self._lock = threading.Lock()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []

    def release(self) -> None:
        """Lets every held and every later reply go."""
        with self._lock:
            self._open.set()
            waiting, self._waiting = self._waiting, []
        for loop, future in waiting:
            loop.call_soon_threadsafe(lambda f=future: f.done() or f.set_result(None))  # type: ignore[misc]

    def wait(self) -> None:
        """Waits in a thread.

        Raises:
            TimeoutError: Nobody released it.
        """
        self.entered.set()
        if not self._open.wait(ATTEMPT_TIMEOUT_S):
            raise TimeoutError("the gate was never released")

    async def await_(self) -> None:
        """Waits on an event loop."""
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
    """What the model answers.

    Args:
        text: Its text; for a structured answer, JSON.
        calls: Tool calls as (name, arguments).
        error: Raised instead.
        gate: Holds the reply back.
        usage: Whether token counts are reported.
    """

    text: str = ""
    calls: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    error: BaseException | None = None
    gate: Gate | None = None
    usage: bool = True

    def behind(self, gate: Gate) -> "Reply":
        """The same reply, held back."""
        return replace(self, gate=gate)


@dataclass(frozen=True)
class Request:
    """What the model is asked, in plain form.

    Args:
        messages: (role, text) pairs; roles are system, user, assistant, tool.
        tools: Names of the tools that it may call.
        schema: The JSON schema that the answer must fit, if one.
        max_tokens: Most tokens of the answer, if that is limited.
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
        """The last thing that a user said."""
        return next((text for role, text in reversed(self.messages) if role == "user"), "")

    @property
    def step(self) -> int:
        """How often the model has answered in this conversation already."""
        return sum(role == "assistant" for role, _ in self.messages)


Script = Callable[[Request], Reply]


def say(text: str) -> Reply:
    """A plain answer."""
    return Reply(text=text)


def call(name: str, /, **arguments: Any) -> Reply:
    """A call of one tool."""
    return Reply(calls=((name, arguments),))


def structure(data: Any) -> Reply:
    """A structured answer."""
    return Reply(text=json.dumps(data))


def fail(error: BaseException) -> Reply:
    """An exception instead of an answer."""
    return Reply(error=error)


def hang() -> Reply:
    """Never answers; ends when the caller is cancelled, or after a time limit."""
    return Reply(gate=Gate())


def call_ids(reply: Reply, request: Request) -> Sequence[str]:
    """Ids for the reply's calls: the same conversation gets the same ids, in any process."""
    seed = json.dumps([request.messages, [list(part) for part in reply.calls]], default=dict)
    return [f"call_{hashlib.sha256(f'{seed}{at}'.encode()).hexdigest()[:12]}" for at in range(len(reply.calls))]


def in_order(replies: Sequence[Reply | str]) -> Script:
    """A script that gives these replies one after the other, whatever it is asked."""
    rest, lock = list(replies), threading.Lock()

    def answer(request: Request) -> Reply:
        with lock:
            if not rest:
                raise UnscriptedCallError(f"the script has no reply left for:\n{request.text[-800:]}")
            reply = rest.pop(0)
        return say(reply) if isinstance(reply, str) else reply

    return answer


def count(text: str) -> int:
    """The tokens that a double reports for a text: its words."""
    return max(1, len(text.split()))


def cut(text: str, most: int | None, counter: Callable[[str], int] = count) -> str:
    """The longest beginning of a text that has no more tokens than asked for."""
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
