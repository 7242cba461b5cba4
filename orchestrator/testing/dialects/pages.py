"""Pages that servers have at addresses of their own, and that tell the windows of their models."""

from typing import Any

from orchestrator.testing.dialects.dialect import Body, Page


def ollama_loaded(window: int) -> Page:
    """Return `/api/ps`, which tells the window of the model after the first chat."""

    def page(name: str, chats: list[Body]) -> object:
        loaded = [{"name": name, "model": name, "size_vram": 5_137_025_024, "context_length": window}]
        return {"models": loaded if chats else []}

    return page


def ollama_shown(trained: int, parameters: str = "") -> Page:
    """Return `/api/show`, which tells what the model was trained for, and the parameters of its Modelfile."""
    facts = {"general.architecture": "qwen3", "qwen3.context_length": trained, "qwen3.embedding_length": 4096}
    shown: dict[str, object] = {"parameters": parameters, "model_info": facts, "capabilities": ["completion", "tools"]}
    return lambda name, chats: shown


def lm_studio_models(window: int, most: int) -> Page:
    """Return `/api/v0/models`, which tells the window of the model after the first chat."""

    def page(name: str, chats: list[Body]) -> object:
        state: dict[str, Any] = {"state": "not-loaded"}
        if chats:
            state = {"state": "loaded", "loaded_context_length": window}
        return {"data": [{"id": name, "object": "model", "type": "llm", "max_context_length": most, **state}]}

    return page


def llama_cpp_props(window: int) -> Page:
    """Return `/props`."""
    settings = {"n_ctx": window, "params": {"max_tokens": -1, "n_predict": -1}}
    return lambda name, chats: {"default_generation_settings": settings, "total_slots": 1}


def litellm_info(window: int) -> Page:
    """Return `/model/info`, with two servers behind one name and another model."""
    mine, larger, other = (
        {"max_tokens": 8192, "max_input_tokens": size, "max_output_tokens": 8192} for size in (window, 2 * window, 1024)
    )
    parameters = {"model": "hosted_vllm/m"}
    named = [("{name}", mine), ("{name}", larger), ("other", other)]
    return lambda name, chats: {
        "data": [
            {"model_name": each.format(name=name), "litellm_params": parameters, "model_info": info}
            for each, info in named
        ]
    }


def gemini_model(window: int) -> Page:
    """Return Gemini's own description of a model."""
    return lambda name, chats: {"name": f"models/{name}", "inputTokenLimit": window, "outputTokenLimit": 65_536}
