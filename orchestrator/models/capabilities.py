"""Capabilities of an endpoint, learned from what it refuses."""

import re
from dataclasses import dataclass
from typing import Literal

ToolMode = Literal["auto", "native", "json"]
SchemaMode = Literal["strict", "plain", "words"]
_SCHEMA_MODES: tuple[SchemaMode, ...] = ("strict", "plain", "words")
_NO_TOOLS = re.compile(r"\btools?\b|tool_choice|function.?call", re.I)
_NO_SCHEMA = re.compile(r"response_format|json_schema|schema|grammar|structured|strict", re.I)
# A prompt that is too long is refused too, and such refusals can name the tools that made it so.
_TOO_LONG = re.compile(r"context (length|window|size)|maximum.{0,20} tokens|too (long|large)", re.I)
LIMIT_NAMES = ("max_completion_tokens", "max_tokens")  # OpenAI's name, and the one that all others know
_CAP_NAME = re.compile(r"max_(completion_)?tokens")


@dataclass
class Capabilities:
    """What is known of an endpoint's model.

    Args:
        tools: Takes `tools` and answers with tool calls.
        schema: How it takes a schema: `strict`, `plain` (without strict), or only in words.
        also_in_words: It takes a schema and does not keep to it, so the prompt has to say it too.
        cap: What it calls the most tokens of an answer; empty for the usual name.
    """

    tools: bool = True
    schema: SchemaMode = "strict"
    also_in_words: bool = False
    cap: str = ""

    def learn(self, refusal: str, asked_tools: bool, asked_schema: SchemaMode | None, asked_cap: str = "") -> bool:
        """Takes a refusal in; whether asking again in another way makes sense.

        Several requests can be under way in the old form when the first is refused. So what counts is not whether
        something new was learned, but whether the refused request has a form that is now known not to work.

        Args:
            refusal: The endpoint's message.
            asked_tools: The request had native tools.
            asked_schema: In which form it had a schema; None when it had none, or in words only.
            asked_cap: Under which name it limited its answer.
        """
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
            self.schema = max(self.schema, below, key=_SCHEMA_MODES.index)
            return True
        return False

    def ignored(self, asked_schema: SchemaMode) -> None:
        """Takes in that an answer did not keep to its schema, though it came to its end.

        Args:
            asked_schema: In which form the request had it. One in a weaker form than the endpoint is thought to take
                proves nothing: OpenAI too does not always keep to a schema that is not strict.
        """
        if asked_schema == self.schema:
            self.also_in_words = True


KNOWN: dict[tuple[str, str], Capabilities] = {}
