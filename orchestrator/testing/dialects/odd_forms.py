"""Dialects whose answers are whole and stand in odd forms: other fields, numbers, lines, wrappers and statuses."""

from orchestrator.testing.dialects import calls, conditions, errors, quirks
from orchestrator.testing.dialects.dialect import Dialect, Refusal, Streaming
from orchestrator.testing.dialects.hostile import answering

_WHOLE = Streaming("never")
_OTHER_NAMES = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens"}

ODD_CALLS = (
    answering("calls numbered from 1", streaming=Streaming(numbers="from 1", arguments="pieces")),
    answering("calls that are all number 0", streaming=Streaming(numbers="all 0", arguments="pieces")),
    answering("whole calls that are all number 0", streaming=Streaming(numbers="all 0")),
    answering(
        "calls number 0 without ids",
        calls.ids(lambda call, at: None),
        streaming=Streaming(numbers="all 0", arguments="pieces"),
    ),
    answering("names in parts", streaming=Streaming(names="parts", arguments="pieces")),
    answering("arguments that grow", streaming=Streaming(arguments="growing")),
    answering("arguments behind a placeholder", streaming=Streaming(arguments="placeholder")),
    answering("calls without function", calls.each_call(calls.without_function)),
    answering("arguments as input", calls.arguments_under("input")),
    answering("arguments as parameters", calls.arguments_under("parameters")),
    answering("calls in function_call", calls.as_function_call),
    answering("calls in a choice of their own", calls.in_other_choice),
    answering("calls beside the message", calls.beside_message, streaming=_WHOLE),
    answering("calls as blocks", calls.as_blocks),
)

ODD_ANSWERS = (
    answering("content of type output_text", quirks.content_of_type("output_text")),
    answering("content as one part", quirks.content_of_type("text", is_list=False), streaming=_WHOLE),
    answering("text of the choice", quirks.text_of_choice, streaming=_WHOLE),
    answering("one choice and no list", quirks.single_choice, streaming=_WHOLE),
    answering("wrapped in result", quirks.wrapped("result", success=True, errors=[]), streaming=_WHOLE),
    answering("wrapped in data", quirks.wrapped("data", code=200, msg="ok"), streaming=_WHOLE),
    answering("success in each chunk", quirks.fields(code=0, message="success", base_resp={"status_code": 0})),
    answering("no error in each chunk", quirks.fields(error=None, errors=[], detail="")),
    answering("usage under other names", quirks.usage_as(_OTHER_NAMES, lambda count: count)),
    answering("usage as texts", quirks.usage_as({}, str)),
    answering("usage as fractions", quirks.usage_as({}, float)),
)

ODD_STREAMS = (
    answering("events without gaps", streaming=Streaming("always", lines="without gaps")),
    answering("chunks on lines", streaming=Streaming("always", lines="bare", done=False)),
    answering("chunks on lines as json", streaming=Streaming("always", lines="bare"), stream_type="application/json"),
    answering("carriage returns", streaming=Streaming("always", line_end="\r")),
    answering("empty events", streaming=Streaming("always", before=("", ": thinking", "", ""))),
    answering("lost behind the end", streaming=Streaming(is_lost=True)),
)


def _once(name: str, message: str, status: int, *, in_body: bool = False, shape: object = None) -> Dialect:
    refusal = Refusal(conditions.always, message, status, times=1, place="body" if in_body else "status", shape=shape)  # type: ignore[arg-type]
    return Dialect(name, (refusal,))


ODD_FAILURES = (
    _once("rate limit in a state", "rate limit exceeded", 429, in_body=True, shape=errors.in_state),
    _once("failure beside a result", "Upstream service unavailable", 503, in_body=True, shape=errors.in_result),
    _once("424", "Request failed during generation", 424, shape=errors.plain),
    _once("498", "capacity exceeded", 498),
    _once("499", "client closed request", 499, shape=errors.text),
    _once("524", "A timeout occurred", 524, shape=errors.html),
    Dialect(
        "refusal of tools inside 200",
        (Refusal(conditions.parameter("tools"), "tools are not supported", 400, place="body"),),
        error=errors.in_result,
        tools=False,
    ),
)

# A model whose name LangChain knows as one without schemas fills in a form by calling a function, which it has to call.
_OLD = "gpt-4"

TOOL_CHOICES = (
    Dialect(
        "tool_choice as text only",
        (Refusal(conditions.tool_choice_object, "Input should be 'none', 'auto' or 'required'", 422,
                 {"loc": ["body", "tool_choice"]}),),
        error=errors.field_details,
        model=_OLD,
    ),
    Dialect(
        "no forced tools",
        (Refusal(conditions.forced_tool, 'tool_choice is one of the strings that should be ["none", "auto"]',
                 details={"code": "invalid_parameter_error"}, source="pydantic/pydantic-ai#1265"),),
        model=_OLD,
    ),
    Dialect(
        "no forced tools, in other words",
        (Refusal(conditions.forced_tool, "Only 'auto' tool_choice is supported", shape=errors.plain,
                 source="pydantic/pydantic-ai#3270"),),
        model=_OLD,
    ),
    Dialect(
        "no tool_choice at all",
        (Refusal(conditions.parameter("tool_choice"), "Extra inputs are not permitted", 422,
                 {"loc": ["body", "tool_choice"]}, errors.field_details, source="runpod-workers/worker-vllm#85"),),
        model=_OLD,
    ),
    Dialect(
        "forced tools only",
        (Refusal(
            conditions.all_of(conditions.parameter("tools"), conditions.without(conditions.tool_choice_object)),
            '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
            source="vllm-project/vllm#9986",
        ),),
        error=errors.numbered,
        tools=False,
        model=_OLD,
    ),
    Dialect(
        "no parallel_tool_calls",
        (Refusal(conditions.parameter("parallel_tool_calls"), "json: unknown field \"parallel_tool_calls\""),),
        error=errors.with_error_code,
        model=_OLD,
    ),
    Dialect(
        "unknown words: forced tools",
        (Refusal(conditions.forced_tool, "Request rejected.", shape=errors.detail),),
        model=_OLD,
    ),
)  # fmt: skip

ODD_FORMS = (*ODD_CALLS, *ODD_ANSWERS, *ODD_STREAMS, *ODD_FAILURES, *TOOL_CHOICES)
