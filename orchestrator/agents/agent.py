"""Agent: a name, a prompt and a model."""

import copy
import threading
from collections.abc import Callable, Coroutine
from functools import partial, update_wrapper
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from langchain_core.language_models import BaseChatModel

from orchestrator.concurrency import Bridge
from orchestrator.errors import ConfigError
from orchestrator.forks import forget_in_children
from orchestrator.model_calls.calls import ModelCalls
from orchestrator.models.endpoints.window import find_window, lacks_window
from orchestrator.models.errors import is_endpoint_failure
from orchestrator.models.factory import as_model, chat_model
from orchestrator.models.profile import ModelProfile, identity_of
from orchestrator.validation import expect

A = TypeVar("A", bound="Agent")
P = ParamSpec("P")
T = TypeVar("T")


class Agent:
    """A name, a role and a model.

    Args:
        name: Its name in plans and in the graph.
        prompt: Its role, as system prompt.
        model: A chat model, or its name, such as `openai:gpt-4.1-mini`; None for the default model, made at first use.
        description: Its abilities in one line, for the supervisor. By default the prompt's first sentence.
    """

    def __init__(
        self, name: str, prompt: str, *, model: BaseChatModel | str | None = None, description: str | None = None
    ) -> None:
        expect(str, name, "the name of an agent", "a text")
        expect(str, prompt, f"the prompt of '{name}'", "a text")
        # LangGraph reserves `|` and `:` in names of nodes, and plans name agents in JSON schemas.
        if not name.isidentifier():
            raise ConfigError(f"'{name}' is no good name for an agent: use letters, digits and _, as in my_worker")
        self.name = name
        self.prompt = prompt
        self.description = description or prompt.strip().split(". ")[0].rstrip(".")
        self._model = None if model is None else as_model(model)
        self._model_lock = threading.Lock()
        self._latest_copy: Self | None = None
        forget_in_children(self)

    def forget_parent(self) -> None:
        """Make a lock that no thread of a forked child's parent holds."""
        self._model_lock = threading.Lock()

    def copy(self) -> Self:
        """Return a copy for a team to change. What the agent itself lacks, it takes from its latest copy."""
        twin = copy.copy(self)
        # With a shared lock `model` would wait for itself: it asks the copy while it holds its own lock.
        twin._model_lock = threading.Lock()
        twin._latest_copy = None
        self._latest_copy = twin
        forget_in_children(twin)
        return twin

    @property
    def model(self) -> BaseChatModel:
        """The chat model; without one, that of its team, or the default, made at first use."""
        with self._model_lock:
            if self._model is None and self._latest_copy is not None:
                return self._latest_copy.model
            if self._model is None:
                self._model = chat_model()
            return self._model

    @model.setter
    def model(self, model: BaseChatModel | str) -> None:
        self._model = as_model(model)

    @property
    def has_model(self) -> bool:
        """True if the agent was given a model, or the default was made already."""
        return self._model is not None

    @property
    def identity(self) -> tuple[str, str] | None:
        """The model's name and place, see `identity_of`; None if the agent has no model yet."""
        if self._model is None:
            return self._latest_copy.identity if self._latest_copy is not None else None
        return identity_of(self._model)

    async def prepare(self, bridge: Bridge) -> None:
        """Make the default model, and ask for its window, off the event loop, since this reads files and waits."""
        if self._model is None:
            await bridge.offload(lambda: self.model)
        model = self.model
        if lacks_window(model):
            await bridge.offload(partial(find_window, model))

    @property
    def window(self) -> int:
        """Tokens that the model takes at once."""
        return ModelProfile.of(self.model).window


def condensed(
    ask: Callable[Concatenate[A, ModelCalls, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[A, ModelCalls, P], Coroutine[Any, Any, T]]:
    """Let a method of an agent, which asks the agent's model, run again if a refusal tells a smaller window.

    The method makes its prompt by `Agent.window`, so the second prompt is shorter. The model is prepared before.
    """

    async def asked(agent: A, calls: ModelCalls, /, *args: P.args, **kwargs: P.kwargs) -> T:
        await agent.prepare(calls.bridge)
        while True:
            window = agent.window
            try:
                return await ask(agent, calls, *args, **kwargs)
            except Exception as error:
                if not is_endpoint_failure(error) or agent.window >= window:
                    raise

    update_wrapper(asked, ask)
    return asked
