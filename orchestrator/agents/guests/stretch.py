"""Stretch: one invocation of a guest, within its time limit, with its models counted, whatever it raises."""

from collections.abc import Callable
from functools import partial
from typing import Any

from langchain_core.callbacks import BaseCallbackManager
from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.errors import GraphBubbleUp, GraphDrained, GraphInterrupt, NodeCancelledError
from langgraph.pregel.protocol import PregelProtocol

from orchestrator.agents.guests.usage import UsageCounter
from orchestrator.background import run_in_background
from orchestrator.budget.allowance import Allowance
from orchestrator.budget.budget import BudgetSpentError
from orchestrator.concurrency import BLOCKING, Bridge, TimeLimitError
from orchestrator.daemon_threads import UnusualExitError, as_exception, in_own_thread
from orchestrator.errors import WorkerError

_NO_LIMIT_S = 1e8  # `threading` refuses an infinite wait


class Stretch:
    """The way in which a guest is invoked.

    Args:
        bridge: How to call it.
        name: The worker's name.
        allowance: The account that pays.
        time_limit_s: Seconds for one invocation; None for no limit but the run's.
        options: Further arguments of the invocation.
    """

    def __init__(
        self, bridge: Bridge, name: str, allowance: Allowance, time_limit_s: float | None, options: dict[str, Any]
    ) -> None:
        self._bridge = bridge
        self._name = name
        self._allowance = allowance
        self._time_limit_s = time_limit_s
        self._options = options
        self.counter = UsageCounter(allowance, name)

    async def invoke(self, thing: Runnable[Any, Any], value: Any, config: RunnableConfig) -> Any:
        """Return the output of the guest.

        Raises:
            GraphInterrupt: It asks a human.
            GraphDrained: The run was told to end.
            BudgetSpentError: A limit of the budget is used up.
            WorkerError: It took too long, or asks for what is not possible.
        """
        counted = {**config, "callbacks": _with_handler(config.get("callbacks"), self.counter)}
        limit, left = self._time_limit_s or _NO_LIMIT_S, self._allowance.time_left
        seconds = limit if left is None else min(limit, left)
        reservation = await self.counter.begin(self._bridge)
        try:
            return await self._bridge.call_within(seconds, self._caller(thing), value, counted)
        except TimeLimitError:
            if left is not None and left < limit:
                most = self._allowance.budget.wall_clock_s or 0
                raise BudgetSpentError("wall_clock_s", "run", most, most) from None
            raise WorkerError(f"'{self._name}' did not finish within {limit:g} s and was given up") from None
        except (GraphInterrupt, GraphDrained):
            raise
        except GraphBubbleUp as error:  # a jump to a graph around it
            raise WorkerError(f"'{self._name}' asks for a jump to another graph, which is not possible here") from error
        except NodeCancelledError as error:  # LangGraph 1.2 names the node and not the words
            words = f"{error} ({error.__cause__})" if str(error.__cause__ or "") else str(error)
            raise WorkerError(f"'{self._name}' ended with {words}") from error
        except UnusualExitError as error:
            raise WorkerError(f"'{self._name}' ended with {error}") from error
        except (SystemExit, KeyboardInterrupt, GeneratorExit) as error:
            raise WorkerError(f"'{self._name}' ended with {as_exception(error)}") from error
        finally:
            await self.counter.book(self._bridge, reservation)

    def _caller(self, thing: Runnable[Any, Any]) -> Callable[..., Any]:
        blocking = partial(thing.invoke, **self._options)
        if self._bridge is BLOCKING:
            if _is_async_only(thing):
                return lambda value, config: run_in_background(lambda: thing.ainvoke(value, config, **self._options))
            return blocking
        if isinstance(thing, PregelProtocol) or not _is_blocking(thing):
            return partial(thing.ainvoke, **self._options)

        async def threaded(value: Any, config: RunnableConfig) -> Any:
            # LangChain would use the loop's default executor, which the whole program shares.
            return await in_own_thread(partial(blocking, value, config), name=f"orchestrator-worker-{self._name}")

        return threaded


def _is_async_only(thing: Runnable[Any, Any]) -> bool:
    """True for a coroutine function, which LangChain cannot call without a loop."""
    return hasattr(thing, "afunc") and not hasattr(thing, "func")


def _is_blocking(thing: Runnable[Any, Any]) -> bool:
    """True if LangChain would call the thing on a thread."""
    if hasattr(thing, "func"):
        return not hasattr(thing, "afunc")
    return type(thing).ainvoke is Runnable.ainvoke


def _with_handler(callbacks: Any, handler: UsageCounter) -> Any:
    if isinstance(callbacks, BaseCallbackManager):
        manager = callbacks.copy()
        manager.add_handler(handler, inherit=True)
        return manager
    return [*(callbacks or ()), handler]
