"""Conditions on the order, the roles and the contents of messages."""

from collections.abc import Sequence

from orchestrator.testing.dialects.conditions import roles_of
from orchestrator.testing.dialects.dialect import Body, Condition, Found


def message_field(name: str, *roles: str) -> Condition:
    """Hold if a message has the field: its `{index}` and `{role}`.

    Args:
        name: The field.
        roles: The roles to look at; none for all.
    """

    def condition(body: Body) -> Found:
        for index, message in enumerate(body["messages"]):
            if name in message and (not roles or message["role"] in roles):
                return {"index": index, "role": message["role"], "field": name}
        return None

    return condition


def message_field_beyond(*known: str) -> Condition:
    """Hold if a message has a field that is not `known`: `{field}`, `{index}`, `{role}` and `{value}`."""

    def condition(body: Body) -> Found:
        for index, message in enumerate(body["messages"]):
            for name in message:
                if name not in known:
                    return {"field": name, "index": index, "role": message["role"], "value": message[name]}
        return None

    return condition


def calls_without(name: str) -> Condition:
    """Hold if an assistant's message with tool calls lacks a field that this server had sent: its `{index}`."""

    def condition(body: Body) -> Found:
        for index, message in enumerate(body["messages"]):
            if message.get("tool_calls") and not message.get(name):
                return {"index": index}
        return None

    return condition


def role(*names: str) -> Condition:
    """Hold if a message has one of the roles: `{role}` and `{index}`."""

    def condition(body: Body) -> Found:
        roles = roles_of(body)
        return next(({"role": one, "index": at} for at, one in enumerate(roles) if one in names), None)

    return condition


def system_later(body: Body) -> Found:
    """Hold if a system message is not the first message: its `{index}`."""
    roles = roles_of(body)
    return next(({"index": at} for at, one in enumerate(roles) if at and one == "system"), None)


def no_user(body: Body) -> Found:
    """Hold if no message is a user's."""
    return None if "user" in roles_of(body) else {}


def first_other_than(*names: str) -> Condition:
    """Hold if the first message after the system's has another role: `{role}`."""

    def condition(body: Body) -> Found:
        roles = [one for one in roles_of(body) if one not in ("system", "developer")]
        return {"role": roles[0]} if roles and roles[0] not in names else None

    return condition


def last_other_than(*names: str) -> Condition:
    """Hold if the last message has another role: `{role}`."""

    def condition(body: Body) -> Found:
        last = roles_of(body)[-1]
        return None if last in names else {"role": last}

    return condition


def sequence(before: str, after: str) -> Condition:
    """Hold if a message of one role follows one of another directly: `{index}` of the second, `{before}`, `{after}`."""

    def condition(body: Body) -> Found:
        roles = roles_of(body)
        for at in range(1, len(roles)):
            if (roles[at - 1], roles[at]) == (before, after):
                return {"index": at, "previous": at - 1, "before": before, "after": after}
        return None

    return condition


def successive(*names: str) -> Condition:
    """Hold if two messages of one of the roles follow each other: `{index}` of the second, `{previous}`, `{role}`."""

    def condition(body: Body) -> Found:
        roles = roles_of(body)
        for at in range(1, len(roles)):
            if roles[at] == roles[at - 1] and roles[at] in names:
                return {"index": at, "previous": at - 1, "role": roles[at]}
        return None

    return condition


def out_of_turn(body: Body) -> Found:
    """Hold if users and assistants do not alternate, as the chat templates of Mistral and Gemma check it.

    The templates skip the first system message, tool calls and their results.
    """
    messages = body["messages"][1:] if roles_of(body)[0] == "system" else body["messages"]
    turns = [one["role"] for one in messages if one["role"] != "tool" and not one.get("tool_calls")]
    return _odd(turns)


def strictly_out_of_turn(body: Body) -> Found:
    """Hold if the messages are anything but user, assistant, user, … after at most one system message."""
    roles = roles_of(body)
    return _odd(roles[1:] if roles[0] == "system" else roles)


def _odd(turns: Sequence[str]) -> Found:
    for at, one in enumerate(turns):
        if one != ("user", "assistant")[at % 2]:
            return {"role": one, "index": at}
    return None


def null_content(*names: str) -> Condition:
    """Hold if a message has no text: `content` is null or missing. Its `{index}` and `{role}`."""

    def condition(body: Body) -> Found:
        for index, message in enumerate(body["messages"]):
            if message.get("content") is None and (not names or message["role"] in names):
                return {"index": index, "role": message["role"]}
        return None

    return condition


def empty_content(body: Body) -> Found:
    """Hold if a message has an empty text: its `{index}` and `{role}`."""
    for index, message in enumerate(body["messages"]):
        if isinstance(message.get("content"), str) and not message["content"].strip():
            return {"index": index, "role": message["role"]}
    return None


def missing_content(body: Body) -> Found:
    """Hold if a message lacks the field `content`: its `{index}` and `{role}`."""
    for index, message in enumerate(body["messages"]):
        if "content" not in message:
            return {"index": index, "role": message["role"]}
    return None


def content_in_parts(body: Body) -> Found:
    """Hold if a content is a list of parts: its `{index}`."""
    for index, message in enumerate(body["messages"]):
        if isinstance(message.get("content"), list):
            return {"index": index, "role": message["role"]}
    return None
