"""BridgedNode: a node of the graph that runs in threads and on event loops."""

from collections.abc import Callable, Coroutine
from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig

from orchestrator.concurrency import AWAITING, BLOCKING, Bridge, run_blocking


# LangGraph 1.2 takes a Runnable as it is. It sends a plain function to a thread under `ainvoke`, and cannot invoke a
# coroutine function without a loop.
class BridgedNode(Runnable[Any, Any]):
    """A graph node made from one coroutine function `body(bridge, state, config)`."""

    def __init__(self, name: str, body: Callable[[Bridge, Any, RunnableConfig], Coroutine[Any, Any, Any]]) -> None:
        self.name = name
        self._body = body

    def invoke(self, input: Any, config: RunnableConfig | None = None, **_: Any) -> Any:
        """Run the body in this thread."""
        return run_blocking(self._body(BLOCKING, input, config or {}))

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **_: Any) -> Any:
        """Run the body on the event loop."""
        return await self._body(AWAITING, input, config or {})
