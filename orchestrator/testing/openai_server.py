"""OpenAIServer: an OpenAI-compatible server on loopback that answers by a script, and fails on demand."""

import json
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self

from orchestrator.testing.dialects.dialect import Dialect, Streaming
from orchestrator.testing.dialects.speaker import Refused, Speaker, text_of
from orchestrator.testing.dialects.streaming import encoded, events
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
        dialect: A server to answer and refuse like, instead of `streams` and `usage_in`. Its model is the only one in
            the list of models, unless `models` names others.

    The server answers requests for any host, as a proxy does. `targets` has the targets of the request lines, and
    `bodies` the bodies of the chat requests. `refused` has the requests that the dialect refused.
    """

    def __init__(
        self,
        script: Script | Sequence[Reply | str],
        *,
        faults: Faults | Sequence[Fault | None] | None = None,
        models: Sequence[str] | None = None,
        key: str | None = None,
        listing: object = None,
        streams: bool = True,
        usage_in: Literal["last", "every"] = "last",
        dialect: Dialect | None = None,
    ) -> None:
        self.script: Script = script if callable(script) else in_order(script)
        self.bodies: list[dict[str, Any]] = []
        self.targets: list[str] = []
        self.listing = listing
        self.speaker = None if dialect is None else Speaker(dialect)
        self.streaming = Streaming("asked" if streams else "never", usage_in) if dialect is None else dialect.streaming
        self.models = models if models is not None else (dialect.model if dialect is not None else "scripted",)
        self.key = key
        self._faults = faults if callable(faults) else _in_turn(faults or ())
        self._server = _Server(self)
        # `shutdown` waits for one interval, which is half a second by default.
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def base_url(self) -> str:
        """The address for `--base-url`."""
        return f"{self.root_url}{'/v1' if self.speaker is None else self.speaker.dialect.base}"

    @property
    def root_url(self) -> str:
        """The address without a path."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def refused(self) -> list[Refused]:
        """The requests that the dialect refused, in order."""
        return [] if self.speaker is None else self.speaker.refused

    def refuse(self, faults: Faults) -> None:
        """Fail from now on as another function says."""
        self._faults = faults

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

    def version_string(self) -> str:
        """Return the header `Server`."""
        speaker = self.server.double.speaker
        return dict(speaker.dialect.headers if speaker is not None else ()).get("Server") or super().version_string()

    def _is_elsewhere(self) -> bool:
        """True if the request is for another address than chats and the list of models, and is answered."""
        double, path = self.server.double, self.path.partition("?")[0]
        if (speaker := double.speaker) is None:
            return False
        if (page := speaker.page(path, double.models[0] if double.models else "", double.bodies)) is not None:
            self._send(200, page)
            return True
        if (stray := speaker.stray(self.command, path)) is None:
            return False
        self._write(stray.status, stray.text.encode(), kind=stray.content_type, is_json=None)
        return True

    def do_GET(self) -> None:
        double = self.server.double
        double.targets.append(self.path)
        if self._is_elsewhere():
            return
        if isinstance(double.listing, str):
            self._write(200, double.listing.encode(), kind="text/html")
            return
        models: object = {"object": "list", "data": [{"id": name, "object": "model"} for name in double.models]}
        if double.speaker is not None:
            models = double.speaker.models(list(double.models))
        self._send(200, models if double.listing is None else double.listing)

    def do_POST(self) -> None:
        double = self.server.double
        double.targets.append(self.path)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self._is_elsewhere():
            return
        double.bodies.append(body)
        if double.key is not None and self.headers.get("Authorization") != f"Bearer {double.key}":
            self._fail(Fault(401, "Incorrect API key provided"))
            return
        if (fault := double.fault_for(body)) is not None:
            self._fail(fault)
            return
        speaker = double.speaker
        if speaker is not None and (refused := speaker.refuse(body)) is not None:
            self._refuse(refused, speaker.is_streamed(body))
            return
        request = _request(body)
        try:
            reply = double.script(request if speaker is None else speaker.read(body, request))
        except AssertionError as error:
            self._fail(Fault(500, str(error)))
            return
        if speaker is not None:
            reply = speaker.form(reply, body)
        completion = _completion(body, request, reply)
        if speaker is not None:
            completion = speaker.speak(completion, body)
        streaming = double.streaming
        if streaming.when == "always" or (streaming.when == "asked" and body.get("stream")):
            self._stream(body, reply, completion)
            return
        if reply.gate is not None:
            reply.gate.wait()
        if reply.breaks_after is not None:
            self._fail(Fault(0))
        else:
            self._send(200, completion)

    def _refuse(self, refused: Refused, is_streamed: bool) -> None:
        """Answer with a refusal, in the place where the dialect has it."""
        refusal, answer = refused.refusal, refused.answer
        if refusal.place == "status":
            self._write(refusal.status, text_of(answer).encode(), refusal.headers, is_json=not isinstance(answer, str))
            return
        message = {"role": "assistant", "content": "I will"}
        choice = {"index": 0, "message": message, "finish_reason": None}
        head = _head(refused.body)
        if refusal.place == "choice":
            error = answer.get("error") if isinstance(answer, dict) else answer
            answer = {**head, "choices": [{**choice, "finish_reason": "error", "error": error}]}
        if refusal.place != "stream" or not is_streamed:
            self._send(200, answer)
            return
        self._begin_stream()
        for event, _ in events({**head, "choices": [choice]}, ["I will"], self.server.double.streaming, False):
            if event["choices"][0]["delta"]:
                self._event(event)
        self._event(answer)
        self._end_stream()

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
        is_json: bool | None = True,
    ) -> None:
        speaker = self.server.double.speaker
        if speaker is not None and is_json is not None:
            kind = speaker.dialect.content_type if is_json else "text/plain; charset=utf-8"
            body = speaker.dialect.prefix + body if is_json else body
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        own = () if speaker is None else [each for each in speaker.dialect.headers if each[0] != "Server"]
        for name, value in (*headers, *own):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, body: dict[str, Any], reply: Reply, completion: dict[str, Any]) -> None:
        double = self.server.double
        self._begin_stream()
        wants_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        if not wants_usage and double.speaker is None:
            completion.pop("usage", None)
        content = completion["choices"][0]["message"].get("content")
        parts = (reply.parts(content) if isinstance(content, str) else [])[: reply.breaks_after]
        sent: int | None = None
        for event, number in events(completion, parts, double.streaming, wants_usage):
            if reply.breaks_after is not None and sent == len(parts):
                break
            self._event(event)
            sent = number if number is not None else sent
            if reply.gate is not None and number == min(reply.gate_after, len(parts)):
                reply.gate.wait()
        if reply.breaks_after is not None:
            self._fail(Fault(0))
            return
        if double.streaming.done:
            self._event("[DONE]")
        self._end_stream()

    def _begin_stream(self) -> None:
        speaker = self.server.double.speaker
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream" if speaker is None else speaker.dialect.stream_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _end_stream(self) -> None:
        if self.server.double.streaming.is_lost:
            self._fail(Fault(0))
        else:
            self.wfile.write(b"0\r\n\r\n")

    def _event(self, data: Any) -> None:
        event = encoded(data, self.server.double.streaming)
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


def _completion(body: dict[str, Any], request: Request, reply: Reply) -> dict[str, Any]:
    if reply.error is not None:
        raise reply.error
    text = cut(reply.text, request.max_tokens)
    message: dict[str, Any] = {"role": "assistant", "content": text or None}
    if reply.calls:
        message["tool_calls"] = [
            {"id": call_id, "type": "function", "function": {"name": name, "arguments": json.dumps(dict(arguments))}}
            for (name, arguments), call_id in zip(reply.calls, call_ids(reply, request), strict=True)
        ]
    choice = {"index": 0, "message": message, "finish_reason": _finish(message)}
    asked, answered = count(request.text), count(text)
    usage = {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}
    return {**_head(body), "choices": [choice], **({"usage": usage} if reply.usage else {})}
