"""Fetching: pages that are too large, decompression bombs, slow or malformed end in one clear error."""

import gzip
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

import pytest
from langchain_core.tools import BaseTool
from orchestrator_tools.web.fetch import fetch_tool

from tests.tools.web.loopback_site import Site, ask


def bomb(pack: Callable[[bytes], bytes]) -> bytes:
    return pack(b"\0" * 30_000_000)


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("x-gzip", lambda raw: gzip.compress(raw[:0]) * 200_000)],
)
def test_bombs_are_noticed_while_they_grow(
    site: Site, fetch: BaseTool, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    url = site.page("/b", bomb(pack), Content_Encoding=encoding)
    tracemalloc.start()
    try:
        assert "larger than the limit of 2,000,000 bytes" in ask(fetch, url)
        assert tracemalloc.get_traced_memory()[1] < 16_000_000
    finally:
        tracemalloc.stop()


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", raw_deflate),
        ("gzip", lambda body: gzip.compress(body[:5]) + gzip.compress(body[5:])),
        ("identity", bytes),
    ],
)
def test_packed_pages_are_unpacked(site: Site, fetch: BaseTool, encoding: str, pack: Callable[[bytes], bytes]) -> None:
    body = "packed page\n" * 50_000
    answer = ask(fetch, site.page("/p", pack(body.encode()), Content_Encoding=encoding))
    assert f"of {len(body)}; to read on" in answer


def test_wrong_and_unknown_packings_are_errors(site: Site, fetch: BaseTool) -> None:
    assert "packed wrongly" in ask(fetch, site.page("/a", b"not packed", Content_Encoding="gzip"))
    assert "cannot be read (zstd)" in ask(fetch, site.page("/b", b"x", Content_Encoding="zstd"))
    assert "cannot be read (gzip, gzip)" in ask(fetch, site.page("/c", b"x", Content_Encoding="gzip, gzip"))


def test_a_large_page_is_refused_by_what_it_announces_and_by_what_it_sends(site: Site, fetch: BaseTool) -> None:
    url = site.page("/a", b"", Content_Length="99999999999999")
    assert "larger than the limit" in ask(fetch, url)
    assert "larger than the limit" in ask(fetch, site.page("/b", b"x" * 2_100_000))


def test_huge_headers_are_an_error(site: Site, fetch: BaseTool) -> None:
    url = site.page("/h", "x", X_Much="y" * 300_000, X_More="y" * 300_000)
    assert "no proper HTTP" in ask(fetch, url)


def test_what_is_no_http_is_an_error(site: Site, fetch: BaseTool) -> None:
    def babble(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"220 mail.example ESMTP\r\n")
        handler.close_connection = True

    site.replies["/m"] = babble
    assert "no proper HTTP" in ask(fetch, site.url("/m"))


def drip(first: bytes, more: bytes) -> Callable[[Site], Callable[[BaseHTTPRequestHandler], None]]:
    def for_site(site: Site) -> Callable[[BaseHTTPRequestHandler], None]:
        def handle(handler: BaseHTTPRequestHandler) -> None:
            handler.close_connection = True
            try:
                handler.wfile.write(first)
                while not site.over.wait(0.05):
                    handler.wfile.write(more)
            except OSError:
                return

        return handle

    return for_site


@pytest.mark.parametrize(
    "slow",
    [
        drip(b"", b""),
        drip(b"HTTP/1.1 200 OK\r\n", b"X-More: y\r\n"),
        drip(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n", b"z"),
        drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["silent", "headers", "body", "continue"],
)
def test_a_server_that_drips_is_left_at_the_time_limit(
    site: Site, slow: Callable[[Site], Callable[[BaseHTTPRequestHandler], None]]
) -> None:
    site.replies["/s"] = slow(site)
    tool = fetch_tool(allow=[f"127.0.0.1:{site.port}"], time_limit_s=0.7)
    begin = time.monotonic()
    assert "took longer than the limit of 0.7 seconds" in ask(tool, site.url("/s"))
    assert time.monotonic() - begin < 20


def test_a_name_server_that_does_not_answer_is_left_at_the_time_limit() -> None:
    over = threading.Event()

    def silent(host: str, port: int) -> list[str]:
        over.wait(60)
        return []

    answer = ask(fetch_tool(resolve=silent, time_limit_s=0.3), "http://slow.example.org/")
    over.set()
    assert "took longer than the limit of 0.3 seconds" in answer
