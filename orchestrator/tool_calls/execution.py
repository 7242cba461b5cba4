"""Execution of one tool: off the event loop, within its time limit, whatever the tool raises.

Invariants:
- A blocking tool runs on a daemon thread of its own. A hung one holds up nothing and dies with the process.
- Nothing that a tool raises ends the loop, the worker or the program; only a true cancellation passes.
- A `TimeoutError` of the tool itself keeps its own text. Only the engine's limit is reported as a limit.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, cast

from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, StructuredTool
from langchain_core.tools import Tool as SingleInputTool
from langgraph.errors import GraphBubbleUp, ParentCommand
from langgraph.runtime import Runtime

from orchestrator.concurrency import Bridge, TimeLimitError
from orchestrator.daemon_threads import UnusualExitError, in_own_thread, with_ordinary_errors
from orchestrator.tool_calls.pauses.answers import Answers

Handler = Callable[[Any], Any]

_NO_CONTEXT = ". The run has no context; whoever runs or resumes it has to give one: context=…"
# LangGraph 1.2 fails on a graph without a checkpointer inside a run with durability "sync".
_SAVE_OF_GRAPH = "_put_checkpoint_fut"
_NO_SAVES = (
    ". The tool runs a graph that was compiled with checkpointer=False. Compile it without that, or invoke it with "
    'durability="async"'
)
_RUNTIME_KEY = "__pregel_runtime"  # LangGraph 1.2 hands it on under this key of the config


class ToolFailedError(Exception):
    """A tool raised; the message is the tool's own, with the type of its error."""


class ToolTimeLimitError(Exception):
    """A tool did not answer within its time limit and was given up."""


async def execute(
    bridge: Bridge, request: ToolCallRequest, handler: Handler, seconds: float, answers: Answers, context: Any
) -> Any:
    """Call a tool and return what LangChain's tool node makes of its answer.

    Args:
        bridge: How to call the handler.
        request: The call; its tool is not None.
        handler: LangChain's; it invokes the tool of the request that it is given.
        seconds: The time limit; `math.inf` for none.
        answers: The answers to the questions that the tool asks by `interrupt()`.
        context: What the tool finds as the context of its runtime.

    Raises:
        GraphBubbleUp: The tool interrupts the graph.
        ToolFailedError: The tool raised anything else.
        ToolTimeLimitError: It took longer.
    """
    tool = request.tool
    assert tool is not None
    config = answers.config(with_context(request.runtime.config, context))
    offloaded: Any = _OffLoop(tool, config)
    runtime = replace(request.runtime, context=context, config=config)
    try:
        return await bridge.call_within(seconds, handler, replace(request, tool=offloaded, runtime=runtime))
    except ParentCommand as error:
        raise ToolFailedError(f"'{tool.name}' runs a graph that asks for a jump, which is not possible here") from error
    except GraphBubbleUp:
        raise
    except TimeLimitError:
        raise ToolTimeLimitError from None
    except UnusualExitError as error:
        raise ToolFailedError(str(error)) from error
    except Exception as error:
        text = str(error)
        hint = _NO_CONTEXT if context is None and "NoneType" in text else ""
        hint = _NO_SAVES if _SAVE_OF_GRAPH in text else hint
        raise ToolFailedError((f"{type(error).__name__}: {text}" if text else type(error).__name__) + hint) from error


def with_context(config: RunnableConfig, context: Any) -> RunnableConfig:
    """Return a config whose `get_runtime()` has a context, also for graphs that the tool runs."""
    runtime = runtime_of(config)
    if runtime is None:
        return config
    return {**config, "configurable": {**config["configurable"], _RUNTIME_KEY: replace(runtime, context=context)}}


def runtime_of(config: RunnableConfig) -> Runtime[Any] | None:
    """Return LangGraph's runtime in the config of a node; None for an agent outside of LangGraph."""
    runtime = config.get("configurable", {}).get(_RUNTIME_KEY)
    return runtime if isinstance(runtime, Runtime) else None


class _OffLoop:
    """A stand-in for a tool that neither blocks the event loop nor ends it. All else is the tool's own.

    LangChain runs a tool's coroutine as a task of its own, and asyncio lets `SystemExit` of a task end the loop. So
    the coroutine itself is guarded, in a stand-in: the tool that a user gave is never written to.
    """

    def __init__(self, tool: BaseTool, config: RunnableConfig) -> None:
        self._tool = tool
        self._config = config
        self._arun = with_ordinary_errors(tool._arun)  # LangChain looks at its signature

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tool, name)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # `super()` in the tool's methods asks for it
        return type(self._tool)

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        return self._tool.invoke(input, self._config, **kwargs)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        config = self._config
        if is_blocking(self._tool):
            # LangChain would use the loop's default executor: six threads on two cores, for the whole program.
            call = partial(self._tool.invoke, input, config, **kwargs)
            return await in_own_thread(call, name=f"orchestrator-tool-{self._tool.name}")
        return await type(self._tool).ainvoke(cast(BaseTool, self), input, config, **kwargs)

    async def arun(self, *args: Any, **kwargs: Any) -> Any:
        return await type(self._tool).arun(cast(BaseTool, self), *args, **kwargs)


def is_blocking(tool: BaseTool) -> bool:
    """True if a tool has no asynchronous form of its own, so that LangChain would call it on a thread."""
    run = type(tool)._arun
    if run is StructuredTool._arun or run is SingleInputTool._arun:
        return getattr(tool, "coroutine", None) is None
    return run is BaseTool._arun
