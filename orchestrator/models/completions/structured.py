"""Structured answers: the JSON in an answer instead of the words around it."""

import json
from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatResult
from langchain_core.runnables import Runnable, RunnableLambda

from orchestrator.models.json_answers import answered_json, fits

_MOST_JUNK = 4000  # characters to keep of an answer without the JSON that was asked for


def read_json(result: ChatResult, schema: dict[str, Any]) -> bool:
    """Replace an answer by the JSON in it.

    Args:
        result: The answer; its messages are replaced.
        schema: The schema that was asked for.

    Returns:
        False if a complete answer does not fit the schema.
    """
    fits_all = True
    for generation in result.generations:
        message: Any = generation.message
        if message.tool_calls or message.additional_kwargs.get("refusal"):
            continue  # a tool call and a refusal need not fit the schema
        value = answered_json(str(message.text), schema)
        does_fit = value is not None and fits(value, schema)
        ended = (generation.generation_info or {}).get("finish_reason")
        # In a truncated answer an object that does not fit can be an inner part of the true one.
        if does_fit or (value is not None and ended != "length"):
            generation.message = message.model_copy(update={"content": json.dumps(value, ensure_ascii=False)})
        elif value is None and len(message.text) > _MOST_JUNK:  # parsers that repair JSON take very long on it
            generation.message = message.model_copy(update={"content": message.text[:_MOST_JUNK]})
        fits_all = fits_all and (does_fit or ended != "stop")
    return fits_all


def json_parser(*, include_raw: bool) -> Runnable[AIMessage, Any]:
    """Return what parses an answer's JSON, and reports errors as LangChain's `with_structured_output` does.

    Args:
        include_raw: Return the answer and the error beside the parsed JSON, and raise nothing.
    """

    def parse(message: AIMessage) -> Any:
        try:
            parsed, error = json.loads(str(message.text)), None
        except ValueError as problem:
            parsed, error = None, problem
        if include_raw:
            return {"raw": message, "parsed": parsed, "parsing_error": error}
        if error is not None:
            raise error
        return parsed

    # LangChain runs a plain function under `ainvoke` in an executor. This costs each call a hop between threads.
    async def aparse(message: AIMessage) -> Any:
        return parse(message)

    return RunnableLambda(parse, aparse)
