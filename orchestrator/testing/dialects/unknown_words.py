"""Dialects that refuse one thing each, with words that say nothing about it. No server is known to be so terse."""

from orchestrator.testing.dialects import conditions, errors
from orchestrator.testing.dialects import message_conditions as messages
from orchestrator.testing.dialects.dialect import Condition, Dialect, ErrorShape, Refusal


def refusing(name: str, *when: Condition, tools: bool = True, model: str = "scripted", **refusal: object) -> Dialect:
    """Return a dialect that refuses one thing with words that do not name it.

    Args:
        name: The thing.
        when: The condition, or several of which any is enough.
        tools: True if native tool calls remain possible.
        model: The name of the model.
        refusal: Further arguments of `Refusal`.
    """
    shape: ErrorShape = errors.detail
    words = {"message": "Request rejected.", "status": 400, "shape": shape, **refusal}
    return Dialect(f"unknown words: {name}", (Refusal(conditions.any_of(*when), **words),), tools=tools, model=model)  # type: ignore[arg-type]


UNKNOWN_WORDS = (
    refusing("name", messages.message_field("name")),
    refusing("system role", messages.role("system")),
    refusing("later system", messages.system_later, shape=errors.plain),
    refusing("roles out of turn", messages.out_of_turn, shape=errors.text),
    refusing("roles strictly out of turn", messages.strictly_out_of_turn, tools=False),
    refusing("user after tool", messages.sequence("tool", "user"), status=422),
    refusing("no user at the end", messages.last_other_than("user", "tool")),
    refusing("no user at the beginning", messages.first_other_than("user")),
    refusing("successive users", messages.successive("user"), shape=errors.html),
    refusing("null content", messages.null_content(), shape=errors.wordless),
    refusing("missing content", messages.missing_content),
    refusing("empty content", messages.empty_content),
    refusing("null or empty content", messages.null_content(), messages.empty_content),
    refusing("content in parts", messages.content_in_parts),
    refusing("temperature", conditions.parameter("temperature")),
    refusing("max_completion_tokens", conditions.parameter("max_completion_tokens")),
    refusing("max_tokens", conditions.parameter("max_tokens")),
    refusing("parallel_tool_calls", conditions.parameter("parallel_tool_calls"), model="gpt-4"),
    refusing("tool_choice", conditions.parameter("tool_choice"), model="gpt-4"),
    refusing("stream_options", conditions.parameter("stream_options")),
    refusing(
        "all parameters but the limit",
        conditions.parameter_beyond("model", "messages", "tools", "stream", "max_tokens"),
    ),
    refusing("strict", conditions.strict_schema, conditions.strict_tool, status=422, shape=errors.field_details),
    refusing("json_schema", conditions.format_of("json_schema")),
    refusing("response_format", conditions.parameter("response_format"), shape=errors.plain),
    refusing("response_format with tools", conditions.format_with_tools),
    refusing("schema of tools", conditions.schema_word("additionalProperties", "$ref", "anyOf", "title", "default")),
    refusing(
        "schema of answers", conditions.schema_word("$ref", "anyOf", "additionalProperties", of="response_format")
    ),
    refusing("long ids", conditions.call_id_other_than("[a-zA-Z0-9]{1,9}")),
    refusing("parallel calls", conditions.parallel_calls),
    refusing("streams", conditions.option("stream", True), status=501),
    refusing("whole answers", conditions.not_streamed),
    refusing("tools", conditions.parameter("tools"), messages.role("tool"), tools=False),
    refusing("unknown fields", messages.message_field_beyond("role", "content", "tool_calls", "tool_call_id")),
)
