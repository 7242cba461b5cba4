"""OpenAIServer: an OpenAI-compatible server on loopback that answers by a script and fails on demand."""

import json
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self

from orchestrator.testing.script import Reply, Request, Script, call_ids, count, cut, in_order


@dataclass(frozen=True)
class Fault:
    """A failure of a request instead of an answer.

    Args:
        status: The HTTP status; 0 cuts the connection.
        message: The message of the error.
        headers: Further headers, such as Retry-After.
        raw: The body, instead of an error object.
    """

    status: int = 500
    message: str = "it failed"
    headers: tuple[tuple[str, str], ...] = ()
    raw: str | None = None


Faults = Callable[[dict[str, Any]], Fault | None]


class _Server(ThreadingHTTPServer):
    """The sockets of an `OpenAIServer`."""

    daemon_threads = True
    request_queue_size = 128  # the default backlog of 5 refuses connections when many workers ask at once

    def __init__(self, double: "OpenAIServer") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.double = double

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that was stopped or killed takes its connection with it. That is no error of the server.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class OpenAIServer:
    """A context manager that serves `POST /v1/chat/completions` and `GET /v1/models` on a free port of 127.0.0.1.

    Args:
        script: As for `ScriptedModel`.
        faults: A function of the body of a chat request, or a list with an entry for each request in order. After None,
            the script answers.
        models: The models in the list of models.
        key: The only accepted key; None accepts any.
        listing: The answer to GET instead of the list: JSON-plain data, or a text as a page of HTML.
        streams: False for an endpoint that ignores `stream` and answers with one JSON object.
        usage_in: The chunks of a stream with a usage: the last, or `every` one.

    The server answers requests for any host, as a proxy does. `targets` has the targets of the request lines, and
    `bodies` the bodies of the chat requests.
    """

    def __init__(
        self,
        script: Script | Sequence[Reply | str],
        *,
        faults: Faults | Sequence[Fault | None] | None = None,
        models: Sequence[str] = ("scripted",),
        key: str | None = None,
        listing: object = None,
        streams: bool = True,
        usage_in: Literal["last", "every"] = "last",
    ) -> None:
        self.script: Script = script if callable(script) else in_order(script)
        self.bodies: list[dict[str, Any]] = []
        self.targets: list[str] = []
        self.listing = listing
        self.streams = streams
        self.usage_in = usage_in
        self.models = models
        self.key = key
        self._faults = faults if callable(faults) else _in_turn(faults or ())
        self._server = _Server(self)
        # `shutdown` waits for one interval, which is half a second by default.
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def base_url(self) -> str:
        """The address for `--base-url`."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def fault_for(self, body: dict[str, Any]) -> Fault | None:
        """Return the failure of this request; None for an answer."""
        return self._faults(body)


def _in_turn(faults: Sequence[Fault | None]) -> Faults:
    rest, lock = list(faults), threading.Lock()

    def next_fault(_: dict[str, Any]) -> Fault | None:
        with lock:
            return rest.pop(0) if rest else None

    return next_fault


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"  # keeps connections alive, as real endpoints do

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: tests are quiet."""

    def do_GET(self) -> None:
        double = self.server.double
        double.targets.append(self.path)
        if isinstance(double.listing, str):
            self._write(200, double.listing.encode(), kind="text/html")
            return
        models = [{"id": name, "object": "model"} for name in double.models]
        listing: object = {"object": "list", "data": models}
        self._send(200, listing if double.listing is None else double.listing)

    def do_POST(self) -> None:
        double = self.server.double
        double.targets.append(self.path)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        double.bodies.append(body)
        if double.key is not None and self.headers.get("Authorization") != f"Bearer {double.key}":
            self._fail(Fault(401, "Incorrect API key provided"))
            return
        if (fault := double.fault_for(body)) is not None:
            self._fail(fault)
            return
        request = _request(body)
        try:
            reply = double.script(request)
        except AssertionError as error:
            self._fail(Fault(500, str(error)))
            return
        message, usage = _completion(request, reply)
        if body.get("stream") and double.streams:
            self._stream(body, reply, message, usage)
            return
        if reply.gate is not None:
            reply.gate.wait()
        if reply.breaks_after is not None:
            self._fail(Fault(0))
        else:
            choice = {"index": 0, "message": message, "finish_reason": _finish(message)}
            self._send(200, {**_head(body), "choices": [choice], **({"usage": usage} if reply.usage else {})})

    def _fail(self, fault: Fault) -> None:
        if fault.status == 0:
            self.close_connection = True
            self.connection.close()
        elif fault.raw is not None:
            self._write(fault.status, fault.raw.encode(), fault.headers)
        else:
            self._send(fault.status, {"error": {"message": fault.message, "code": None}}, fault.headers)

    def _send(self, status: int, data: Any, headers: Sequence[tuple[str, str]] = ()) -> None:
        self._write(status, json.dumps(data).encode(), headers)

    def _write(
        self,
        status: int,
        body: bytes,
        headers: Sequence[tuple[str, str]] = (),
        kind: str = "application/json",
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, body: dict[str, Any], reply: Reply, message: dict[str, Any], usage: dict[str, int]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        head = {**_head(body), "object": "chat.completion.chunk"}
        asks_usage = reply.usage and (body.get("stream_options") or {}).get("include_usage")
        in_every = {"usage": usage} if asks_usage and self.server.double.usage_in == "every" else {}
        parts = reply.parts(message["content"] or "")[: reply.breaks_after]
        for number, delta in enumerate([{"role": "assistant"}, *({"content": part} for part in parts)]):
            self._event({**head, **in_every, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
            if reply.gate is not None and number == min(reply.gate_after, len(parts)):
                reply.gate.wait()
        if reply.breaks_after is not None:
            self._fail(Fault(0))
            return
        for at, tool_call in enumerate(message.get("tool_calls", ())):
            called = {"tool_calls": [{**tool_call, "index": at}]}
            self._event({**head, **in_every, "choices": [{"index": 0, "delta": called, "finish_reason": None}]})
        last = {"index": 0, "delta": {}, "finish_reason": _finish(message)}
        self._event({**head, **in_every, "choices": [last]})
        if asks_usage:
            self._event({**head, "choices": [], "usage": usage})
        self._event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def _event(self, data: Any) -> None:
        event = f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))


def _head(body: dict[str, Any]) -> dict[str, Any]:
    return {"id": "chatcmpl-scripted", "object": "chat.completion", "created": 0, "model": body.get("model", "")}


def _finish(message: dict[str, Any]) -> str:
    return "tool_calls" if message.get("tool_calls") else "stop"


def _request(body: dict[str, Any]) -> Request:
    wanted = (body.get("response_format") or {}).get("json_schema") or {}
    return Request(
        messages=tuple((message["role"], _text(message)) for message in body["messages"]),
        tools=tuple(tool["function"]["name"] for tool in body.get("tools") or ()),
        schema={"title": wanted.get("name", ""), **wanted.get("schema", {})} if wanted else {},
        max_tokens=body.get("max_tokens") or body.get("max_completion_tokens"),
    )


def _text(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text", "")) for part in content)


def _completion(request: Request, reply: Reply) -> tuple[dict[str, Any], dict[str, int]]:
    if reply.error is not None:
        raise reply.error
    text = cut(reply.text, request.max_tokens)
    message: dict[str, Any] = {"role": "assistant", "content": text or None}
    if reply.calls:
        message["tool_calls"] = [
            {"id": call_id, "type": "function", "function": {"name": name, "arguments": json.dumps(dict(arguments))}}
            for (name, arguments), call_id in zip(reply.calls, call_ids(reply, request), strict=True)
        ]
    asked, answered = count(request.text), count(text)
    return message, {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}
