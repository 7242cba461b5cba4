"""Dialects of further endpoints and gateways: Databricks, Cloudflare, Cohere, Cerebras, MiniMax and others."""

from orchestrator.testing.dialects import calls, conditions, errors, quirks
from orchestrator.testing.dialects import message_conditions as messages
from orchestrator.testing.dialects.dialect import Dialect, Failure, Refusal, Streaming

DATABRICKS = Dialect(
    "databricks",
    refusals=(
        Refusal(
            conditions.parameter("stream_options", "parallel_tool_calls"),
            'json: unknown field "{parameter}"',
            source="continuedev/continue#12936",
        ),
        Refusal(
            conditions.schema_word("additionalProperties", "$schema", "default"),
            "INVALID_PARAMETER_VALUE: Invalid JSON schema of a tool: unsupported keyword '{word}'",
            details={"error_code": "INVALID_PARAMETER_VALUE"},
            source="anomalyco/opencode#31156 for the kind",
        ),
    ),
    error=errors.with_error_code,
    answer=quirks.each(quirks.content_of_type("text")),
    model="databricks-claude-sonnet-4-5",
)

CLOUDFLARE = Dialect(
    "cloudflare",
    refusals=(
        Refusal(
            messages.null_content(),
            "AiError: Bad input: Error: oneOf at '/' not met, 0 matches: required properties at '/' are 'prompt', Type "
            "mismatch of '/messages/{index}/content', 'null' not in 'string'",
            details={"code": 5006},
            source="opencodeschool/opencode.school#174, we-promise/sure#467",
        ),
        Refusal(
            conditions.always,
            "Upstream service unavailable",
            503,
            times=1,
            source="cloudflare/cloudflare-docs#15116",
        ),
    ),
    error=errors.in_result,
    answer=quirks.each(calls.argument_objects),
    model="@cf/meta/llama-3.3-70b-instruct-fp8-fast",
)

COHERE = Dialect(
    "cohere",
    refusals=(
        Refusal(
            conditions.any_of(conditions.strict_tool, conditions.strict_schema),
            "unknown field: parameter 'strict' is not a valid field. For proper usage, please refer to "
            "https://docs.cohere.com/reference/chat",
            422,
            source="OpenRouterTeam/openrouter-examples#71",
        ),
        Refusal(
            conditions.parameter("tool_choice"),
            "invalid request: tool_choice must be one of: REQUIRED, NONE",
            422,
            source="Toloka/tolokaforge#738 for the kind",
        ),
    ),
    error=lambda failure: {"id": "c-1", "message": failure.message},
    model="command-a-03-2025",
)

CEREBRAS = Dialect(
    "cerebras",
    refusals=(
        Refusal(
            conditions.strict_tool,
            "Tools with strict=True are not supported by this model",
            422,
            source="livekit/agents#3134",
        ),
        Refusal(
            conditions.format_with_tools,
            '"tools" is incompatible with "response_format"',
            source="its documentation of structured outputs",
        ),
        Refusal(
            conditions.strict_schema,
            "type: Input should be 'text'",
            source="Cerebras/cerebras-cloud-sdk-python#4",
        ),
    ),
    error=errors.without_wrapper,
    answer=quirks.each(quirks.fields(time_info={"queue_time": 0.0001, "total_time": 0.05})),
    streaming=Streaming(usage_in="finish"),
    model="zai-glm-4.6",
)


def _minimax(failure: Failure) -> object:
    fields = {"type": "bad_request_error", "message": failure.message, "http_code": str(failure.status)}
    return {"type": "error", "error": fields, "request_id": "0668"}


MINIMAX = Dialect(
    "minimax",
    refusals=(
        Refusal(
            messages.sequence("system", "system"),
            "invalid params, invalid chat setting (2013)",
            source="can1357/oh-my-pi#954",
        ),
        Refusal(
            messages.system_later,
            "invalid params, chat content has invalid message role: system (2013)",
            source="BigPizzaV3/CodexPlusPlus#267",
        ),
        Refusal(
            conditions.broken_arguments,
            "invalid params, invalid function arguments json string, tool_call_id: call_function_1 (2013)",
            source="ResearAI/DeepScientist#48",
        ),
        Refusal(conditions.always, "rate limit", 429, {"code": 1002}, shape=errors.in_state, times=1, place="body"),
    ),
    error=_minimax,
    answer=quirks.each(
        quirks.thoughts_in_text(),
        quirks.fields(base_resp={"status_code": 0, "status_msg": ""}, input_sensitive=False),
    ),
    streaming=Streaming(usage_in="finish"),
    model="MiniMax-M2",
)

PERPLEXITY = Dialect(
    "perplexity",
    refusals=(
        Refusal(conditions.parameter("tools"), "Tool calling is not supported for this model."),
        Refusal(
            messages.strictly_out_of_turn,
            "After the (optional) system message(s), user and assistant roles should be alternating.",
            details={"type": "invalid_message", "code": 400},
            source="perplexityai/api-discussion#265",
        ),
        Refusal(
            messages.last_other_than("user"),
            "Last message must have role `user`.",
            details={"type": "invalid_message", "code": 400},
            source="BerriAI/litellm#3918",
        ),
    ),
    answer=quirks.each(quirks.fields(citations=["https://example.org/herons"], search_results=[])),
    streaming=Streaming(usage_in="every"),
    tools=False,
    model="sonar",
)

FOUNDRY_LOCAL = Dialect(
    "foundry local",
    streaming=Streaming(numbers="from 1", usage_in="none"),
    model="qwen2.5-7b-instruct-generic-cpu",
    source="microsoft/foundry-local#372",
)

SGLANG = Dialect(
    "sglang",
    answer=quirks.each(quirks.choice_fields(matched_stop=None), quirks.thoughts_in("reasoning_content")),
    error=errors.flat,
    streaming=Streaming(numbers="none", arguments="pieces", repeats=("id",)),
    source="vercel/ai#15879",
)

GATEWAYS = (DATABRICKS, CLOUDFLARE, COHERE, CEREBRAS, MINIMAX, PERPLEXITY, FOUNDRY_LOCAL, SGLANG)
