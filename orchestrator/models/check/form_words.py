"""The forms of requests in words for a person."""

_WORDS = {
    "json_tools": "tool calls as JSON in words",
    "plain_history": "earlier tool calls as text",
    "single_calls": "one tool call a message",
    "loose_tools": "tools that are not strict",
    "simple_tools": "tools with simple schemas",
    "schema_plain": "a schema that is not strict",
    "schema_simple": "a simple schema",
    "schema_object": "JSON, with its schema in words",
    "schema_words": "a schema in words",
    "short_ids": "short ids of calls",
    "no_extras": "no fields beyond OpenAI's",
    "system_first": "one system message, first",
    "no_system": "no system message",
    "answered_tools": "an answer between tool and user",
    "alternating": "roles that alternate",
    "begins_with_user": "user first",
    "ends_with_user": "user last",
    "text_content": "contents that are never null",
    "filled_content": "contents that are never empty",
    "absent_content": "no empty contents",
    "other_limit": "the answer's limit under its other name",
    "streamed": "as a stream only",
    "unstreamed": "without streaming",
    "no_stream_usage": "streams without usage",
}


def form_words(name: str) -> str:
    """Return a form in words. One without a parameter is named so already."""
    return _WORDS.get(name, name)
