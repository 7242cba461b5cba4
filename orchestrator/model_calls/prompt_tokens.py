"""How many tokens a prompt has at most, with its tools and schema.

For OpenAI's own endpoint the model's own tokenizer (tiktoken) counts, once its vocabulary could be read. Everywhere
else `tokens.count_tokens` estimates from above, or, where a budget says so, every byte counts as a token: no
byte-level tokenizer makes more of a text. What an endpoint adds by its chat format is covered by a few tokens for each
message.
"""

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.utils.function_calling import convert_to_openai_tool

from orchestrator.models.profile import ModelProfile
from orchestrator.text import count_tokens

_MESSAGE_TOKENS = 8
_PROMPT_TOKENS = 16
Counter = Callable[[str], int]


def prompt_tokens(
    model: BaseChatModel,
    messages: Sequence[BaseMessage],
    *,
    tools: Sequence[Any] = (),
    schema: dict[str, Any] | None = None,
    exact_bytes: bool = False,
) -> int:
    """An upper bound, see the module.

    Args:
        model: Who is asked.
        messages: The conversation, the system prompt among it.
        tools: What the model may call, in any form that LangChain takes.
        schema: The JSON schema of the answer.
        exact_bytes: Counts bytes.
    """
    count: Counter = _bytes if exact_bytes else tokenizer_of(model) or _estimate
    texts = [text for message in messages for text in _texts(message)]
    about = [_described(tool) for tool in tools]
    if schema is not None:
        about.append(json.dumps(schema, ensure_ascii=False))
    # An endpoint without native tools is told of them in words as well as by a schema.
    twice = 1 if not about or ModelProfile.of(model).has_native_tools else 2
    return sum(map(count, texts)) + twice * sum(map(count, about)) + _MESSAGE_TOKENS * len(messages) + _PROMPT_TOKENS


def tools_tokens(tools: Sequence[Any]) -> int:
    """What the descriptions of tools take of a prompt, from above."""
    return sum(_estimate(_described(tool)) for tool in tools)


def _described(tool: Any) -> str:
    return json.dumps(convert_to_openai_tool(tool), ensure_ascii=False)


def _texts(message: BaseMessage) -> list[str]:
    texts = [str(message.text)]
    if not isinstance(message.content, str):
        texts = [json.dumps(message.content, ensure_ascii=False, default=str)]
    if isinstance(message, AIMessage) and message.tool_calls:
        texts += [f"{call['name']} {json.dumps(call['args'], ensure_ascii=False)}" for call in message.tool_calls]
    return texts


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


@lru_cache(maxsize=4096)
def _estimate(text: str) -> int:
    return count_tokens(text)


_tokenizers: dict[str, Counter | None] = {}


def tokenizer_of(model: BaseChatModel) -> Counter | None:
    """The model's own tokenizer, if `load_tokenizer` could read it."""
    profile = ModelProfile.of(model)
    return _tokenizers.get(profile.name) if profile.is_openai else None


def load_tokenizer(model: BaseChatModel) -> None:
    """Reads the tokenizer of one of OpenAI's models; over the network at first, so call it off the event loop."""
    if not needs_tokenizer(model):
        return
    name = ModelProfile.of(model).name
    import requests
    import tiktoken

    try:
        encoding = tiktoken.encoding_for_model(name)
    except (KeyError, ValueError, OSError, requests.RequestException):
        _tokenizers[name] = None  # unknown to tiktoken, or not to be had: the estimate stands in
        return
    _tokenizers[name] = lambda text: len(encoding.encode(text, disallowed_special=()))


def needs_tokenizer(model: BaseChatModel) -> bool:
    """Whether `load_tokenizer` has not been tried for this model yet and would make sense."""
    profile = ModelProfile.of(model)
    return profile.is_openai and profile.name not in _tokenizers
