"""Dialects of hosted endpoints: OpenAI's reasoning models, Azure, OpenRouter, xAI, Groq, Gemini."""

from orchestrator.testing.dialects import calls, conditions, errors, listings, pages, quirks
from orchestrator.testing.dialects import message_conditions as messages
from orchestrator.testing.dialects.dialect import Dialect, Quirk, Refusal, Streaming

_UNSUPPORTED = {"param": "temperature", "code": "unsupported_parameter"}
# A tool call without its answer behind it.
_TOOLS_BELONG = Refusal(
    conditions.unanswered_call,
    "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The "
    "following tool_call_ids did not have response messages: {id}",
    details={"param": "messages"},
)
_LIMIT_NAME = Refusal(
    conditions.parameter("max_tokens"),
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
    details={"param": "max_tokens", "code": "unsupported_parameter"},
    source="owndev/Open-WebUI-Functions#136",
)
_REASONING_TOKENS = quirks.usage_fields(
    completion_tokens_details={"reasoning_tokens": 64, "accepted_prediction_tokens": 0},
    prompt_tokens_details={"cached_tokens": 0},
)

OPENAI = Dialect("openai", refusals=(_TOOLS_BELONG,), answer=quirks.each(quirks.message_fields(refusal=None)))

# Models that reason refuse what would steer how words are drawn, and count their thoughts as tokens of the answer.
OPENAI_REASONING = Dialect(
    "openai reasoning",
    refusals=(
        Refusal(
            conditions.parameter("temperature", "top_p"),
            "Unsupported value: '{parameter}' does not support {value} with this model. Only the default (1) value is "
            "supported.",
            details={"param": "temperature", "code": "unsupported_value"},
            source="sigoden/aichat#1144, BeehiveInnovations/pal-mcp-server#78",
        ),
        _LIMIT_NAME,
        Refusal(
            conditions.parameter("parallel_tool_calls"),
            "Unsupported parameter: 'parallel_tool_calls' is not supported with this model.",
            details={"param": "parallel_tool_calls", "code": "unsupported_parameter"},
        ),
        _TOOLS_BELONG,
    ),
    answer=quirks.each(quirks.message_fields(refusal=None, annotations=[]), _REASONING_TOKENS),
    model="o3-mini",
)

# The first of them took neither a system message nor tools.
OPENAI_FIRST_REASONING = Dialect(
    "openai o1-mini",
    refusals=(
        Refusal(
            messages.role("system", "developer"),
            "Unsupported value: 'messages[0].role' does not support '{role}' with this model.",
            details={"param": "messages[0].role", "code": "unsupported_value"},
        ),
        Refusal(
            conditions.parameter("temperature"),
            "Unsupported value: 'temperature' does not support {value} with this model. Only the default (1) value is "
            "supported.",
            details={"param": "temperature", "code": "unsupported_value"},
            source="cline/cline#341",
        ),
        Refusal(
            conditions.option("stream", True),
            "Unsupported value: 'stream' does not support true with this model. Only the default (false) value is "
            "supported.",
            details={"param": "stream", "code": "unsupported_value"},
            source="cline/cline#550",
        ),
        Refusal(
            conditions.parameter("tools"),
            "Unsupported parameter: 'tools' is not supported with this model.",
            details={"param": "tools", "code": "unsupported_parameter"},
        ),
        Refusal(
            conditions.parameter("response_format"),
            "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.",
            details={"param": "response_format"},
        ),
        _LIMIT_NAME,
    ),
    answer=quirks.each(_REASONING_TOKENS),
    tools=False,
    model="o1-mini",
)

_FILTER = {
    "hate": {"filtered": False, "severity": "safe"},
    "jailbreak": {"filtered": False, "detected": False},
}
_PROMPT_FILTER = [{"prompt_index": 0, "content_filter_results": _FILTER}]

AZURE = Dialect(
    "azure",
    refusals=(_LIMIT_NAME, _TOOLS_BELONG),
    answer=quirks.each(
        quirks.choice_fields(content_filter_results=_FILTER, logprobs=None),
        quirks.fields(prompt_filter_results=_PROMPT_FILTER, system_fingerprint="fp_1"),
        quirks.message_fields(refusal=None, annotations=[]),
    ),
    # The first chunk has the filter's results and no choice.
    streaming=Streaming(
        before=({"choices": [], "prompt_filter_results": _PROMPT_FILTER, "model": ""},), arguments="pieces"
    ),
    model="gpt-5",
    source="openai/openai-dotnet#55",
)

AZURE_OLD = Dialect(
    "azure with an old version of the API",
    refusals=(
        Refusal(
            conditions.parameter("max_completion_tokens", "parallel_tool_calls", "stream_options"),
            "Unrecognized request argument supplied: {parameter}",
        ),
        Refusal(
            conditions.format_of("json_schema"),
            "Invalid parameter: 'response_format' must be one of 'json_object', 'text'.",
            details={"param": "response_format"},
        ),
        Refusal(
            conditions.json_unnamed,
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
            details={"param": "messages"},
        ),
        Refusal(conditions.strict_tool, "Unrecognized request argument supplied: strict"),
    ),
    model="gpt-4",
)

OPENROUTER = Dialect(
    "openrouter",
    refusals=(
        Refusal(
            conditions.always,
            "Provider returned error",
            429,
            {"metadata": {"raw": "error code: 1015", "provider_name": "Kluster"}, "code": 429},
            times=1,
            place="body",
            source="BerriAI/litellm#8448",
        ),
        Refusal(
            conditions.forced_tool,
            "No endpoints found that support the provided 'tool_choice' value. To learn more about provider routing, "
            "visit: https://openrouter.ai/docs/provider-routing",
            404,
            source="zed-industries/zed#36094",
        ),
        Refusal(
            conditions.strict_schema,
            "Invalid schema for response_format 'Plan': strict is not supported",
            shape=errors.of_provider("Azure", errors.numbered),
            source="open-webui/computer#293",
        ),
    ),
    error=errors.of_router,
    answer=quirks.each(
        quirks.thoughts_in("reasoning"),
        quirks.message_fields(refusal=None, reasoning_details=[{"type": "reasoning.text", "text": quirks.THOUGHT}]),
        quirks.choice_fields(native_finish_reason="STOP", logprobs=None),
        quirks.fields(provider="DeepInfra"),
        quirks.usage_fields(cost=0.0001),
    ),
    streaming=Streaming(before=(": OPENROUTER PROCESSING", ": OPENROUTER PROCESSING"), every={"provider": "DeepInfra"}),
    listing=listings.with_fields(
        context_length=131_072,
        top_provider={"context_length": 40_960, "max_completion_tokens": 8192},
        pricing={"prompt": "0.00000008", "input": 2048},
        per_request_limits=None,
    ),
    model="qwen/qwen3-32b",
)

OPENROUTER_WITHOUT_TOOLS = Dialect(
    "openrouter with a model without tools",
    refusals=(
        Refusal(
            conditions.parameter("tools"),
            'No endpoints found that support tool use. Try disabling "level". To learn more about provider routing, '
            "visit: https://openrouter.ai/docs/guides/routing/provider-selection",
            404,
            source="Kilo-Org/kilocode#9006",
        ),
    ),
    error=errors.of_router,
    answer=quirks.each(quirks.thoughts_in("reasoning")),
    tools=False,
)

XAI = Dialect(
    "xai",
    refusals=(
        Refusal(
            messages.message_field("name", "system", "assistant", "tool", "developer"),
            "Invalid request content: Only message of role user can have a name.",
            source="pipecat-ai/pipecat#2274",
        ),
        Refusal(
            conditions.parameter("stop", "presence_penalty", "frequency_penalty"),
            "Argument not supported on this model: {parameter}",
            source="BerriAI/litellm#14056",
        ),
        Refusal(
            messages.empty_content, "Invalid request content: Each message must have at least one content element."
        ),
    ),
    error=errors.beside_code,
    answer=quirks.each(quirks.thoughts_in("reasoning_content"), quirks.message_fields(refusal=None), _REASONING_TOKENS),
    streaming=Streaming(usage_in="every"),
    model="grok-4",
)

GROQ = Dialect(
    "groq",
    refusals=(
        Refusal(
            messages.message_field_beyond("role", "content", "tool_calls", "tool_call_id", "name"),
            "'messages.{index}' : for 'role:{role}' the following must be satisfied[('messages.{index}' : property "
            "'{field}' is unsupported)]",
            source="tashfeenahmed/freellmapi#1070",
        ),
        Refusal(
            messages.message_field("name", "assistant"),
            "'messages.{index}' : for 'role:assistant' the following must be satisfied[('messages.{index}' : property "
            "'name' is unsupported, did you mean 'role'?)]",
            source="karthink/gptel#774",
        ),
        Refusal(
            conditions.all_of(conditions.parameter("tools"), messages.last_other_than("tool")),
            "Failed to call a function. Please adjust your prompt. See 'failed_generation' for more details.",
            details={
                "code": "tool_use_failed",
                "failed_generation": '<function=level>{"lake": ',  # cut, so that no call of a script is in it
            },
            times=1,
            source="langchain-ai/langchain#31440",
        ),
        Refusal(
            conditions.format_with_tools,
            "json mode cannot be combined with tool/function calling",
            source="vercel/ai#16540",
        ),
        Refusal(
            conditions.format_of("json_schema"),
            "This model does not support response format `json_schema`. See supported models at "
            "https://console.groq.com/docs/structured-outputs#supported-models",
            details={"param": "response_format"},
            source="ItzCrazyKns/Vane#980",
        ),
        Refusal(
            conditions.json_unnamed,
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
        ),
    ),
    error=lambda failure: {"error": {"message": failure.message, "type": "invalid_request_error", **failure.details}},
    answer=quirks.each(
        quirks.thoughts_in("reasoning"),
        quirks.fields(x_groq={"id": "req_1"}, usage_breakdown=None),
        quirks.usage_fields(queue_time=0.02, prompt_time=0.001, completion_time=0.4),
    ),
    streaming=Streaming(usage_in="finish", every={"x_groq": {"id": "req_1"}}),
    listing=listings.with_fields(active=True, context_window=131_072, max_completion_tokens=65_536),
    model="openai/gpt-oss-20b",
)

_GEMINI_UNKNOWN = (
    "Invalid JSON payload received. Unknown name \"{word}\" at 'tools[0].function_declarations[{number}].parameters': "
    "Cannot find field."
)

GEMINI = Dialect(
    "gemini",
    refusals=(
        Refusal(
            conditions.schema_word("additionalProperties", "$schema", "const", "$ref", "exclusiveMinimum"),
            _GEMINI_UNKNOWN,
            source="openswarm-ai/openswarm#24",
        ),
        Refusal(
            conditions.parameter_beyond(
                *("model", "messages", "tools", "tool_choice", "response_format", "temperature", "max_tokens"),
                *("max_completion_tokens", "stream", "stream_options", "top_p", "n", "stop", "reasoning_effort"),
            ),
            'Invalid JSON payload received. Unknown name "{parameter}": Cannot find field.',
            source="MinLL/SkyrimNet-GamePlugin#77",
        ),
        Refusal(
            conditions.call_without("extra_content", "google", "thought_signature"),
            "Function call is missing a thought_signature in functionCall parts. This is required for tools to work "
            "correctly, and missing thought_signature may lead to degraded model performance. Additional data, "
            "function call `default_api:{name}` , position 2. Please refer to "
            "https://ai.google.dev/gemini-api/docs/thought-signatures for more details.",
            source="0xsline/OpenChatCut#6",
        ),
        Refusal(
            conditions.format_with_tools,
            "Function calling with a response mime type: 'application/json' is unsupported",
            source="vercel/ai#16540",
        ),
        Refusal(
            conditions.unanswered_call, "Please ensure that function call turn comes immediately after a user turn."
        ),
    ),
    error=errors.in_list,
    answer=(
        Quirk(calls.call_fields(lambda key: {"extra_content": {"google": {"thought_signature": f"sig-{key}"}}})),
        Quirk(calls.finished_as_text, when=conditions.parameter("tools")),
    ),
    streaming=Streaming(usage_in="every"),
    listing=listings.prefixed,
    model="gemini-3-pro-preview",
    pages={"/v1beta/models/gemini-3-pro-preview": pages.gemini_model(1_048_576)},
    base="/v1beta/openai",
)

HOSTED_SERVERS = (
    OPENAI,
    OPENAI_REASONING,
    OPENAI_FIRST_REASONING,
    AZURE,
    AZURE_OLD,
    OPENROUTER,
    OPENROUTER_WITHOUT_TOOLS,
    XAI,
    GROQ,
    GEMINI,
)
