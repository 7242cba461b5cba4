"""Dialect: how one OpenAI-compatible server refuses requests, and how it answers them. It is data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Body = dict[str, Any]
"""The JSON body of a chat request."""

Found = Mapping[str, object] | None
"""What a condition has found in a request, by the names under which a refusal's words use it; None for nothing."""

Condition = Callable[[Body], Found]
"""Looks for one thing in a request."""

Completion = dict[str, Any]
"""A chat completion: `choices`, `usage` and whatever a server adds."""

Change = Callable[[Completion, Body], Completion]
"""Returns a completion in the form of a server. The second argument is the request."""

Place = Literal["status", "body", "choice", "stream"]


@dataclass(frozen=True)
class Failure:
    """An error, before a server gives it a shape.

    Args:
        status: The HTTP status.
        message: The words.
        details: Further fields, such as `code`, `param` and `type`.
    """

    status: int
    message: str
    details: Mapping[str, object] = field(default_factory=dict)


ErrorShape = Callable[[Failure], object]
"""Returns the body of an error: JSON-plain data, or a text as it stands."""


@dataclass(frozen=True)
class Refusal:
    """What a server refuses, and its words for it.

    Args:
        when: The condition.
        message: The words. `{name}` stands for what the condition has found under this name.
        status: The HTTP status of the answer.
        details: Further fields of the error.
        shape: The shape of this error, where it differs from the server's others.
        times: The number of requests to refuse; None for each one. Use it for a failure that passes.
        place: Where the error stands: in an answer with its `status`, in the `body` or in the first `choice` of an
            answer with status 200, or in the middle of a `stream`. An answer that is not streamed has it in the body.
        headers: Further headers.
        source: Where the words come from.
    """

    when: Condition
    message: str
    status: int = 400
    details: Mapping[str, object] = field(default_factory=dict)
    shape: ErrorShape | None = None
    times: int | None = None
    place: Place = "status"
    headers: tuple[tuple[str, str], ...] = ()
    source: str = ""


@dataclass(frozen=True)
class Quirk:
    """One peculiarity of a server's answers.

    Args:
        change: The change of the completion.
        times: The number of answers to change; None for each one.
        when: A condition of the request; None for any.
    """

    change: Change
    times: int | None = None
    when: Condition | None = None


@dataclass(frozen=True)
class Streaming:
    """How a server streams.

    Args:
        when: Stream when `asked`, `never`, or `always`.
        usage_in: The chunks with a usage: the `last`, an extra one at the end; `every` chunk; the `finish` chunk; or
            `none`. A server reports the usage whether a request asks for it or not, except in `last`.
        arguments: The arguments of a tool call come `whole`, in `pieces`, `growing` from piece to piece with all that
            came before, or in pieces behind a `placeholder`, an empty object.
        names: The name of a tool call comes `whole`, or in `parts`.
        repeats: Fields of a tool call that each of its pieces repeats.
        numbers: The numbers of tool calls: `from 0`, `from 1`, `all 0`, or `none`.
        before: Lines or chunks before the first delta.
        every: Fields to add to each chunk.
        done: End with `[DONE]`.
        line_end: The end of each line.
        lines: `events` with an empty line behind each, events `without gaps`, or `bare` chunks without `data:`.
        is_lost: Lose the connection behind the last event, before the end of the body.
    """

    when: Literal["asked", "never", "always"] = "asked"
    usage_in: Literal["last", "every", "finish", "none"] = "last"
    arguments: Literal["whole", "pieces", "growing", "placeholder"] = "whole"
    names: Literal["whole", "parts"] = "whole"
    repeats: tuple[str, ...] = ()
    numbers: Literal["from 0", "from 1", "all 0", "none"] = "from 0"
    before: tuple[str | Mapping[str, Any], ...] = ()
    every: Mapping[str, Any] = field(default_factory=dict)
    done: bool = True
    line_end: str = "\n"
    lines: Literal["events", "without gaps", "bare"] = "events"
    is_lost: bool = False


@dataclass(frozen=True)
class Window:
    """The context window of a server's model.

    Args:
        tokens: The size of prompt and answer together. The server counts words.
        refusal: The refusal of a request that does not fit. Its words can use `{window}`, `{prompt}`, `{limit}` and
            `{total}`. The condition is given by the size.
        field_name: The name of the size in the list of models; a dotted name stands for a nested field, and an empty
            one for none.
    """

    tokens: int
    refusal: Refusal
    field_name: str = ""


Page = Callable[[str, list[Body]], object]
"""Returns what a server answers at an address of its own, as JSON-plain data. The arguments are the name of its model,
and the bodies of the chat requests so far."""


@dataclass(frozen=True)
class Stray:
    """The answer of a server at an address that it does not have.

    Args:
        status: The HTTP status.
        text: The body. `{method}` and `{path}` stand for those of the request.
        content_type: The type of the body.
    """

    status: int = 404
    text: str = '{"detail": "Not Found"}'
    content_type: str = "application/json"


def _openai_error(failure: Failure) -> object:
    fields = {"type": "invalid_request_error", "param": None, "code": None, **failure.details}
    return {"error": {"message": failure.message, **fields}}


def _openai_list(models: list[dict[str, Any]]) -> object:
    return {"object": "list", "data": models}


@dataclass(frozen=True)
class Dialect:
    """A server as its users meet it.

    Args:
        name: The name.
        refusals: What it refuses; the first that applies counts.
        error: The shape of its errors.
        answer: Its peculiarities, in the order in which they change an answer.
        streaming: How it streams.
        tools: True if a team should work with native tool calls on this server.
        model: The name of its model.
        window: Its window, where a request can exceed it.
        listing: The shape of its list of models.
        content_type: The type of answers and errors.
        stream_type: The type of streams.
        prefix: Bytes before each JSON body.
        headers: Further headers of each answer.
        owner: The owner of its models in the list.
        pages: What it answers at addresses of its own, such as `/props`. A page that raises `LookupError` is a stray.
        base: The path under which it serves chats and the list, as `--base-url` has it.
        stray: The answer elsewhere; None to serve chats and the list under every path.
        source: Where the facts come from, where single refusals do not say it.
    """

    name: str
    refusals: tuple[Refusal, ...] = ()
    error: ErrorShape = _openai_error
    answer: tuple[Quirk, ...] = ()
    streaming: Streaming = Streaming()
    tools: bool = True
    model: str = "scripted"
    window: Window | None = None
    listing: Callable[[list[dict[str, Any]]], object] = _openai_list
    content_type: str = "application/json"
    stream_type: str = "text/event-stream"
    prefix: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    owner: str = "organisation"
    pages: Mapping[str, Page] = field(default_factory=dict)
    base: str = "/v1"
    stray: Stray | None = None
    source: str = ""
