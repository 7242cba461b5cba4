"""TextModel: a chat model that only turns messages into a text, with tools and schemas asked for in words.

LangChain's `BaseChatModel` demands no more than that of a class. Tools are described in the prompt, and the JSON in the
answer becomes their calls, as for an endpoint without tools.
"""

from collections.abc import Callable
from typing import Any

from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage, convert_to_messages, convert_to_openai_messages
from langchain_core.outputs import ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool

from orchestrator.models.completions.structured import json_parser, read_json
from orchestrator.models.json_answers import schema_prompt
from orchestrator.models.json_tool_calls import restore_calls, tool_prompt
from orchestrator.models.profile import ModelProfile
from orchestrator.models.requests.schemas import told
from orchestrator.models.requests.tools import in_words

_Read = Callable[[ChatResult], ChatResult]


def with_tools_and_schemas(model: BaseChatModel) -> BaseChatModel:
    """Return the model, or one around it if its class takes neither tools nor schemas."""
    kind, base = type(model), BaseChatModel
    if kind.bind_tools is not base.bind_tools or kind.with_structured_output is not base.with_structured_output:
        return model
    profile = ModelProfile.of(model)
    profile.remember_secrets()  # the wrapped model's fields are not looked through later
    return TextModel(inner=model, model_name=profile.name, endpoint_url=profile.endpoint, window=profile.window)


class TextModel(BaseChatModel):
    """A model around one that takes neither tools nor schemas.

    Args:
        inner: The wrapped model.
        model_name: Its name.
        endpoint_url: Tells its endpoint from others.
        window: Tokens that it takes at once.
    """

    inner: BaseChatModel
    model_name: str
    endpoint_url: str
    window: int
    has_native_tools: bool = False

    @property
    def _llm_type(self) -> str:
        return self.inner._llm_type

    def bind_tools(
        self, tools: Any, *, tool_choice: Any = None, **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Describe tools in the prompt, and read their calls."""
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], tool_choice=tool_choice, **kwargs)

    def with_structured_output(
        self, schema: Any, *, include_raw: bool = False, method: str = "", **kwargs: Any
    ) -> Runnable[LanguageModelInput, Any]:
        """Ask in the prompt for JSON of a schema."""
        return self.bind(schema=schema, **kwargs) | json_parser(include_raw=include_raw)

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        asked, read = _in_words(messages, kwargs)
        return read(self.inner._generate(asked, stop, **kwargs))

    async def _agenerate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        asked, read = _in_words(messages, kwargs)
        return read(await self.inner._agenerate(asked, stop, **kwargs))


def _in_words(messages: list[BaseMessage], kwargs: dict[str, Any]) -> tuple[list[BaseMessage], _Read]:
    """Return the messages that ask in words, and what reads the answer. Take tools and schema out of `kwargs`."""
    tools, choice, schema = kwargs.pop("tools", None), kwargs.pop("tool_choice", None), kwargs.pop("schema", None)
    body = in_words({"messages": convert_to_openai_messages(messages, text_format="string")})
    if tools:
        body = told(body, tool_prompt(tools, choice))
    if schema is not None:
        body = told(body, schema_prompt(schema))

    def read(result: ChatResult) -> ChatResult:
        if schema is not None:
            read_json(result, schema)
        return restore_calls(result, tools) if tools else result

    return convert_to_messages(body["messages"]), read
