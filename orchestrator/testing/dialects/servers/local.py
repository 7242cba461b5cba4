"""Dialects of servers that people run themselves: vLLM, Ollama, LM Studio, llama.cpp, and the proxy LiteLLM."""

from orchestrator.testing.dialects import calls, conditions, errors, listings, pages, quirks
from orchestrator.testing.dialects import message_conditions as messages
from orchestrator.testing.dialects.dialect import Dialect, Quirk, Refusal, Stray, Streaming, Window

_VLLM_CONTEXT = (
    "This model's maximum context length is {window} tokens. However, you requested {total} tokens ({prompt} in the "
    "messages, {limit} in the completion). Please reduce the length of the messages or completion."
)
_VLLM_LIMIT = (
    "'max_tokens' or 'max_completion_tokens' is too large: {limit}. This model's maximum context length is {window} "
    "tokens and your request has {prompt} input tokens ({limit} > {window} - {prompt})."
)
_ALTERNATE = "Conversation roles must alternate user/assistant/user/assistant/..."
_AFTER_SYSTEM = "After the optional system message, conversation roles must alternate user/assistant/user/assistant/..."
_NULL_FIELDS = quirks.message_fields(refusal=None, annotations=None, audio=None, function_call=None)

VLLM = Dialect(
    "vllm",
    refusals=(
        Refusal(
            conditions.broken_arguments,
            "Expecting ',' delimiter: line 1 column 15 (char 14)",
            500,
            {"type": "Internal"},
        ),
    ),
    error=errors.numbered,
    answer=quirks.each(
        quirks.message_fields(refusal=None, annotations=None, audio=None, function_call=None, tool_calls=[]),
        quirks.thoughts_in("reasoning_content"),
        quirks.choice_fields(logprobs=None, stop_reason=None, token_ids=None),
        quirks.fields(service_tier=None, prompt_logprobs=None, kv_transfer_params=None),
    ),
    streaming=Streaming(arguments="pieces"),
    model="Qwen/Qwen3-32B",
    window=Window(32_768, Refusal(conditions.always, _VLLM_CONTEXT, source="vllm-project/vllm#20409"), "max_model_len"),
    source="vllm-project/vllm#20409, #37558",
)

VLLM_SMALL = Dialect(
    "vllm with a window of 4,096",
    error=errors.flat,
    answer=quirks.each(_NULL_FIELDS),
    window=Window(4096, Refusal(conditions.always, _VLLM_LIMIT, details={"type": "BadRequestError"})),
    source="ogx-ai/ogx#4534",
)

VLLM_WITHOUT_PARSER = Dialect(
    "vllm without a tool parser",
    refusals=(
        Refusal(
            conditions.parameter("tools"),
            '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
            source="vllm-project/vllm#9986",
        ),
    ),
    error=errors.flat,
    tools=False,
)

# The conversation is checked by the template of the model, so one server refuses differently for each model.
VLLM_MISTRAL = Dialect(
    "vllm with a template of Mistral",
    refusals=(
        Refusal(messages.out_of_turn, _AFTER_SYSTEM, source="vllm-project/vllm#6862"),
        Refusal(
            conditions.call_id_other_than("[a-zA-Z0-9]{9}"),
            "Tool call IDs should be alphanumeric strings with length 9!",
            source="ggml-org/llama.cpp#11402",
        ),
    ),
    error=errors.flat,
    answer=quirks.each(calls.ids(calls.short_id), _NULL_FIELDS),
    source="ggml-org/llama.cpp#11402 quotes the template",
)

VLLM_GEMMA = Dialect(
    "vllm with a template of Gemma",
    refusals=(
        Refusal(conditions.parameter("tools"), '"auto" tool choice requires --enable-auto-tool-choice'),
        Refusal(messages.strictly_out_of_turn, f"{_ALTERNATE} {_ALTERNATE}", source="suitenumerique/conversations#197"),
    ),
    error=errors.numbered,
    tools=False,
)

VLLM_OLD_MISTRAL = Dialect(
    "vllm with a template without system role",
    refusals=(
        Refusal(conditions.parameter("tools"), '"auto" tool choice requires --enable-auto-tool-choice'),
        Refusal(messages.role("system"), _ALTERNATE, source="microsoft/autogen#1037"),
        Refusal(messages.strictly_out_of_turn, _ALTERNATE, source="weaviate/Verba#150"),
    ),
    error=errors.flat,
    tools=False,
)

VLLM_LLAMA = Dialect(
    "vllm with a template of Llama 3",
    refusals=(
        Refusal(
            conditions.parallel_calls,
            "This model only supports single tool-calls at once!",
            source="vllm-project/vllm#13978",
        ),
    ),
    error=errors.numbered,
    answer=quirks.each(_NULL_FIELDS),
)

# With --reasoning-parser and a model that closes no thought, all of the answer counts as thought.
VLLM_REASONING = Dialect(
    "vllm that takes the answer for thoughts",
    error=errors.numbered,
    answer=(Quirk(quirks.text_in("reasoning_content"), when=conditions.without(conditions.parameter("tools"))),),
    source="vllm-project/vllm#50948, #15618",
)

# The list of models has no windows. The loaded window is often smaller than the one that the model was trained for.
OLLAMA = Dialect(
    "ollama",
    refusals=(
        Refusal(messages.missing_content, "invalid message format"),
        Refusal(conditions.broken_arguments, "invalid tool call arguments", details={"type": "invalid_request_error"}),
    ),
    answer=quirks.each(
        quirks.thoughts_in("reasoning"),
        quirks.empty_text,
        quirks.fields(system_fingerprint="fp_ollama"),
        calls.each_call(lambda call, at: {**call, "index": at}),
    ),
    streaming=Streaming(usage_in="last"),
    model="qwen3:8b",
    owner="library",
    pages={"/api/ps": pages.ollama_loaded(32_768), "/api/show": pages.ollama_shown(40_960)},
    stray=Stray(404, "404 page not found", "text/plain"),
    source="ollama/ollama#8678, sigoden/aichat#1100",
)

OLLAMA_WITHOUT_TOOLS = Dialect(
    "ollama with a model without tools",
    refusals=(
        Refusal(
            conditions.parameter("tools"),
            "registry.ollama.ai/library/gemma3:4b does not support tools",
            details={"type": "api_error"},
            source="louisho5/picobot#6",
        ),
    ),
    answer=quirks.each(quirks.fields(system_fingerprint="fp_ollama")),
    tools=False,
    model="gemma3:4b",
    owner="library",
    pages={"/api/ps": pages.ollama_loaded(6144), "/api/show": pages.ollama_shown(131_072, "num_ctx    6144\ntop_k 64")},
    stray=Stray(404, "404 page not found", "text/plain"),
)

LM_STUDIO = Dialect(
    "lm studio",
    refusals=(
        Refusal(
            conditions.tool_choice_object,
            "Invalid tool_choice type: 'object'. Supported string values: none, auto, required",
            source="lmstudio-ai/lmstudio-bug-tracker#670",
        ),
        Refusal(
            conditions.format_of("json_object"),
            "'response_format.type' must be 'json_schema' or 'text'",
            source="lmstudio-ai/lmstudio-bug-tracker#307",
        ),
        Refusal(
            messages.null_content(),
            "Invalid 'content': 'content' field must be a string or an array of objects.",
            source="lmstudio-ai/lmstudio-bug-tracker#261",
        ),
    ),
    error=errors.plain,
    answer=quirks.each(quirks.thoughts_in_text(), quirks.fields(stats={}, system_fingerprint="qwen3-8b")),
    streaming=Streaming(arguments="pieces", usage_in="none"),
    model="qwen3-8b",
    window=Window(
        8192,
        Refusal(
            conditions.always,
            "Trying to keep the first {total} tokens when context the overflows. However, the model is loaded with "
            "context length of only {window} tokens, which is not enough. Try to load the model with a larger context "
            "length, or provide a shorter input",
            source="lmstudio-ai/lmstudio-bug-tracker#2339",
        ),
    ),
    headers=(("X-Powered-By", "Express"),),
    owner="organization_owner",
    pages={"/api/v0/models": pages.lm_studio_models(8192, 40_960)},
    # An unknown path is an error with status 200, so the status alone does not show a wrong address.
    stray=Stray(200, '{"error":"Unexpected endpoint or method. ({method} {path})"}'),
    source="lmstudio-ai/lmstudio-bug-tracker#618",
)

# An error of a template comes with the place in the template, and the words of the model's maker at the end.
_JINJA = (
    "\n------------\nWhile executing CallExpression at line 1, column 210 in source:\n...raise_exception(...) }}\n"
    "Error: Jinja Exception: "
)

LLAMA_CPP = Dialect(
    "llama.cpp",
    refusals=(
        # The server listens before the model is loaded.
        Refusal(conditions.always, "Loading model", 503, {"type": "unavailable_error"}, times=2),
        Refusal(
            messages.null_content(),
            "Expected 'content' to be a string or an array",
            500,
            source="ggml-org/llama.cpp#13471",
        ),
        Refusal(conditions.format_with_tools, "Cannot use custom grammar constraints with tools.", 400),
        Refusal(
            conditions.broken_arguments,
            "[json.exception.parse_error.101] parse error at line 1, column 1: attempting to parse an empty input",
            500,
        ),
    ),
    error=errors.coded,
    answer=quirks.each(
        quirks.fields(system_fingerprint="b6100-abc", timings={"prompt_n": 54, "prompt_ms": 13.1}),
        quirks.thoughts_in("reasoning_content"),
    ),
    streaming=Streaming(arguments="pieces", usage_in="finish", every={"timings": {"prompt_n": 1}}),
    listing=listings.under_models,
    window=Window(
        8192,
        Refusal(
            conditions.always,
            "request ({total} tokens) exceeds the available context size ({window} tokens), try increasing it",
            400,
            {"type": "exceed_context_size_error", "n_prompt_tokens": 1, "n_ctx": 8192},
            source="ggml-org/llama.cpp#19774",
        ),
        "meta.n_ctx",
    ),
    headers=(("Server", "llama.cpp"),),
    owner="llamacpp",
    source="ggml-org/llama.cpp#15780",
)

LLAMA_CPP_OLDER = Dialect(
    "llama.cpp that lists what a model was trained for",
    error=errors.coded,
    answer=quirks.each(quirks.thoughts_in("reasoning_content")),
    listing=listings.with_fields(meta={"vocab_type": 2, "n_ctx_train": 131_072, "n_embd": 4096}),
    headers=(("Server", "llama.cpp"),),
    owner="llamacpp",
    pages={"/props": pages.llama_cpp_props(16_384)},
    source="can1357/oh-my-pi#440",
)

LLAMA_CPP_WITHOUT_JINJA = Dialect(
    "llama.cpp without --jinja",
    refusals=(
        Refusal(
            conditions.parameter("tools"), "tools param requires --jinja flag", 500, source="containers/ramalama#988"
        ),
    ),
    error=errors.coded,
    tools=False,
)

LLAMA_CPP_TEMPLATE = Dialect(
    "llama.cpp with a template that raises",
    refusals=(
        Refusal(
            messages.out_of_turn,
            _JINJA + _ALTERNATE,
            500,
            source="eigent-ai/eigent#1394",
        ),
        Refusal(messages.no_user, _JINJA + "No user query found in messages."),
    ),
    error=errors.coded,
)

# The proxy hands the refusals of the servers behind it on, inside words of its own.
LITELLM = Dialect(
    "litellm",
    refusals=(
        Refusal(
            conditions.parameter("max_completion_tokens", "temperature", "stream_options"),
            "litellm.UnsupportedParamsError: zai does not support parameters: ['{parameter}'], for model=glm-5.2. To "
            "drop these, set `litellm.drop_params=True`. Received Model Group=glm\n"
            "Available Model Group Fallbacks=None",
            source="mcdonc/klangk#2067",
        ),
    ),
    error=lambda failure: {
        "error": {
            "message": failure.message,
            "type": "invalid_request_error",
            "param": None,
            "code": str(failure.status),
            "provider_specific_fields": None,
        }
    },
    answer=quirks.each(
        quirks.message_fields(provider_specific_fields={"refusal": None}, function_call=None),
        quirks.thoughts_in("reasoning_content"),
        quirks.usage_fields(prompt_tokens_details=None, completion_tokens_details=None),
    ),
    model="glm",
    headers=(("x-litellm-version", "1.80.0"),),
    owner="openai",
    pages={"/model/info": pages.litellm_info(24_000)},
)

LOCAL_SERVERS = (
    VLLM,
    VLLM_SMALL,
    VLLM_WITHOUT_PARSER,
    VLLM_MISTRAL,
    VLLM_GEMMA,
    VLLM_OLD_MISTRAL,
    VLLM_LLAMA,
    VLLM_REASONING,
    OLLAMA,
    OLLAMA_WITHOUT_TOOLS,
    LM_STUDIO,
    LLAMA_CPP,
    LLAMA_CPP_OLDER,
    LLAMA_CPP_WITHOUT_JINJA,
    LLAMA_CPP_TEMPLATE,
    LITELLM,
)
