"""Connections to MCP servers, kept open on one background event loop.

A server keeps its session while its tools are in use. Starting a program takes seconds, and many servers hold state
for later calls (an open page, a transaction).

A session belongs to the event loop and the task that opened it, but tools are called from threads and from any loop.
All sessions therefore live on one loop, each in a task of its own, and callers wait for that loop.

The next call reopens a dead session. A call that was sent is never sent again, because it may have had its effect.

Programs end when their tools are gone or the process ends, if necessary by force. If the process itself is killed, they
only see the end of their input, and a program that ignores it goes on.
"""

import asyncio
import atexit
import logging
import os
import ssl
import threading
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from orchestrator_tools.forks import forget_in_children, keep_for_ever
from orchestrator_tools.mcp.config import ServerSettings
from orchestrator_tools.mcp.text import SESSION_UNKNOWN, McpCallError, mended, reason

if TYPE_CHECKING:
    from mcp import ClientSession
    from mcp.types import CallToolResult

T = TypeVar("T")
_PATIENCE_S: Final = 10.0
"""Time to end all sessions. The SDK gives a program 2 s to end by itself, and 2 s more after a request."""
_PING_S: Final = 5.0
_LAST_WORDS_S: Final = 1.0
_TAIL: Final = 2_000

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_live: set["_Session"] = set()
"""Used on the background loop only."""


def _background() -> asyncio.AbstractEventLoop:
    global _loop
    with _lock:
        if _loop is None or _loop.is_closed():
            _loop = asyncio.new_event_loop()
            thread = threading.Thread(target=_loop.run_forever, name="tools-mcp", daemon=True)
            thread.start()
            atexit.register(_shut_down, _loop, thread)
        return _loop


class _Background:
    """Lets a forked child begin without the loop and the sessions of its parent."""

    def forget_parent(self) -> None:
        global _loop, _lock
        keep_for_ever(_loop, set(_live))
        _loop, _lock = None, threading.Lock()
        _live.clear()


_BACKGROUND = _Background()
forget_in_children(_BACKGROUND)


def _shut_down(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    if loop is not _loop:  # a forked child inherits the hook, and not the thread
        return
    asyncio.run_coroutine_threadsafe(_end_all(), loop).result(_PATIENCE_S + 2)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(_PATIENCE_S)
    loop.close()


async def _end_all() -> None:
    tasks = [session.task for session in _live]
    for session in list(_live):
        session.stop.set()
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=_PATIENCE_S)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)


def blocking(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the background loop, and wait for the result in this thread."""
    future = asyncio.run_coroutine_threadsafe(work, _background())
    try:
        return future.result()
    except BaseException:
        future.cancel()  # for an interrupted wait; without effect if the work itself has raised
        raise


async def awaiting(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the background loop, and wait for the result on this loop."""
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, _background()))


def close_mcp_servers() -> None:
    """End all started servers and all connections. A later call of a tool opens them again."""
    if _loop is not None and not _loop.is_closed():
        blocking(_end_all())


class _Tail(asyncio.Protocol):
    """The last bytes that a program writes to its standard error."""

    def __init__(self) -> None:
        self._raw = b""

    def data_received(self, data: bytes) -> None:
        self._raw = (self._raw + data)[-_TAIL:]

    def lines(self) -> str:
        """Return the last lines as one line."""
        kept = self._raw.decode("utf-8", "replace").strip().splitlines()[-3:]
        return " / ".join("".join(c if c.isprintable() else " " for c in line).strip() for line in kept)


def _is_no_noise(record: logging.LogRecord) -> bool:
    """False for the SDK's traceback about a line that is no message; such lines are skipped or repaired."""
    return record.msg != "Failed to parse JSONRPC message from server"


@asynccontextmanager
async def _stdio(settings: ServerSettings, tail: _Tail) -> AsyncIterator[tuple[Any, Any]]:
    from mcp import StdioServerParameters
    from mcp.client.stdio import stdio_client

    logging.getLogger(stdio_client.__module__).addFilter(_is_no_noise)
    # The SDK adds the variables that a program needs to start, and no keys of the user's.
    language = {name: os.environ[name] for name in ("LANG", "LC_ALL") if name in os.environ}
    started = StdioServerParameters(
        command=settings.command or "",
        args=list(settings.args),
        env={**language, **settings.env},
        cwd=settings.cwd,
        encoding_error_handler="replace",  # a program may write bytes that are no UTF-8
    )
    # The SDK hands its error log to the program, so the log must be a file with a descriptor.
    reading, writing = os.pipe()
    pipe, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: tail, os.fdopen(reading, "rb"))
    try:
        with os.fdopen(writing, "w") as errors:
            async with stdio_client(started, errlog=errors) as streams:
                errors.close()  # the program has a copy, and the pipe must end with the program
                yield streams
    finally:
        pipe.close()


@cache
def _tls() -> ssl.SSLContext:
    """Return the shared TLS context; making one reads all certificates of the system."""
    import httpx

    return httpx.create_ssl_context()


@asynccontextmanager
async def _http(settings: ServerSettings) -> AsyncIterator[tuple[Any, Any]]:
    import httpx
    from mcp.client.streamable_http import streamable_http_client

    url = settings.url or ""
    host = httpx.URL(url).host
    client = httpx.AsyncClient(
        headers=settings.headers,
        timeout=httpx.Timeout(30.0, read=None),  # each request has a deadline of its own
        verify=_tls(),
        follow_redirects=False,  # a redirect would carry the headers to another server
        trust_env=not (host == "localhost" or host.startswith("127.") or host == "::1"),  # no proxy to this machine
    )
    async with client, streamable_http_client(url, http_client=client) as (read, write, _):
        yield read, write


class _Session:
    """One live session, owned by one task: the SDK's contexts must be closed by the task that opened them."""

    def __init__(self, settings: ServerSettings, limit: float) -> None:
        self.settings = settings
        self.stop = asyncio.Event()
        self.opened: asyncio.Future[ClientSession] = asyncio.get_running_loop().create_future()
        self.in_flight = 0
        self.suspect = False
        """True if a call got no answer in time, so that the server may hang."""
        self.cause: BaseException | None = None
        self.tail = _Tail()
        self.task = asyncio.create_task(self._own(limit))
        _live.add(self)
        self.task.add_done_callback(lambda _: _live.discard(self))

    @property
    def usable(self) -> bool:
        """True if a call may be sent."""
        return not self.task.done() and not self.stop.is_set()

    async def _own(self, limit: float) -> None:
        try:
            await self._open_until_stopped(limit)
        except BaseException as error:  # noqa: BLE001 - raised again for the callers that wait
            self.cause = error
        finally:
            if not self.opened.done():
                self.opened.set_exception(self.cause or ConnectionError("it was ended"))
                self.opened.exception()  # marks it as retrieved: there may be no caller left

    async def _open_until_stopped(self, limit: float) -> None:
        import anyio
        from mcp import ClientSession
        from mcp.shared.message import SessionMessage

        async with AsyncExitStack() as stack:
            # Entering only starts the program, or connects nothing yet. A timeout in the middle of it would leave
            # the SDK's streams open, so the limit begins afterwards.
            transport = _stdio(self.settings, self.tail) if self.settings.command else _http(self.settings)
            read, write = await stack.enter_async_context(transport)
            async with asyncio.timeout(limit):
                sink, source = anyio.create_memory_object_stream[SessionMessage | Exception](0)
                for stream in (read, sink, source):
                    stack.callback(stream.close)
                passing = asyncio.create_task(self._pass_on(read, sink))
                stack.push_async_callback(_ended, passing)
                session = await stack.enter_async_context(ClientSession(source, write))
                await session.initialize()
            self.opened.set_result(session)
            await self.stop.wait()

    async def _pass_on(self, read: Any, sink: Any) -> None:
        """Pass messages to the session, repaired if possible, and end the session with the stream."""
        import anyio

        async with sink:
            with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
                async for message in read:
                    await sink.send(mended(message) if isinstance(message, Exception) else message)
        if self.opened.done():
            self.stop.set()

    async def ask(self, make: Callable[["ClientSession"], Awaitable[T]]) -> T:
        """Make one request, and stop waiting if the session ends.

        Raises:
            McpError: The server refuses the request.
            ConnectionError: The session ended first, for an unknown cause.
            Exception: The session ended first, with this error.
        """
        import anyio
        from mcp import McpError
        from mcp.types import CONNECTION_CLOSED

        session = await asyncio.shield(self.opened)  # several callers wait for it, and one may give up
        self.in_flight += 1
        asked = asyncio.ensure_future(make(session))
        try:
            await asyncio.wait({asked, self.task}, return_when=asyncio.FIRST_COMPLETED)
            if asked.done():
                return await asked
            raise ConnectionError("it ended")
        except (anyio.ClosedResourceError, anyio.BrokenResourceError, McpError, ConnectionError) as error:
            if isinstance(error, McpError) and error.error.code != CONNECTION_CLOSED:
                raise
            await asyncio.wait({self.task}, timeout=_LAST_WORDS_S)  # the cause is known when the task has ended
            raise self.cause or ConnectionError("it ended") from error
        finally:
            self.in_flight -= 1
            await _ended(asked)


async def _ended(task: "asyncio.Future[Any]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


class Server:
    """A server, as its tools use it. Run its coroutines on the background loop: see `blocking` and `awaiting`.

    Args:
        name: Name in the settings.
        settings: The program or address, and its settings.
        time_limit_s: Seconds to start the server, and to list its tools.
    """

    def __init__(self, name: str, settings: ServerSettings, time_limit_s: float) -> None:
        self.name = name
        self.settings = settings
        self.time_limit_s = time_limit_s
        self._slot: list[_Session] = []  # a list, so that the finalizer needs no reference to the server
        self._opening = asyncio.Lock()
        weakref.finalize(self, _let_go, self._slot).atexit = False  # at exit, `_shut_down` ends all sessions
        forget_in_children(self)

    def forget_parent(self) -> None:
        """Begin without a session; that of a forked child's parent goes on there."""
        keep_for_ever(list(self._slot))
        self._slot.clear()
        self._opening = asyncio.Lock()

    async def list(self, use: Callable[["ClientSession"], Awaitable[T]]) -> T:
        """Use a session for a request that may be repeated.

        Raises:
            McpCallError: The server cannot be used; the message is for a person, and quotes the server's output.
        """
        session: _Session | None = None
        try:
            async with asyncio.timeout(self.time_limit_s):
                session = await self._session()
                return await session.ask(use)
        except Exception as error:
            tail = session.tail.lines() if session else (self._slot[-1].tail.lines() if self._slot else "")
            output = f"; it wrote: {tail}" if tail else ""
            raise McpCallError(reason(error, self.settings, self.time_limit_s) + output) from error

    async def call(self, tool: str, arguments: dict[str, Any], limit: float) -> "CallToolResult":
        """Call a tool, at most once.

        Args:
            tool: The server's name of the tool.
            arguments: Arguments as plain JSON.
            limit: Seconds for opening the session and the call together.

        Raises:
            McpCallError: There is no answer; `unsure` is true if the call may have been carried out.
        """
        from mcp import McpError

        sent = reopened = False
        session: _Session | None = None
        try:
            async with asyncio.timeout(limit):
                while True:
                    session, sent = await self._session(), True
                    try:
                        return await session.ask(lambda open_session: _call(open_session, tool, arguments))
                    except McpError as error:
                        # A restarted HTTP server refuses the old session before it looks at the call, so the call
                        # can be sent again.
                        if reopened or error.error.code != SESSION_UNKNOWN or self.settings.url is None:
                            raise
                        session.stop.set()
                        reopened, sent = True, False
        except Exception as error:
            if isinstance(error, TimeoutError) and session is not None:
                session.suspect = True
            raise McpCallError(reason(error, self.settings, limit), unsure=sent) from error

    async def _session(self) -> _Session:
        """Return a usable session, and open one if there is none."""
        async with self._opening:
            session = self._slot[-1] if self._slot else None
            if session is not None and session.usable and session.suspect and not session.in_flight:
                await self._probe(session)
            if session is None or not session.usable:
                session = _Session(self.settings, self.time_limit_s)
                self._slot[:] = [session]
        if not session.opened.done() or session.opened.exception() is not None:
            await asyncio.shield(session.opened)
        return session

    async def _probe(self, session: _Session) -> None:
        """End a session whose server hangs, together with a program that was started here."""
        try:
            async with asyncio.timeout(_PING_S):
                await session.ask(lambda opened: opened.send_ping())
            session.suspect = False
        except Exception:  # noqa: BLE001 - a new session is the remedy for any error
            session.stop.set()


async def _call(session: "ClientSession", tool: str, arguments: dict[str, Any]) -> "CallToolResult":
    from mcp import types

    # `ClientSession.call_tool` also lists the tools and checks the answer's form, and can lose the answer by that.
    request = types.CallToolRequest(params=types.CallToolRequestParams(name=tool, arguments=arguments))
    return await session.send_request(types.ClientRequest(request), types.CallToolResult)


def _let_go(slot: list[_Session]) -> None:
    """End the session of a server whose tools are gone."""
    if _loop is not None and not _loop.is_closed():
        for session in slot:
            _loop.call_soon_threadsafe(session.stop.set)
