"""The `config` of a caller: LangChain's callbacks, tags, metadata and run name for everything that a run calls."""

from collections.abc import Mapping
from types import NoneType
from typing import Any, cast

from langchain_core.callbacks import BaseCallbackHandler, BaseCallbackManager
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import EXCLUDED_METADATA_KEYS

from orchestrator.daemon_threads import with_ordinary_errors
from orchestrator.errors import ConfigError
from orchestrator.persistence.workspace import WORKSPACE_KEY
from orchestrator.validation import described, expect

RUN_NAME = "orchestrator"

# A config of LangChain or LangGraph always has a limit. These are the ones that nobody has set.
_UNSET_RECURSION_LIMITS = (25, 10_007)
_FIELDS: dict[str, tuple[Any, str]] = {
    "callbacks": ((list, tuple, BaseCallbackManager), "a list of callback handlers"),
    "tags": ((list, tuple), 'a list of texts, as in ["nightly"]'),
    "metadata": (Mapping, 'a dict, as in {"customer": "17"}'),
    "run_name": (str, "a text"),
    "configurable": (Mapping, 'a dict, as in {"tenant": "acme"}'),
    "max_concurrency": (int, "a whole number"),
}
_RENAMED = {
    "thread_id": "name the thread with thread_id=",
    "recursion_limit": "bound a run with limits=Limits(rounds=…, steps=…)",
    "run_id": "give metadata= a key of another name; one run can be several traces",
}
_RESERVED = {*EXCLUDED_METADATA_KEYS, WORKSPACE_KEY, "workspace", "sub_task_key"}


def checked_config(config: object) -> RunnableConfig:
    """Return the config of a caller, for `for_graph`.

    Raises:
        ConfigError: It is no config, or sets what belongs to the engine.
    """
    expect((Mapping, NoneType), config, "config", 'a config of LangChain, as in {"callbacks": [handler]}')
    fields = {name: value for name, value in cast(Mapping[str, Any], config or {}).items() if value is not None}
    if fields.get("recursion_limit") in _UNSET_RECURSION_LIMITS:
        del fields["recursion_limit"]
    for name, value in fields.items():
        if name in _RENAMED:
            raise ConfigError(f"config cannot set {name}: {_RENAMED[name]}")
        if name not in _FIELDS:
            raise ConfigError(f"config has no '{name}', use {', '.join(_FIELDS)}")
        kind, example = _FIELDS[name]
        expect(kind, value, f"config's {name}", example)
    _check_names(fields)
    if "max_concurrency" in fields and fields["max_concurrency"] < 1:
        raise ConfigError("config's max_concurrency has to be 1 or more")
    if callbacks := fields.get("callbacks"):
        fields["callbacks"] = _guarded_callbacks(callbacks)
    return cast(RunnableConfig, fields)


def _check_names(fields: Mapping[str, Any]) -> None:
    """Refuse keys that would make LangGraph read or write another thread or checkpoint."""
    for name in fields.get("configurable") or {}:
        if name in _RENAMED:
            raise ConfigError(f"config's configurable cannot set {name}: {_RENAMED[name]}")
        if name in _RESERVED or str(name).startswith("__"):
            raise ConfigError(
                f"config's configurable cannot set {name}: it belongs to the engine. From another graph's config pass "
                'on what is yours, as in {"callbacks": config["callbacks"]}'
            )
    # LangGraph 1.2 takes an input with the `run_id` of the last checkpoint for the same run, and ignores the input.
    if "run_id" in (fields.get("metadata") or {}):
        raise ConfigError(f"config's metadata cannot set run_id: {_RENAMED['run_id']}")


def for_graph(own: RunnableConfig, users: RunnableConfig | None) -> RunnableConfig:
    """Return the config of an invocation: the engine's, with what the caller adds.

    Args:
        own: The engine's config of the thread.
        users: What `checked_config` returned.
    """
    users = users or {}
    configurable = {**users.get("configurable", {}), **own["configurable"]}
    return {**own, "run_name": RUN_NAME, **users, "configurable": configurable}


def _guarded_callbacks(callbacks: Any) -> Any:
    if isinstance(callbacks, BaseCallbackManager):
        manager = callbacks.copy()
        manager.handlers = [_guarded(handler) for handler in manager.handlers]
        manager.inheritable_handlers = [_guarded(handler) for handler in manager.inheritable_handlers]
        return manager
    return [_guarded(handler) for handler in callbacks]


def _guarded(handler: object) -> BaseCallbackHandler:
    """Return a callback handler that cannot end the event loop.

    Raises:
        ConfigError: It is no handler.
    """
    if isinstance(handler, type) or not isinstance(handler, BaseCallbackHandler):
        raise ConfigError(f"config's callbacks have to be callback handlers of LangChain, not {described(handler)}")
    return cast(BaseCallbackHandler, handler if isinstance(handler, _Guarded) else _Guarded(handler))


class _Guarded:
    """A stand-in for a handler whose methods raise ordinary errors only. All else is the handler's own.

    LangChain logs the ordinary errors of handlers and goes on. It lets `SystemExit` through, which asyncio raises out
    of the loop that serves all runs. The handler that a user gave is never written to.
    """

    def __init__(self, handler: BaseCallbackHandler) -> None:
        self._handler = handler

    def __getattr__(self, name: str) -> Any:
        if name == "_handler":  # a copy in the making, which has none yet
            raise AttributeError(name)
        value = getattr(self._handler, name)
        return with_ordinary_errors(value) if name.startswith("on_") and callable(value) else value

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # LangChain treats its own handlers in special ways
        return type(self._handler)

    # LangChain leaves a handler out that is there already, as one that both a chain and its caller were given.
    def __eq__(self, other: object) -> bool:
        return bool(self._handler == (other._handler if isinstance(other, _Guarded) else other))

    def __hash__(self) -> int:
        return hash(self._handler)
