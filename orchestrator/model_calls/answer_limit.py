"""Answer limit: capping the answer of any chat model, under the name that its class knows.

Classes of OpenAI's API take `max_tokens` with each request. Others have a field of another name (`num_predict` of
Ollama, `max_output_tokens` of Gemini), and refuse or ignore what comes with a request.
"""

from collections.abc import Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable, RunnableLambda
from langchain_core.utils.function_calling import convert_to_openai_tool

from orchestrator.errors import ModelError
from orchestrator.models.profile import ModelProfile

Arguments = dict[str, Any]


def limited(model: BaseChatModel, tokens: int) -> tuple[BaseChatModel, Arguments]:
    """Return the model to ask and the further arguments of the request, so that the answer is not longer.

    Args:
        model: Any chat model. It is not changed.
        tokens: Most tokens of the answer.
    """
    profile = ModelProfile.of(model)
    if profile.takes_limit_with_request or (name := profile.limit_field) is None:
        return model, {"max_tokens": tokens}
    # A field counts in every request of a class, also in those that its `with_structured_output` makes.
    return model.model_copy(update={name: tokens}), {}


def structured(model: BaseChatModel, schema: dict[str, Any], arguments: Arguments) -> Runnable[Any, Any]:
    """Return a runnable that asks for JSON of a schema, and gives `raw`, `parsed` and `parsing_error`.

    Args:
        model: The model to ask, as `limited` returned it.
        schema: The JSON schema, with a title.
        arguments: The further arguments, as `limited` returned them.

    Raises:
        ModelError: The model can be asked for JSON, but not with a limit.
    """
    # include_raw: the raw message reports the usage, and says if it was truncated.
    options: Arguments = {"method": "json_schema", "include_raw": True}
    if not arguments:
        return model.with_structured_output(schema, **options)
    try:
        return model.with_structured_output(schema, **options, **arguments)
    except (TypeError, ValueError) as error:
        # LangChain 1.x: `BaseChatModel.with_structured_output` refuses every argument that it does not know.
        if type(model).bind_tools is BaseChatModel.bind_tools:
            raise ModelError(
                f"{ModelProfile.of(model).name} takes no limit for answers in JSON, and tokens are limited: "
                "give its class a field `max_tokens`, or limit the run by model_calls"
            ) from error
        return _by_tool_call(model, schema, arguments)


def _by_tool_call(model: BaseChatModel, schema: dict[str, Any], arguments: Arguments) -> Runnable[Any, Any]:
    """Ask for the call of a tool with this schema, as LangChain's own `with_structured_output` does."""
    asked = model.bind_tools([schema], tool_choice="any", **arguments)
    name = convert_to_openai_tool(schema)["function"]["name"]

    def parse(message: AIMessage) -> dict[str, Any]:
        calls: Sequence[Any] = [call for call in message.tool_calls if call["name"] == name]
        broken = [call["error"] or call["args"] for call in message.invalid_tool_calls if call["name"] == name]
        error = ValueError(f"the arguments of '{name}' are not JSON: {broken[0]}") if broken and not calls else None
        return {"raw": message, "parsed": calls[0]["args"] if calls else None, "parsing_error": error}

    # LangChain runs a plain function under `ainvoke` in an executor. This costs each call a hop between threads.
    async def aparse(message: AIMessage) -> dict[str, Any]:
        return parse(message)

    return asked | RunnableLambda(parse, aparse)
