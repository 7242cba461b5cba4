"""Forms of the conversation: for chat templates that know fewer roles, orders and contents than OpenAI's endpoint."""

from typing import Any

from orchestrator.models.requests.form import Body, Form, Message, has_content, joined, with_messages, words

_GO_ON = "Go on."
_SEEN = "I have read the results."  # between a tool's answer and a person's words
_NO_TEXT = "-"
_FIELDS = frozenset({"role", "content", "tool_calls", "tool_call_id", "function_call", "refusal", "audio"})
_CALL_FIELDS = frozenset({"id", "type", "function"})


def usual(body: Body) -> Body:
    """Return a request with nothing that the interface does not need, and that some endpoints therefore refuse.

    Names on messages, the role `developer`, and lists of texts are known to OpenAI's own endpoint only. That one takes
    the usual form too.
    """
    return with_messages(body, [_usual(message) for message in body["messages"]])


def _usual(message: Message) -> Message:
    content = message.get("content")
    is_plain = isinstance(content, str) or content is None
    if is_plain and "name" not in message and message["role"] != "developer":
        return message
    kept = {name: value for name, value in message.items() if name != "name"}
    if kept["role"] == "developer":
        kept["role"] = "system"
    if isinstance(content, list) and all(_is_text(part) for part in content):
        kept["content"] = "\n".join(part if isinstance(part, str) else str(part["text"]) for part in content)
    return kept


def _is_text(part: object) -> bool:
    return isinstance(part, str) or (isinstance(part, dict) and part.get("type") == "text" and "text" in part)


def _system_first(body: Body) -> Body:
    systems = [message for message in body["messages"] if message["role"] == "system"]
    if not systems or (len(systems) == 1 and body["messages"][0] is systems[0]):
        return body
    others = [message for message in body["messages"] if message["role"] != "system"]
    return with_messages(body, [joined(systems), *others])


def _no_system(body: Body) -> Body:
    messages = _system_first(body)["messages"]
    if not messages or messages[0]["role"] != "system":
        return body
    system, rest = messages[0], messages[1:]
    if rest and rest[0]["role"] == "user":
        return with_messages(body, [{**joined([system, rest[0]]), "role": "user"}, *rest[1:]])
    return with_messages(body, [{**system, "role": "user"}, *rest])


def _begins_with_user(body: Body) -> Body:
    messages: list[Message] = body["messages"]
    at = 1 if messages and messages[0]["role"] == "system" else 0
    if len(messages) > at and messages[at]["role"] == "user":
        return body
    return with_messages(body, [*messages[:at], {"role": "user", "content": _GO_ON}, *messages[at:]])


def _ends_with_user(body: Body) -> Body:
    messages: list[Message] = body["messages"]
    if messages and messages[-1]["role"] in ("user", "tool"):
        return body
    return with_messages(body, [*messages, {"role": "user", "content": _GO_ON}])


def _alternating(body: Body) -> Body:
    turns: list[Message] = []
    for message in body["messages"]:
        if turns and message["role"] == turns[-1]["role"] != "tool" and not turns[-1].get("tool_calls"):
            turns[-1] = {**joined([turns[-1], message]), **_calls_of(message)}
        else:
            turns.append(message)
    return with_messages(body, turns)


def _answered_tools(body: Body) -> Body:
    bridged: list[Message] = []
    for message in body["messages"]:
        if bridged and bridged[-1]["role"] == "tool" and message["role"] in ("user", "system"):
            bridged.append({"role": "assistant", "content": _SEEN})
        bridged.append(message)
    return with_messages(body, bridged)


def _text_content(body: Body) -> Body:
    return with_messages(body, [{**m, "content": ""} if m.get("content") is None else m for m in body["messages"]])


def _filled_content(body: Body) -> Body:
    return with_messages(body, [m if has_content(m) else {**m, "content": _NO_TEXT} for m in body["messages"]])


def _absent_content(body: Body) -> Body:
    kept = [m if has_content(m) else {k: v for k, v in m.items() if k != "content"} for m in body["messages"]]
    return with_messages(body, kept)


def _no_extras(body: Body) -> Body:
    return with_messages(body, [_standard(message) for message in body["messages"]])


def _standard(message: Message) -> Message:
    kept = {name: value for name, value in message.items() if name in _FIELDS}
    if calls := kept.get("tool_calls"):
        kept["tool_calls"] = [{name: value for name, value in call.items() if name in _CALL_FIELDS} for call in calls]
    return kept


def _calls_of(message: Message) -> dict[str, Any]:
    return {"tool_calls": message["tool_calls"]} if message.get("tool_calls") else {}


_ALTERNATE = (
    r"alternat|consecutive|successive|interleav|same role|role.{0,20}(twice|in a row)|after the optional system"
)

SYSTEM_FIRST = Form(
    "system_first", _system_first, words(r"system.{0,40}(first|begin|start|position|multiple|one|single)")
)
NO_SYSTEM = Form(
    "no_system",
    _no_system,
    words(r"system.{0,10}(role|message|prompt|instruction)|developer instruction|role.{0,20}system"),
)
ALTERNATING = Form("alternating", _alternating, words(_ALTERNATE))
BEGINS_WITH_USER = Form(
    "begins_with_user",
    _begins_with_user,
    words(r"(first|begin|start).{0,40}user|user.{0,20}(first|begin|start)|no user query|at least one user"),
)
ENDS_WITH_USER = Form(
    "ends_with_user", _ends_with_user, words(r"(last|final|end).{0,60}(user|assistant)|prefill|add_generation_prompt")
)
ANSWERED_TOOLS = Form(
    "answered_tools",
    _answered_tools,
    words(
        r"role.{0,10}user.{0,30}(after|follow).{0,20}tool|tool.{0,40}(followed|before).{0,20}(assistant|user)",
        _ALTERNATE,
    ),
)
TEXT_CONTENT = Form(
    "text_content",
    _text_content,
    words(r"\bcontent.{0,80}(null|none|string|required|missing|type)|(null|none).{0,40}\bcontent"),
)
FILLED_CONTENT = Form(
    "filled_content",
    _filled_content,
    words(r"(empty|blank|whitespace).{0,40}\bcontent|\bcontent.{0,60}(empty|blank|whitespace|least|length)|non-?empty"),
)
ABSENT_CONTENT = Form(
    "absent_content", _absent_content, words(r"\bcontent.{0,60}(not.{0,10}allowed|omit|both|together)")
)
NO_EXTRAS = Form(
    "no_extras",
    _no_extras,
    words(
        r"reasoning|thinking|thought",
        r"extra.{0,10}(inputs?|fields?|content)|property|(unknown|unsupported|unrecognized) (field|name|key)",
    ),
    words(r"reasoning_(content|details)|provider_specific|extra_content|thought_signature"),
)
