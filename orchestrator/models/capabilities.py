"""Capabilities of an endpoint, learned from its refusals and answers."""

import re
from dataclasses import dataclass
from typing import Literal

ToolMode = Literal["auto", "native", "json"]
SchemaMode = Literal["strict", "plain", "words"]
_SCHEMA_MODES: tuple[SchemaMode, ...] = ("strict", "plain", "words")
_NO_TOOLS = re.compile(r"\btools?\b|tool_choice|function.?call", re.I)
_NO_SCHEMA = re.compile(r"response_format|json_schema|schema|grammar|structured|strict", re.I)
# A refusal of a long prompt can name the tools that made the prompt long, and says nothing against tools.
_TOO_LONG = re.compile(r"context (length|window|size)|maximum.{0,20} tokens|too (long|large)", re.I)
LIMIT_NAMES = ("max_completion_tokens", "max_tokens")  # OpenAI's name, and the name that others understand
_NO_USAGE = re.compile(r"stream_options|include_usage", re.I)
_NO_STREAM = re.compile(r"\bstream", re.I)
_MOST_BROKEN = 2  # streams in a row that broke off
_CAP_NAME = re.compile(r"max_(completion_)?tokens")


@dataclass
class Capabilities:
    """Capabilities of one model at one endpoint.

    Args:
        tools: True if the endpoint takes `tools` and answers with tool calls.
        schema: The best form of a schema that the endpoint takes: `strict`, `plain` (without strict), or in words.
        also_in_words: True if the endpoint takes a schema and ignores it, so the prompt must contain the schema too.
        cap: The endpoint's name for the limit of an answer's tokens; empty for the usual name.
        streams: False if the endpoint refuses to stream its answers.
        stream_usage: False if the endpoint refuses to report the usage of a stream.
        is_unopened: True if answers begin inside thoughts, so that only the end of the thoughts can be seen.
    """

    tools: bool = True
    schema: SchemaMode = "strict"
    also_in_words: bool = False
    cap: str = ""
    streams: bool = True
    stream_usage: bool = True
    is_unopened: bool = False
    _has_streamed: bool = False
    _broken_streams: int = 0

    def learn(self, refusal: str, asked_tools: bool, asked_schema: SchemaMode | None, asked_cap: str = "") -> bool:
        """Learn from a refusal. True if the request should be sent again in another form.

        Several requests of one form can be under way when the first is refused. The result is therefore true for each
        of them, although only the first teaches anything new.

        Args:
            refusal: The endpoint's message.
            asked_tools: True if the request had native tools.
            asked_schema: Form of the schema in the request; None without a schema, or with one in words only.
            asked_cap: The name under which the request limited its answer.
        """
        # A refusal of the learned name teaches nothing: otherwise the two names would alternate for ever.
        if asked_cap and asked_cap != self.cap and _CAP_NAME.search(refusal) and not _TOO_LONG.search(refusal):
            self.cap = LIMIT_NAMES[1 - LIMIT_NAMES.index(asked_cap)]
            return True
        if _TOO_LONG.search(refusal):
            return False
        if asked_tools and _NO_TOOLS.search(refusal):
            self.tools = False
            return True
        if asked_schema is not None and _NO_SCHEMA.search(refusal):
            below: SchemaMode = "plain" if asked_schema == "strict" else "words"
            # `max`: a late refusal of the first form must not undo the lesson of the second.
            self.schema = max(self.schema, below, key=_SCHEMA_MODES.index)
            return True
        return False

    def learn_stream(self, refusal: str, asked_usage: bool) -> bool:
        """Learn from the refusal of a stream. True if the request should be sent again in another form.

        Args:
            refusal: The endpoint's message.
            asked_usage: True if the request asked for the usage.
        """
        if asked_usage and _NO_USAGE.search(refusal):
            self.stream_usage = False
            return True
        if _NO_STREAM.search(refusal):
            self.streams = False
            return True
        return False

    @property
    def may_not_stream(self) -> bool:
        """True while no stream has been seen, so that any refusal may mean the stream."""
        return not self._has_streamed

    def streamed(self, is_whole: bool) -> None:
        """Learn from the end of a stream.

        Args:
            is_whole: The stream came to its end. A connection can break by chance, and seldom does so again and again.
        """
        self._has_streamed = self._has_streamed or is_whole
        self._broken_streams = 0 if is_whole else self._broken_streams + 1
        if self._broken_streams >= _MOST_BROKEN:
            self.streams = False

    def ignored(self, asked_schema: SchemaMode) -> None:
        """Learn from a complete answer that does not fit its schema.

        Args:
            asked_schema: Form of the schema in the request.
        """
        # A form weaker than the best proves nothing: OpenAI too ignores parts of a schema that is not strict.
        if asked_schema == self.schema:
            self.also_in_words = True


KNOWN: dict[tuple[str, str], Capabilities] = {}
"""Capabilities that this process has learned, by address and model."""
