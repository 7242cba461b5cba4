"""HTTP transports under the OpenAI client: one for each event loop, each over many small connection pools.

A connection belongs to the event loop that opened it, so no two loops share a transport.
"""

import asyncio
import atexit
import itertools
import ssl
from collections.abc import AsyncGenerator, Sequence
from functools import cache
from typing import NamedTuple

import httpx2

from orchestrator.errors import ConfigError
from orchestrator.forks import after_fork, forget_in_children, keep_for_ever
from orchestrator.redaction import redact

# One pool of a few hundred connections spends most of its time searching its own lists. Requests over several pools
# cost about a fifth less.
POOLS = 16
# By default httpx2 opens at most 100 connections. Further requests wait for one, and some end with PoolTimeout.
_LIMITS = httpx2.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=30)

_Pools = AsyncGenerator[httpx2.AsyncBaseTransport, None]


class _Key(NamedTuple):
    loop: asyncio.AbstractEventLoop
    secure: bool
    proxy: str | None


_clients: dict[_Key, tuple[_Pools, httpx2.AsyncBaseTransport]] = {}


# A forked child must not send requests over connections that it shares with its parent.
def _forget_parent() -> None:
    keep_for_ever(dict(_clients))
    _clients.clear()


after_fork(_forget_parent)


@cache  # making a context takes 20 ms
def _tls() -> ssl.SSLContext:
    return httpx2.create_ssl_context()


class _Spread(httpx2.AsyncBaseTransport):
    """Send each request over the next of several transports."""

    def __init__(self, transports: Sequence[httpx2.AsyncBaseTransport]) -> None:
        self._transports = transports
        self._turn = itertools.cycle(transports)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return await next(self._turn).handle_async_request(request)

    async def aclose(self) -> None:
        for transport in self._transports:
            await transport.aclose()


async def _pools(key: _Key) -> _Pools:
    """Yield the transport of a loop, and close the transport when the loop ends."""
    # An asynchronous generator, because `asyncio.run` closes those before it closes its loop.
    verify: ssl.SSLContext | bool = _tls() if key.secure else False
    spread = _Spread([httpx2.AsyncHTTPTransport(verify=verify, limits=_LIMITS, proxy=key.proxy) for _ in range(POOLS)])
    try:
        yield spread
    finally:
        _clients.pop(key, None)
        await spread.aclose()


class LoopTransport(httpx2.AsyncBaseTransport):
    """Send each request over the transport of the running event loop.

    Args:
        proxy: The proxy for all requests; see `proxy_for`. httpx reads the environment's proxies only for a client
            without a transport of its own.
    """

    def __init__(self, proxy: str | None = None) -> None:
        self._proxy = proxy

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request."""
        key = _Key(asyncio.get_running_loop(), request.url.scheme == "https", self._proxy)
        if key not in _clients:
            pools = _pools(key)
            _clients[key] = (pools, await anext(pools))  # does not suspend, so no second request comes between
        return await _clients[key][1].handle_async_request(request)


class _ProcessTransport(httpx2.BaseTransport):
    """Sends requests of threads over one pool of connections; a forked child has a pool of its own."""

    def __init__(self, proxy: str | None) -> None:
        self._proxy = proxy
        self._inner = self._make()
        forget_in_children(self)

    def _make(self) -> httpx2.HTTPTransport:
        return httpx2.HTTPTransport(verify=_tls(), limits=_LIMITS, proxy=self._proxy)

    def forget_parent(self) -> None:
        """Begin with an empty pool; the parent's is left open, since closing it would end the parent's connections."""
        keep_for_ever(self._inner)
        self._inner = self._make()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request."""
        return self._inner.handle_request(request)

    def close(self) -> None:
        """Close the connections of this process."""
        self._inner.close()


@cache
def blocking_client(proxy: str | None) -> httpx2.Client:
    """Return the client for threads: one in the process for each proxy, closed when the process ends.

    Args:
        proxy: See `proxy_for`.

    Raises:
        ConfigError: The proxy's address is malformed, or its kind is not supported.
    """
    try:
        transport = _ProcessTransport(proxy)
    except ImportError as error:
        raise ConfigError("the environment names a SOCKS proxy, which needs: pip install socksio") from error
    except (ValueError, httpx2.InvalidURL) as error:
        raise ConfigError(redact(f"the proxy that the environment names cannot be used: {error}")) from error
    # The OpenAI client follows redirects only over clients that it makes itself.
    client = httpx2.Client(transport=transport, follow_redirects=True)
    atexit.register(client.close)
    return client
