"""The HTTP client under the OpenAI client: one for each event loop, over many small connection pools.

One pool of a few hundred connections spends most of its time on searching its own lists; requests spread over several
pools cost about a fifth less. The TLS context is made once a process, and only when an endpoint wants one: it takes
20 ms. A client belongs to the event loop that opened its connections, so each loop has its own, and takes it along
when it ends: the pools live in an asynchronous generator, which `asyncio.run` closes before it closes its loop.
"""

import asyncio
import itertools
import ssl
from collections.abc import AsyncGenerator, Sequence
from functools import cache

import httpx2

POOLS = 16
_Pools = AsyncGenerator[httpx2.AsyncBaseTransport, None]
_clients: dict[tuple[asyncio.AbstractEventLoop, bool], tuple[_Pools, httpx2.AsyncBaseTransport]] = {}


@cache
def _tls() -> ssl.SSLContext:
    return httpx2.create_ssl_context()


class _Spread(httpx2.AsyncBaseTransport):
    """Hands requests round to its transports."""

    def __init__(self, transports: Sequence[httpx2.AsyncBaseTransport]) -> None:
        self._transports = transports
        self._turn = itertools.cycle(transports)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return await next(self._turn).handle_async_request(request)

    async def aclose(self) -> None:
        for transport in self._transports:
            await transport.aclose()


async def _pools(key: tuple[asyncio.AbstractEventLoop, bool]) -> _Pools:
    """The transport of a loop; closed and forgotten when the loop shuts its generators down."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=30)
    verify: ssl.SSLContext | bool = _tls() if key[1] else False
    spread = _Spread([httpx2.AsyncHTTPTransport(verify=verify, limits=limits) for _ in range(POOLS)])
    try:
        yield spread
    finally:
        _clients.pop(key, None)
        await spread.aclose()


class LoopTransport(httpx2.AsyncBaseTransport):
    """Sends each request over the transport of the event loop that it is made on."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Sends one request."""
        key = (asyncio.get_running_loop(), request.url.scheme == "https")
        if key not in _clients:
            pools = _pools(key)
            _clients[key] = (pools, await anext(pools))  # does not suspend: no second request comes between
        return await _clients[key][1].handle_async_request(request)
