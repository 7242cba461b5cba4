"""Tool calls for endpoints without tools: a JSON schema constrains the answer instead.

The schema has an alternative for each tool and one for the final answer. The JSON in the answer becomes real tool calls
again, so agents do not notice.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from orchestrator.models.json_answers import Schema, inlined, json_objects

ANSWER = "answer"


def tool_schema(
    tools: Sequence[Mapping[str, Any]], tool_choice: object, answer_schema: Mapping[str, Any] | None = None
) -> Schema:
    """Return the schema of one step: a tool call, or the final answer if the choice allows it.

    Args:
        tools: Tools in OpenAI's form, `{"type": "function", "function": {…}}`.
        tool_choice: OpenAI's argument: None, "auto", "any", "required", or one tool's name or object.
        answer_schema: Schema of the final answer; None for plain text.
    """
    functions = [tool["function"] for tool in tools]
    forced = tool_choice if isinstance(tool_choice, str) else _chosen_name(tool_choice)
    if forced in {function["name"] for function in functions}:
        functions = [function for function in functions if function["name"] == forced]
    alternatives = [
        _closed(tool={"const": function["name"]}, args=_plain_schema(function.get("parameters") or {}))
        for function in functions
    ]
    if forced in (None, "auto", "none"):
        text = {"type": "string"} if answer_schema is None else inlined(answer_schema)
        alternatives.append(_closed(tool={"const": ANSWER}, text=text))
    return {"title": "Step", "anyOf": alternatives} if len(alternatives) > 1 else {"title": "Step", **alternatives[0]}


def _chosen_name(tool_choice: object) -> str | None:
    if isinstance(tool_choice, Mapping):
        return str(tool_choice.get("function", {}).get("name") or "") or None
    return None


def _closed(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _plain_schema(parameters: Mapping[str, Any]) -> Schema:
    """Return a tool's parameters without the keywords that grammars do not understand."""
    kept = {
        name: value for name, value in inlined(parameters).items() if name not in ("title", "description", "$schema")
    }
    kept.setdefault("type", "object")
    kept["properties"] = {
        name: {k: v for k, v in value.items() if k not in ("title", "description", "default")}
        for name, value in (kept.get("properties") or {}).items()
    }
    kept["additionalProperties"] = False
    return kept


def _summary(function: Mapping[str, Any]) -> str:
    """Return the first paragraph of a tool's description, and its example."""
    paragraphs = str(function.get("description") or "").split("\n\n")
    shown = [paragraphs[0], *(part for part in paragraphs[1:] if part.strip().startswith("For example"))]
    return " ".join(" ".join(shown).split())


def tool_prompt(tools: Sequence[Mapping[str, Any]], tool_choice: object) -> str:
    """Return a prompt that lists the tools and shows the form of a step."""
    lines = ["Answer with one JSON object: the next step. You have these tools:"]
    for tool in tools:
        function = tool["function"]
        parameters = function.get("parameters") or {}
        required = parameters.get("required") or ()
        arguments = ", ".join(n if n in required else f"[{n}]" for n in parameters.get("properties") or {})
        lines.append(f"- {function['name']}({arguments}): {_summary(function)}")
    lines.append('To use a tool: {"tool": "<its name>", "args": {…}}. Leave out arguments in [brackets] at first.')
    if tool_choice in (None, "auto", "none"):
        lines.append(
            "When you know enough, or a tool has already given what was asked: "
            f'{{"tool": "{ANSWER}", "text": "<your result>"}}'
        )
    return "\n".join(lines)


def restore_calls(result: ChatResult, tools: Sequence[Mapping[str, Any]]) -> ChatResult:
    """Turn the JSON step in an answer back into a tool call, or into the final text."""
    return ChatResult(
        generations=[
            ChatGeneration(message=_restored(g.message, tools), generation_info=g.generation_info)
            for g in result.generations
        ],
        llm_output=result.llm_output,
    )


def _restored(message: BaseMessage, tools: Sequence[Mapping[str, Any]]) -> BaseMessage:
    names = {tool["function"]["name"] for tool in tools}
    # Models write thoughts and other objects beside the step.
    step = next((value for value in json_objects(str(message.text)) if "tool" in value), None)
    if step is None:
        return message
    if step.get("tool") in names and isinstance(step.get("args"), dict):
        # The id of the answer tells equal steps of two answers apart.
        digest = hashlib.sha256(json.dumps([message.id, step], sort_keys=True).encode()).hexdigest()[:16]
        call = {"name": step["tool"], "args": step["args"], "id": f"call_{digest}", "type": "tool_call"}
        return message.model_copy(update={"content": "", "tool_calls": [call]})
    if step.get("tool") == ANSWER:
        text = step.get("text", "")
        return message.model_copy(update={"content": text if isinstance(text, str) else json.dumps(text)})
    return message
