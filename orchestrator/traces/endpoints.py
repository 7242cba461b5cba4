"""Attributes of the endpoint that a model is asked at."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

_PROVIDERS = {
    "api.openai.com": "openai",
    "openai.azure.com": "azure.ai.openai",
    "services.ai.azure.com": "azure.ai.inference",
    "anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "amazonaws.com": "aws.bedrock",
    "mistral.ai": "mistral_ai",
    "groq.com": "groq",
    "deepseek.com": "deepseek",
    "moonshot.ai": "moonshot_ai",
    "perplexity.ai": "perplexity",
    "cohere.com": "cohere",
    "x.ai": "x_ai",
}
_CLASSES = {
    "this machine": "llama_cpp",
    "ChatAnthropic": "anthropic",
    "AzureChatOpenAI": "azure.ai.openai",
    "ChatBedrock": "aws.bedrock",
    "ChatBedrockConverse": "aws.bedrock",
    "ChatGoogleGenerativeAI": "gcp.gemini",
    "ChatVertexAI": "gcp.vertex_ai",
    "ChatMistralAI": "mistral_ai",
    "ChatGroq": "groq",
    "ChatDeepSeek": "deepseek",
    "ChatPerplexity": "perplexity",
    "ChatCohere": "cohere",
    "ChatXAI": "x_ai",
    "ChatOpenAI": "openai",
}


def endpoint_attributes(models: Mapping[str, Any], agent: str, model: str) -> dict[str, Any]:
    """Return the provider, and the address where there is one.

    Args:
        models: The models of the task, as `run_began` tells them.
        agent: The agent that asks.
        model: The model that it asks.
    """
    own = (models.get("agents") or {}).get(agent) or {}
    others = [*(models.get("agents") or {}).values(), *(models.get("others") or ())]
    # A fallback has an endpoint of its own. A name that nobody knows was looked up at the agent's own endpoint.
    used = own if own.get("model") == model else next((each for each in others if each.get("model") == model), own)
    endpoint = str(used.get("endpoint") or "")
    if "://" not in endpoint:
        # The conventions allow names of one's own for what they do not list.
        provider = _CLASSES.get(endpoint, endpoint)
        return {"gen_ai.provider.name": provider} if provider else {}
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname or "", parts.port or {"http": 80}.get(parts.scheme, 443)
    except ValueError:  # an address that somebody has mistyped
        return {"gen_ai.provider.name": "openai"}
    known = (name for domain, name in _PROVIDERS.items() if host == domain or host.endswith(f".{domain}"))
    # The conventions name the form of the requests, and any other address is asked in OpenAI's.
    return {"gen_ai.provider.name": next(known, "openai"), "server.address": host, "server.port": port}
