"""Dialects of the endpoints of DeepSeek, Alibaba (DashScope) and Mistral."""

from orchestrator.testing.dialects import calls, conditions, errors, quirks
from orchestrator.testing.dialects import message_conditions as messages
from orchestrator.testing.dialects.dialect import Dialect, Failure, Refusal, Streaming

_DEEPSEEK = {"type": "invalid_request_error", "code": "invalid_request_error"}
_SUCCESSIVE = (
    "deepseek-reasoner does not support successive user or assistant messages (messages[{previous}] and "
    "messages[{index}] in your input). You should interleave the user/assistant messages in the message sequence."
)
_FORMAT = Refusal(
    conditions.format_of("json_schema"),
    "This response_format type is unavailable now",
    details=_DEEPSEEK,
    source="llm-exe/llm-exe#662",
)
_JSON_WORD = Refusal(
    conditions.json_unnamed,
    "Prompt must contain the word 'json' in some form to use 'response_format' of type 'json_object'.",
    details=_DEEPSEEK,
    source="browserbase/stagehand#1204",
)

DEEPSEEK = Dialect(
    "deepseek",
    refusals=(
        _FORMAT,
        _JSON_WORD,
        Refusal(
            conditions.forced_tool,
            "Thinking mode does not support this tool_choice",
            details=_DEEPSEEK,
            source="osaurus-ai/osaurus#1940",
        ),
        Refusal(
            messages.calls_without("reasoning_content"),
            "The `reasoning_content` in the thinking mode must be passed back to the API.",
            details=_DEEPSEEK,
            source="qwersyk/Newelle#404",
        ),
    ),
    answer=quirks.each(
        quirks.thoughts_for_each_answer("reasoning_content"),
        quirks.empty_text,
        quirks.usage_fields(prompt_cache_hit_tokens=0, prompt_cache_miss_tokens=9),
    ),
    streaming=Streaming(usage_in="finish", arguments="pieces"),
    content_type="application/octet-stream",
    model="deepseek-v4-pro",
    source="SaladDay/cc-switch-cli#170 for the content type",
)

DEEPSEEK_REASONER = Dialect(
    "deepseek reasoner of 2025",
    refusals=(
        Refusal(
            conditions.parameter("tools"),
            "deepseek-reasoner does not support Function Calling",
            details=_DEEPSEEK,
        ),
        Refusal(messages.successive("user", "assistant"), _SUCCESSIVE, details=_DEEPSEEK, source="xerrors/Yuxi#126"),
        Refusal(
            messages.message_field("reasoning_content"),
            "The messages[{index}].reasoning_content field is not allowed in the input.",
            details=_DEEPSEEK,
            source="api-docs.deepseek.com/guides/reasoning_model",
        ),
        Refusal(
            conditions.parameter("response_format"),
            "deepseek-reasoner does not support Json Output",
            details=_DEEPSEEK,
        ),
        Refusal(
            messages.content_in_parts,
            "Failed to deserialize the JSON body into the target type: messages[{index}]: invalid type: sequence, "
            "expected a string",
            422,
            source="cline/cline#230",
        ),
    ),
    answer=quirks.each(quirks.thoughts_for_each_answer("reasoning_content")),
    streaming=Streaming(usage_in="finish"),
    tools=False,
    model="deepseek-reasoner",
)

DASHSCOPE = Dialect(
    "dashscope",
    refusals=(
        Refusal(
            conditions.not_streamed,
            "parameter.enable_thinking must be set to false for non-streaming calls",
            source="datawhalechina/hello-agents#230",
        ),
        Refusal(
            conditions.forced_tool,
            "<400> InternalError.Algo.InvalidParameter: The tool_choice parameter does not support being set to "
            "required or object in thinking mode",
            source="cloudwego/eino#994",
        ),
        Refusal(
            conditions.json_unnamed,
            "<400> InternalError.Algo.InvalidParameter: 'messages' must contain the word 'json' in some form, to use "
            "'response_format' of type 'json_object'.",
        ),
        Refusal(
            conditions.format_of("json_schema"),
            "<400> InternalError.Algo.InvalidParameter: Json mode response is not supported when enable_thinking is "
            "true",
        ),
    ),
    error=errors.with_request_id,
    answer=quirks.each(quirks.thoughts_in("reasoning_content"), quirks.empty_text),
    streaming=Streaming(arguments="pieces", repeats=("type",)),
    model="qwen3-32b",
)

MODELSCOPE = Dialect(
    "modelscope",
    refusals=(
        Refusal(
            conditions.not_streamed,
            "enable thinking can not be support when `stream=False`.",
            source="musistudio/claude-code-router#948",
        ),
    ),
    error=errors.with_request_id,
    answer=quirks.each(quirks.thoughts_in("reasoning_content")),
    streaming=Streaming(usage_in="every"),
)


def _order(failure: Failure) -> object:
    return errors.flat(
        Failure(failure.status, failure.message, {"type": "invalid_request_message_order", "code": "3230"})
    )


MISTRAL = Dialect(
    "mistral",
    refusals=(
        Refusal(
            messages.message_field_beyond("role", "content", "tool_calls", "tool_call_id", "name", "prefix"),
            "Extra inputs are not permitted",
            422,
            {"loc": ["body", "messages", "{index}", "{role}", "{field}"]},
            errors.field_details_in_message,
            source="charmbracelet/crush#1590",
        ),
        Refusal(
            messages.message_field("name", "user", "system", "assistant"),
            "Extra inputs are not permitted",
            422,
            {"loc": ["body", "messages", "{index}", "{role}", "{field}"]},
            errors.field_details_in_message,
            source="nomtek/mistralai_client_dart#44",
        ),
        Refusal(
            conditions.parameter("stream_options", "max_completion_tokens"),
            "Extra inputs are not permitted",
            422,
            {"loc": ["body", "{parameter}"]},
            errors.field_details_in_message,
            source="dnakov/anon-kode#53",
        ),
        Refusal(
            conditions.call_id_other_than("[a-zA-Z0-9]{9}"),
            "Tool call id was {id} but must be a-z, A-Z, 0-9, with a length of 9.",
            details={"type": "invalid_function_call", "code": "3280"},
            source="nearai/ironclaw#1241",
        ),
        Refusal(
            messages.sequence("tool", "user"),
            "Unexpected role 'user' after role 'tool'",
            shape=_order,
            source="datapizza-labs/datapizza-ai#98",
        ),
        Refusal(
            messages.sequence("tool", "system"),
            "Unexpected role 'system' after role 'tool'",
            shape=_order,
        ),
        Refusal(
            messages.last_other_than("user", "tool"),
            "Expected last role User or Tool (or Assistant with prefix True) for serving but got {role}",
            shape=_order,
            source="QuantumNous/new-api#2858",
        ),
        Refusal(
            conditions.all_of(messages.null_content("assistant"), conditions.without(conditions.parameter("tools"))),
            "Assistant message must have either content or tool_calls, but not none.",
            source="solbrowse/extension#16",
        ),
    ),
    error=errors.flat,
    answer=quirks.each(calls.ids(calls.short_id), quirks.message_fields(prefix=False)),
    streaming=Streaming(usage_in="finish", numbers="none"),
    model="mistral-large-latest",
)

MAGISTRAL = Dialect(
    "mistral with thoughts in parts",
    refusals=MISTRAL.refusals,
    error=errors.flat,
    answer=quirks.each(calls.ids(calls.short_id), quirks.content_in_parts),
    streaming=Streaming(usage_in="finish"),
    model="magistral-medium-latest",
)

THINKING_SERVERS = (DEEPSEEK, DEEPSEEK_REASONER, DASHSCOPE, MODELSCOPE, MISTRAL, MAGISTRAL)
