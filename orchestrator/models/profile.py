"""What is known of a model: its window, size, name and endpoint."""

from langchain_core.language_models import BaseChatModel

_ADDRESSES = ("openai_api_base", "azure_endpoint", "base_url", "anthropic_api_url", "endpoint_url", "label")

UNKNOWN_WINDOW = 8192


def context_window(model: BaseChatModel) -> int:
    """Tokens that a model takes at once: as set, as LangChain's model profiles know it, or a careful guess."""
    window = getattr(model, "window", None)
    if isinstance(window, int):
        return window
    profile = getattr(model, "profile", None) or {}
    return int(profile.get("max_input_tokens") or UNKNOWN_WINDOW)


def is_small(model: BaseChatModel) -> bool:
    """Whether a model needs narrow schemas and short prompts."""
    return bool(getattr(model, "small", False))


def describe(model: BaseChatModel) -> str:
    """One line: which model, and where it runs."""
    name = getattr(model, "model_name", "") or type(model).__name__
    where = getattr(model, "label", "")
    return f"{name} ({where})" if where else str(name)


def model_name(model: BaseChatModel) -> str:
    """What its endpoint calls the model."""
    return str(getattr(model, "model_name", "") or getattr(model, "model", "") or type(model).__name__)


def endpoint_of(model: BaseChatModel) -> str:
    """What tells the endpoint of one model from another's: its address, or else its class, and the model's name."""
    held = vars(model)  # asking a pydantic model for what it has not takes long, and this is asked for every call
    given = [held.get(name) for name in _ADDRESSES]
    client = getattr(held.get("root_client"), "base_url", None)
    where = next((str(address) for address in (*given, client) if address), type(model).__name__)
    return f"{where.rstrip('/')} ({model_name(model)})"
