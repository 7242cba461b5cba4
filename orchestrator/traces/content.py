"""Prompts and answers in the form of the conventions. Without the conventions' variable they are left out."""

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

CONTENT_VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_ON_SPANS = ("true", "span_only", "span_and_event")
_ROLES = {"human": "user", "ai": "assistant"}


def is_content_wanted() -> bool:
    """True if the environment asks for prompts, answers, arguments and results on spans."""
    return os.environ.get(CONTENT_VARIABLE, "").strip().lower() in _ON_SPANS


def instructions(prompt: str) -> str:
    """Return a system prompt as `gen_ai.system_instructions`."""
    return _json([{"type": "text", "content": prompt}])


def messages(told: Iterable[Mapping[str, Any]]) -> str:
    """Return messages, each with `role` and `text`, as `gen_ai.input.messages`."""
    return _json([_message(str(each.get("role", "")), str(each.get("text", ""))) for each in told])


def answer(text: str, calls: Iterable[Mapping[str, Any]] = (), cut_off: str = "") -> str:
    """Return an answer as `gen_ai.output.messages`.

    Args:
        text: The words.
        calls: The tool calls.
        cut_off: Reason why the answer is not whole.
    """
    message = _message("assistant", text)
    parts = [
        {"type": "tool_call", "id": call.get("id"), "name": call.get("name"), "arguments": call.get("args")}
        for call in calls
    ]
    message["parts"] += parts
    message["finish_reason"] = cut_off or ("tool_call" if parts else "stop")
    return _json([message])


def plain(value: Any) -> str:
    """Return arguments or a result as a text."""
    return value if isinstance(value, str) else _json(value)


def _message(role: str, text: str) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"type": "text", "content": text}] if text else []
    return {"role": _ROLES.get(role, role), "parts": parts}


def _json(value: Any) -> str:
    # Text rather than structure: older exporters refuse attributes that are objects.
    return json.dumps(value, ensure_ascii=False, default=str)
