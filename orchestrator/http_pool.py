"""The HTTP client under the OpenAI client: one for each event loop, over many small connection pools.

One pool of a few hundred connections spends most of its time on searching its own lists; requests spread over several
pools cost about a fifth less. The TLS context is made once a process, and only when an endpoint wants one: it takes
20 ms. A client belongs to the event loop that opened its connections, so each loop has its own.
"""

import asyncio
import itertools
import ssl
from collections.abc import Sequence
from functools import cache
from weakref import WeakKeyDictionary

import httpx2

POOLS = 16
_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[bool, httpx2.AsyncBaseTransport]] = WeakKeyDictionary()


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


class LoopTransport(httpx2.AsyncBaseTransport):
    """Sends each request over the transport of the event loop that it is made on."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Sends one request."""
        secure = request.url.scheme == "https"
        by_kind = _clients.setdefault(asyncio.get_running_loop(), {})
        transport = by_kind.get(secure)
        if transport is None:
            limits = httpx2.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=30)
            verify: ssl.SSLContext | bool = _tls() if secure else False
            pools = [httpx2.AsyncHTTPTransport(verify=verify, limits=limits) for _ in range(POOLS)]
            transport = by_kind[secure] = _Spread(pools)
        return await transport.handle_async_request(request)
