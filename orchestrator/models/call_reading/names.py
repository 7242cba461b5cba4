"""Names of tools as models write them: with a prefix, in another case, with other signs between the words."""

import re
from collections.abc import Collection

UNREADABLE = "unreadable_call"
"""The name of a call whose own cannot be read. Endpoints refuse a call without a name."""

_MOST_CHARS = 64
# Namespaces of OpenAI, Google and others, and the number of a call that Kimi writes behind the name.
_AROUND = re.compile(r"\A(?:functions?|default_api|tools?|multi_tool_use|api)[.:/]|(?:\.call|:\d+)\Z", re.I)
_SIGNS = re.compile(r"[\W_]+")
_UNUSUAL = re.compile(r"[^A-Za-z0-9_-]+")


def named_tool(name: str, tools: Collection[str]) -> str | None:
    """Return the tool that a name means; None if it means none of them, or more than one.

    Args:
        name: The name in the call.
        tools: Names of the tools.
    """
    name = name.strip().strip("\"'`")
    while name not in tools and (shorter := _AROUND.sub("", name)) != name:
        name = shorter
    if name in tools:
        return name
    same = [tool for tool in tools if _normal(tool) == _normal(name)]
    return same[0] if len(same) == 1 else None


def safe_name(name: str) -> str:
    """Return the name of a call that is no tool's, in a form that endpoints take in a conversation."""
    return _UNUSUAL.sub("_", name.strip()[:_MOST_CHARS]).strip("_") or UNREADABLE


def _normal(name: str) -> str:
    return _SIGNS.sub("", name).casefold()
