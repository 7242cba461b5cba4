"""Planning with a small model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage


@dataclass(frozen=True)
class NarrowPlan:
    """How a small model is asked for a plan: its own prompt and grammar, and the way back to a plan."""

    messages: list[BaseMessage]
    schema: dict[str, Any]
    read: Callable[[Any], Any]


def narrow_plan(model: BaseChatModel, task: str, agents: Mapping[str, str]) -> NarrowPlan | None:
    """The narrow way to ask this model; None for a model that needs none."""
    return None
