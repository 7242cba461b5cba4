"""Make the chat model of an endpoint, over the shared HTTP clients."""

from typing import Any

from pydantic import SecretStr

from orchestrator.models.http_client import LoopTransport, blocking_client
from orchestrator.models.openai_compatible import AdaptiveChatOpenAI
from orchestrator.models.proxies import OPENAI_URL
from orchestrator.models.requests.lessons import recall
from orchestrator.models.settings import ModelSettings
from orchestrator.redaction import redact


def make_endpoint(
    name: str, base_url: str | None, key: SecretStr, settings: ModelSettings, proxy: str | None = None, **fields: Any
) -> AdaptiveChatOpenAI:
    """Make a chat model at an endpoint, over the shared HTTP clients.

    Args:
        name: The model's name at the endpoint.
        base_url: Address of the endpoint; None for OpenAI's.
        key: The endpoint's key.
        settings: Time limit, retries, temperature, reasoning effort, window, tool mode and sight.
        proxy: The proxy for all requests; None for a direct connection, whatever the environment says.
        **fields: Further fields of the model.

    Raises:
        ConfigError: The proxy cannot be used.
    """
    import httpx2

    for model in (name, ""):  # the model's lessons, and the endpoint's own
        recall(base_url or "", model)  # reads a file, so not later on an event loop
    chosen = {"temperature": settings.temperature, "reasoning_effort": settings.reasoning_effort}
    optional: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
    return AdaptiveChatOpenAI(
        model=name,
        base_url=base_url,
        api_key=key,
        timeout=settings.timeout_s,
        max_retries=0,  # the engine repeats requests itself, and reserves each in the budget
        retries=settings.max_retries,
        stream_usage=True,  # LangChain reports no usage of streams from another `base_url` otherwise
        http_client=blocking_client(proxy),
        http_async_client=httpx2.AsyncClient(
            transport=LoopTransport(proxy), timeout=settings.timeout_s, follow_redirects=True
        ),
        http_socket_options=(),  # these are for clients that LangChain makes itself
        openai_proxy=None,  # `proxy_for` reads OPENAI_PROXY; LangChain refuses it beside an own client
        **{
            "tool_mode": settings.tool_mode,
            "window": settings.window,
            "sees": settings.sees,
            "label": redact(base_url or OPENAI_URL),
            **optional,
            **fields,
        },
    )
