"""A server on the loopback for the tests of `fetch`, with pages that a test prepares."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from langchain_core.tools import BaseTool

Reply = tuple[int, dict[str, str], bytes]


class Site:
    """A server on the loopback that gives prepared answers and records its requests."""

    def __init__(self) -> None:
        self.replies: dict[str, Reply | Callable[[BaseHTTPRequestHandler], None]] = {}
        self.asked: list[tuple[str, str]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append((self.headers["Host"], self.path))
                reply = site.replies.get(self.path, (404, {}, b"no"))
                if callable(reply):
                    reply(self)
                    return
                status, headers, body = reply
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    self.wfile.write(body)
                except (BrokenPipeError, ConnectionResetError):  # the reader has had enough
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = int(self.server.server_address[1])
        self.over = threading.Event()
        self.thread = threading.Thread(target=lambda: self.server.serve_forever(poll_interval=0.01))

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def page(self, path: str, body: bytes | str, kind: str = "text/plain", **headers: str) -> str:
        raw = body.encode() if isinstance(body, str) else body
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.replies[path] = (200, {"Content-Type": kind, **named}, raw)
        return self.url(path)


def ask(tool: BaseTool, url: str, start: int = 0) -> str:
    return str(tool.invoke({"url": url, "start": start}))
