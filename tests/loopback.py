"""A loopback OpenAI-compatible endpoint with scripted answers, for tests that go through real HTTP."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PLAN = [
    {
        "id": "t1",
        "description": "Find the population of Chile.",
        "target_agent": "researcher",
        "requires_approval": True,
    },
    {
        "id": "t2",
        "description": "Find the population of Peru.",
        "target_agent": "researcher",
        "requires_approval": True,
    },
    {"id": "t3", "description": "Add the two figures.", "target_agent": "coder", "depends_on": ["t1", "t2"]},
    {"id": "t4", "description": "Check the sum.", "target_agent": "reviewer", "depends_on": ["t3"]},
]


class Endpoint(ThreadingHTTPServer):
    """Answers by what stands in the request; `executed` lists the sub-tasks whose workers asked, in that order.

    Args:
        plan: The sub-tasks that the supervisor is answered with.
    """

    daemon_threads = True

    def __init__(self, plan: list[dict[str, Any]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.plan = [{"depends_on": [], "requires_approval": False, **sub_task} for sub_task in plan]
        self.executed: list[str] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def message(self, request: dict[str, Any]) -> dict[str, Any]:
        """The assistant's message."""
        schema = (request.get("response_format") or {}).get("json_schema", {})
        if schema.get("name") == "Plan":
            return {"content": json.dumps({"sub_tasks": self.plan})}
        if schema.get("name") == "Verdict":
            return {"content": json.dumps({"reason": "it is right", "verdict": "accept", "sub_task_id": ""})}
        asked = next((m["content"] for m in request["messages"] if m["role"] == "user"), "")
        sub_task = re.search(r"^Sub-task (\w+): (.*)", asked, re.MULTILINE)
        if sub_task is None:
            return {"content": "The sum is 54 million [t3]."}
        called = any(m["role"] == "tool" for m in request["messages"])
        if request.get("tools") and not called:
            return {"content": "", "tool_calls": [_call(request["tools"], sub_task)]}
        with self.lock:
            self.executed.append(sub_task[1])
        return {"content": f"Result of {sub_task[1]}."}


def _call(tools: list[dict[str, Any]], sub_task: re.Match[str]) -> dict[str, Any]:
    function = tools[0]["function"]
    first = next(iter(function["parameters"]["properties"]))
    value = "19.6 + 34.4" if first == "expression" else sub_task[2]
    arguments = json.dumps({first: value})
    return {
        "id": f"call_{sub_task[1]}",
        "type": "function",
        "function": {"name": function["name"], "arguments": arguments},
    }


class _Handler(BaseHTTPRequestHandler):
    server: Endpoint
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        self._send(json.dumps({"object": "list", "data": [{"id": "scripted", "object": "model"}]}))

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        message = {"role": "assistant", **self.server.message(request)}
        reason = "tool_calls" if message.get("tool_calls") else "stop"
        about = {"id": "chat", "created": 0, "model": "scripted"}
        usage = {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}
        if request.get("stream"):
            first = {**about, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": message}]}
            last = {**about, "object": "chat.completion.chunk", "usage": usage}
            last["choices"] = [{"index": 0, "delta": {}, "finish_reason": reason}]
            chunks = [json.dumps(first), json.dumps(last), "[DONE]"]
            self._send("".join(f"data: {chunk}\n\n" for chunk in chunks), "text/event-stream")
        else:
            choices = [{"index": 0, "message": message, "finish_reason": reason}]
            self._send(json.dumps({**about, "object": "chat.completion", "choices": choices, "usage": usage}))

    def _send(self, body: str, kind: str = "application/json") -> None:
        data = body.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def endpoint(plan: list[dict[str, Any]] | None = None) -> Iterator[Endpoint]:
    """A running endpoint on a free port."""
    server = Endpoint(PLAN if plan is None else plan)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
