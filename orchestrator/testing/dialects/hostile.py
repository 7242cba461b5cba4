"""Dialects that answer in one peculiar way each: what the others of their kind may do tomorrow."""

import json
from collections.abc import Callable
from typing import Any

from orchestrator.testing.dialects import calls, conditions, errors, quirks
from orchestrator.testing.dialects.dialect import Change, Dialect, Quirk, Refusal, Streaming

_LIMIT = {"code": 429, "metadata": {"raw": "slow down", "provider_name": "Heron"}}


def answering(name: str, *changes: Change, **more: Any) -> Dialect:
    """Return a dialect that changes each answer."""
    return Dialect(name, answer=quirks.each(*changes), **more)


def calling(name: str, template: calls.Template, field: str = "content") -> Dialect:
    """Return a dialect whose calls stand in the text."""
    return answering(f"calls in text: {name}", calls.in_text(template, field))


def breaking(name: str, broken: Callable[[str], Any]) -> Dialect:
    """Return a dialect whose model breaks the arguments of its first calls. It refuses to read them again."""
    refusal = Refusal(conditions.broken_arguments, "arguments must be valid JSON, found {arguments}", 400)
    return Dialect(f"broken arguments: {name}", (refusal,), answer=(Quirk(calls.arguments(broken), times=2),))


CALLS_IN_TEXT = (
    calling("hermes", calls.hermes),
    calling("mistral", calls.mistral),
    calling("llama", calls.llama),
    calling("llama function", calls.llama_function),
    calling("pythonic", calls.pythonic),
    calling("fenced", calls.fenced),
    calling("qwen coder", calls.qwen_coder),
    calling("deepseek", calls.deepseek),
    calling("hermes among thoughts", calls.hermes, "reasoning_content"),
    answering("calls in text: behind thoughts", calls.in_text(calls.hermes), quirks.thoughts_in_text()),
)

BROKEN_ARGUMENTS = (
    breaking("unclosed", lambda text: text[:-1]),
    breaking("single quotes", lambda text: text.replace('"', "'")),
    breaking("trailing comma", lambda text: text[:-1] + ",}"),
    breaking("two objects", lambda text: text + text),
    breaking("a list", lambda text: f"[{text}]"),
    breaking("none", lambda text: ""),
    breaking("null", lambda text: None),
    breaking("encoded twice", lambda text: json.dumps(text)),
    breaking("fenced", lambda text: f"```json\n{text}\n```"),
    breaking("words", lambda text: "the lake of Onda"),
)

FORMS_OF_CALLS = (
    answering("arguments as objects", calls.argument_objects),
    answering("calls without ids", calls.ids(lambda call, at: None)),
    answering("empty ids", calls.ids(lambda call, at: "")),
    answering("the same ids", calls.ids(lambda call, at: "call_0")),
    answering("calls without type", calls.without_type),
    answering("calls that finish with stop", calls.finished_as_text),
    answering("calls without index", streaming=Streaming(numbers="none", arguments="pieces")),
    answering("names repeated", streaming=Streaming(arguments="pieces", repeats=("id", "type", "name"))),
)

PLACES = (
    answering("json as text/plain", content_type="text/plain; charset=utf-8"),
    answering("json as octets", content_type="application/octet-stream"),
    answering("json as html", content_type="text/html"),
    answering("stream as text/plain", stream_type="text/plain"),
    answering("byte order mark", prefix=b"\xef\xbb\xbf"),
    answering("space before json", prefix=b"\n\n  \n"),
    answering("always streams", streaming=Streaming("always")),
    answering("always streams as json", streaming=Streaming("always"), stream_type="application/json"),
    answering("never streams", streaming=Streaming("never")),
    answering("stream with other line ends", streaming=Streaming(line_end="\r\n", done=False)),
    answering("comments in streams", streaming=Streaming("always", before=(": hello", "event: ping", "id: 7"))),
    answering("usage in every chunk", streaming=Streaming("always", "every")),
    answering("usage elsewhere", quirks.usage_under("x_groq", "usage")),
    answering("no usage", quirks.without_usage),
    answering("text in reasoning_content", quirks.text_in("reasoning_content")),
    answering("text in reasoning", quirks.text_in("reasoning"), streaming=Streaming("always")),
    answering("thoughts in text", quirks.thoughts_in_text()),
    answering("thoughts without a beginning", quirks.thoughts_in_text(opening="")),
    answering("content in parts", quirks.content_in_parts),
    answering("nulls everywhere", quirks.nulls_everywhere),
    answering("unknown fields everywhere", quirks.unknown_fields_everywhere),
    answering("bare", quirks.bare),
    answering("other finish reasons", quirks.finish_reasons({"stop": "eos", "tool_calls": "function_call"})),
    answering("no finish reasons", quirks.finish_reasons({"stop": None, "tool_calls": None})),
)

_HALF = conditions.words("Write the final answer")

HALVES = tuple(
    Dialect(f"half a text, finished with {reason}", answer=(Quirk(quirks.half_text(reason), times=1, when=_HALF),))
    for reason in ("error", "abort", "cancelled", "content_filter")
)
"""Dialects whose answer to the last request is half an answer, so that no run on them ends with a whole one."""

FAILURES = (
    Dialect("429 inside 200", (Refusal(conditions.always, "slow down", 429, _LIMIT, times=1, place="body"),)),
    Dialect(
        "429 inside 200, streamed",
        (Refusal(conditions.always, "slow down", 429, _LIMIT, times=1, place="stream"),),
        streaming=Streaming("always"),
    ),
    Dialect("502 inside a choice", (Refusal(conditions.always, "down", 502, {"code": 502}, times=1, place="choice"),)),
    Dialect("an error in words inside 200", (Refusal(conditions.always, "overloaded", times=1, place="body"),),
            error=errors.plain),
    Dialect("loading", (Refusal(conditions.always, "Loading model", 503, times=2),), error=errors.coded),
)  # fmt: skip

HOSTILE = (*CALLS_IN_TEXT, *BROKEN_ARGUMENTS, *FORMS_OF_CALLS, *PLACES, *FAILURES)
