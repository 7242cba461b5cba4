"""Endpoints that fail on demand, and bridges whose waits take no time."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

import httpx2
import openai
import pytest
from langchain_core.language_models import BaseChatModel

from orchestrator.concurrency import BLOCKING, Bridge, run_blocking
from orchestrator.model_calls.retries import Endpoints, Resilience, call_endpoint
from orchestrator.models.factory import chat_model
from orchestrator.models.settings import ModelSettings
from orchestrator.testing import Fault, OpenAIServer, say

Attempt = Callable[[], Coroutine[Any, Any, Any]]


class Clock:
    """Time that passes in waits only."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Stand:
    """A bridge that records waits instead of waiting, with endpoints of its own.

    Args:
        inner: The bridge for everything else.
    """

    def __init__(self, inner: Bridge) -> None:
        self.inner = inner
        self.clock = Clock()
        self.endpoints = Endpoints(self.clock)
        self.waits: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.clock.now += seconds
        await self.inner.sleep(0)

    async def call(
        self, attempt: Attempt, *, tokens: int = 0, on_loading: Callable[[], None] = lambda: None, **settings: Any
    ) -> Any:
        resilience = Resilience(**settings)
        bridge = cast(Bridge, self)
        return await call_endpoint(
            bridge, "here", resilience, attempt, tokens=tokens, endpoints=self.endpoints, on_loading=on_loading
        )

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return run_blocking(coroutine) if self.inner is BLOCKING else asyncio.run(coroutine)

    def asking(self, model: BaseChatModel) -> Attempt:
        return lambda: self.inner.invoke(model, "hello")

    def fail_until_open(self, failures: int = 5) -> None:
        for _ in range(failures):
            with pytest.raises(ConnectionResetError):
                self.run(self.call(raising(ConnectionResetError()), retries=0))

    def is_closed(self) -> bool:
        circuit, _ = self.endpoints.of("here")
        return not circuit.is_open(5, 30)


def raising(error: BaseException) -> Attempt:
    """Return an attempt that raises the error each time."""

    async def attempt() -> None:
        raise error

    return attempt


def then_well(*errors: BaseException) -> Attempt:
    """Return an attempt that raises the errors in turn and then succeeds."""
    rest = list(errors)

    async def attempt() -> str:
        if rest:
            raise rest.pop(0)
        return "well"

    return attempt


def answered(status: int, headers: dict[str, str] | None = None, code: str | None = None) -> openai.APIStatusError:
    response = httpx2.Response(status, headers=headers, request=httpx2.Request("POST", "http://here/v1"))
    return openai.APIStatusError("no", response=response, body={"code": code})


class Service:
    """An endpoint on loopback, and a model that reaches it over HTTP."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.is_dead = False
        self.server = OpenAIServer(lambda _: say("hi"), faults=self._fault)
        self.model = model_at(self.server.base_url)

    def _fault(self, _: dict[str, Any]) -> Fault | None:
        if self.is_dead:
            return self.faults[0]
        return self.faults.pop(0) if self.faults else None

    def fail(self, *faults: Fault, always: bool = False) -> None:
        self.server.bodies.clear()
        self.faults, self.is_dead = list(faults), always

    @property
    def asked(self) -> int:
        return len(self.server.bodies)


def model_at(url: str, **more: Any) -> BaseChatModel:
    return chat_model(ModelSettings(base_url=url, model="m", max_retries=0, **{"timeout_s": 20, **more}))
