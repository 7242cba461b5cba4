"""One GET over HTTP within limits of time and size, to addresses that a `Gate` permits.

The code uses httpcore2, the protocol layer of httpx2, because every connection goes through its network backend. The
backend checks the addresses and keeps the deadline. Nothing comes from the environment: no proxy, which could resolve
names by itself, and no certificates.

An HTTP client's timeouts start anew at each wait, so a server could hold the line with a byte now and then. Here all
waits share one deadline.
"""

import ssl
import time
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import httpcore2
import httpx2
from langchain_core.tools import ToolException

from orchestrator_tools.web.addresses import Gate

_HEADERS: Final[dict[bytes | str, bytes | str]] = {
    "User-Agent": "agent-task-orchestrator",
    "Accept": "text/html, text/plain, text/markdown, application/pdf;q=0.9, */*;q=0.1",
    # Only encodings that can be unpacked piece by piece, and so with a limit.
    "Accept-Encoding": "gzip, deflate",
    "Connection": "close",
}
_PIECE: Final = 65_536


@dataclass(frozen=True)
class Answer:
    """The answer of a server.

    Args:
        url: The URL of the request.
        status: HTTP status.
        headers: Headers by lower-case name.
        body: The unpacked body; empty for a redirect or an error.
    """

    url: httpx2.URL
    status: int
    headers: dict[str, str]
    body: bytes


class Deadline:
    """A point in time that all steps of a task share.

    Args:
        seconds: Seconds from now.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left.

        Raises:
            TimeoutError: The deadline has passed.
        """
        seconds = self._end - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("the time limit was reached")
        return seconds


class _Stream(httpcore2.NetworkStream):
    """A connection whose steps all keep the deadline."""

    def __init__(self, inner: httpcore2.NetworkStream, deadline: Deadline) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadline.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._deadline.left())

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, self._deadline.left()), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore2.NetworkBackend):
    """A backend that connects to checked IP addresses only. TLS still verifies the certificate of the name."""

    def __init__(self, gate: Gate, deadline: Deadline) -> None:
        self._gate = gate
        self._deadline = deadline
        self._inner = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        failed: httpcore2.ConnectError | httpcore2.ConnectTimeout | None = None
        for address in self._gate.addresses(host, port, self._deadline.left()):
            try:
                stream = self._inner.connect_tcp(address, port, self._deadline.left(), local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failed = error
            else:
                return _Stream(stream, self._deadline)
        raise failed or httpcore2.ConnectError("no address")

    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        raise httpcore2.ConnectError("local sockets are no addresses in the web")


def get(url: httpx2.URL, gate: Gate, deadline: Deadline, max_bytes: int, tls: ssl.SSLContext) -> Answer:
    """Request one URL, without following redirects.

    Args:
        url: A result of `Gate.url`.
        gate: The gate that permits the connection.
        deadline: The end of all steps together.
        max_bytes: Largest number of bytes of the body, packed and unpacked.
        tls: The certificates to trust.

    Raises:
        ToolException: The address is not permitted, or the answer is too large.
        TimeoutError: The deadline has passed.
        OSError: There was no answer; the message says why.
    """
    request = httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
    try:
        with (
            httpcore2.ConnectionPool(ssl_context=tls, network_backend=_Backend(gate, deadline)) as pool,
            pool.stream("GET", request, headers=_HEADERS) as response,
        ):
            headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
            body = b""
            if 200 <= response.status < 300:
                body = _body(response.iter_stream(), headers, max_bytes, deadline)
            return Answer(url, response.status, headers, body)
    except httpcore2.TimeoutException as error:
        raise TimeoutError("the time limit was reached") from error
    except httpcore2.NetworkError as error:
        raise OSError(str(error) or "the connection failed") from error
    except httpcore2.ProtocolError as error:
        raise OSError("the answer is no proper HTTP") from error


def _body(pieces: Iterable[bytes], headers: dict[str, str], max_bytes: int, deadline: Deadline) -> bytes:
    too_large = ToolException(
        f"error: the page is larger than the limit of {max_bytes:,} bytes; use another address, or go on without it"
    )
    announced = headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > max_bytes:  # int() of 5,000 digits is a ValueError
        raise too_large
    body = bytearray()
    for piece in _unpacked(_counted(pieces, max_bytes, too_large), headers.get("content-encoding", "")):
        deadline.left()
        body += piece
        if len(body) > max_bytes:
            raise too_large
    return bytes(body)


def _counted(pieces: Iterable[bytes], most: int, too_large: ToolException) -> Iterator[bytes]:
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > most:  # gzip's empty members can make a body endless that unpacks to nothing
            raise too_large
        yield piece


def _unpacked(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """Yield the decoded body."""
    # In pieces of a limited size, so that a decompression bomb is noticed when it begins to grow.
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        yield from pieces
        return
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise ToolException(f"error: the page is packed in a way that cannot be read ({encoding[:40]}); use another")
    first = next(pieces, b"")
    # "deflate" comes with zlib's header, as the standard says, or without, as many servers send it.
    bare = encoding == "deflate" and not (first[:1] and first[0] & 0x0F == 8)
    window = 31 if encoding.endswith("gzip") else (-15 if bare else 15)
    unpacker = zlib.decompressobj(window)
    try:
        for piece in _with_first(first, pieces):
            rest = piece
            while rest:
                yield unpacker.decompress(rest, _PIECE)
                rest = unpacker.unconsumed_tail
                if unpacker.eof and window == 31:  # gzip may have several members
                    rest, unpacker = unpacker.unused_data, zlib.decompressobj(window)
        yield unpacker.flush()
    except zlib.error as error:
        raise OSError("the page is packed wrongly") from error


def _with_first(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
