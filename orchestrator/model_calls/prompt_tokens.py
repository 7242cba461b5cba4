"""Prompt tokens: an upper bound for the size of a prompt, with its tools and schema.

- At OpenAI's own endpoint, the model's own tokenizer (tiktoken) counts, once its vocabulary could be read.
- Everywhere else, `text.count_tokens` estimates from above.
- With `exact_bytes`, every byte counts as a token, which no byte-level tokenizer exceeds.

A few tokens for each message cover the chat format of the endpoint.
"""

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.utils.function_calling import convert_to_openai_tool

from orchestrator.model_calls.content_blocks import PICTURE_TOKENS, parts_of
from orchestrator.models.completions.extras import kept_text
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
    """Return an upper bound for the tokens of a prompt.

    Args:
        model: The model to ask.
        messages: The conversation, the system prompt included.
        tools: Tools that the model may call, in any form that LangChain takes.
        schema: The JSON schema of the answer.
        exact_bytes: Count one token for each byte.
    """
    count: Counter = _bytes if exact_bytes else tokenizer_of(model) or _estimate
    texts = [text for message in messages for text in _texts(message)]
    pictures = sum(len(parts_of(message)) for message in messages if isinstance(message, ToolMessage))
    descriptions = [_described(tool) for tool in tools]
    if schema is not None:
        descriptions.append(json.dumps(schema, ensure_ascii=False))
    # An endpoint without native tools is given them in words as well as by a schema.
    times = 1 if not descriptions or ModelProfile.of(model).has_native_tools else 2
    content_tokens = sum(map(count, texts)) + times * sum(map(count, descriptions))
    if pictures and ModelProfile.of(model).sees_pictures:
        content_tokens += PICTURE_TOKENS * pictures
    return content_tokens + _MESSAGE_TOKENS * len(messages) + _PROMPT_TOKENS


def tools_tokens(tools: Sequence[Any]) -> int:
    """Return an upper bound for the tokens that the descriptions of tools take of a prompt."""
    return sum(_estimate(_described(tool)) for tool in tools)


def _described(tool: Any) -> str:
    return json.dumps(convert_to_openai_tool(tool), ensure_ascii=False)


def _texts(message: BaseMessage) -> list[str]:
    texts = [str(message.text)]
    if not isinstance(message.content, str) and not isinstance(message, ToolMessage):
        texts = [json.dumps(message.content, ensure_ascii=False, default=str)]
    if isinstance(message, AIMessage) and message.tool_calls:
        texts += [f"{call['name']} {json.dumps(call['args'], ensure_ascii=False)}" for call in message.tool_calls]
    if kept := kept_text(message):
        texts.append(kept)
    return texts


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))  # half a surrogate pair has no bytes


@lru_cache(maxsize=4096)  # each step of a worker counts the whole conversation again
def _estimate(text: str) -> int:
    return count_tokens(text)


_tokenizers: dict[str, Counter | None] = {}


def tokenizer_of(model: BaseChatModel) -> Counter | None:
    """Return the model's own tokenizer, or None if `load_tokenizer` has not read it."""
    profile = ModelProfile.of(model)
    return _tokenizers.get(profile.name) if profile.is_openai else None


def load_tokenizer(model: BaseChatModel) -> None:
    """Read the tokenizer of an OpenAI model. The first time it comes over the network: call this off the event loop."""
    if not needs_tokenizer(model):
        return
    name = ModelProfile.of(model).name
    import requests
    import tiktoken

    try:
        encoding = tiktoken.encoding_for_model(name)
    except (KeyError, ValueError, OSError, requests.RequestException):  # tiktoken fetches vocabularies with requests
        _tokenizers[name] = None  # unknown to tiktoken or offline: use the estimate
        return
    # By default tiktoken raises ValueError on texts such as <|endoftext|>, which any page may contain.
    _tokenizers[name] = lambda text: len(encoding.encode(text, disallowed_special=()))


def needs_tokenizer(model: BaseChatModel) -> bool:
    """True if the model has a tokenizer of its own that `load_tokenizer` has not tried to read."""
    profile = ModelProfile.of(model)
    return profile.is_openai and profile.name not in _tokenizers
