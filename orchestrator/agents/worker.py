"""Worker: an agent with tools that executes one sub-task at a time.

A worker's agent is LangChain's `create_agent`, compiled once and called as a subgraph inside the worker's node. Its own
steps are checkpointed too, so a worker that is killed in its fifth step goes on from its fifth step.
"""

import inspect
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Self

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.tools import BaseTool
from langgraph.store.memory import InMemoryStore

from orchestrator import prompts
from orchestrator.agents.agent import Agent
from orchestrator.agents.assignment import Assignment, Result
from orchestrator.agents.attempt_end import AttemptEnd
from orchestrator.agents.guests.forms import own_description, own_name
from orchestrator.agents.guests.guest import WINDOW, Guest
from orchestrator.agents.middleware import WorkerMiddleware
from orchestrator.agents.task_message import news, shorter_first, task_message, tell_start
from orchestrator.agents.verdict import ask_verdict, with_verdict
from orchestrator.budget.limits import Limits
from orchestrator.concurrency import AWAITING, BLOCKING, Bridge, run_blocking
from orchestrator.errors import ConfigError
from orchestrator.memory.entry import Entry, checked_entries
from orchestrator.memory.shared_memory import SharedMemory
from orchestrator.messages import mark_window, steered_up_to
from orchestrator.model_calls.calls import ModelCalls
from orchestrator.model_calls.reported_spend import reported_spend
from orchestrator.model_calls.truncation import marked, truncated_by, whole_text
from orchestrator.model_calls.typed_value import ask_typed
from orchestrator.models.profile import ModelProfile
from orchestrator.planning.output_schema import OutputSchema
from orchestrator.planning.plan import Plan
from orchestrator.planning.sub_task import SubTask
from orchestrator.tool_calls.conversion import Tool, tools_from
from orchestrator.tool_calls.declaration import Effect, Risk, Trust
from orchestrator.tool_calls.first_call import check_first_call
from orchestrator.tool_calls.results import read_memory
from orchestrator.tool_calls.tool_search import ToolSearch
from orchestrator.tool_calls.worker_context import Actor, Oversight, WorkerContext
from orchestrator.trust import tainted_by
from orchestrator.validation import expect

# A small model's first tool calls are its best ones. After them it mostly searches for facts that it has.
_SMALL_STEPS = 3
_FIGURES_CHARS = 500
_MOST_GRAPHS = 16


class Worker(Agent):
    """An agent that executes sub-tasks with its own tools.

    Args:
        name: Its name in plans.
        prompt: Its role.
        tools: LangChain tools, or plain functions with a docstring. The worker may use no others.
        model: A chat model; see `Agent`.
        description: One line for the supervisor.
        reviews: The worker judges the work of other workers with a typed verdict.
        steps: Most model calls in one attempt; None for the limit of the run.
        begins_with: One of the tools, called without arguments before the model is asked. Its answer is something that
            every sub-task needs, such as the tables of a database.

    Raises:
        ConfigError: The name or the model cannot be used, a tool is none, or the worker cannot begin with that tool.
    """

    def __init__(
        self,
        name: str,
        prompt: str,
        *,
        tools: Sequence[Tool] = (),
        model: BaseChatModel | str | None = None,
        description: str | None = None,
        reviews: bool = False,
        steps: int | None = None,
        begins_with: str | None = None,
    ) -> None:
        super().__init__(name, prompt, model=model, description=description)
        self.tools = tools_from(name, tools)
        if begins_with is not None:
            check_first_call(name, begins_with, self.tools)
        self.begins_with = begins_with
        self.reviews = reviews
        if steps is not None and (not isinstance(steps, int) or steps < 1):
            raise ConfigError(f"worker '{name}' can have 1 step or more, not {steps!r}")
        self.steps = steps
        self.guest: Guest | None = None
        self._graphs: dict[tuple[int, int, str], Runnable[Any, Any]] = {}
        self._graph_lock = threading.Lock()

    @classmethod
    def of(
        cls,
        thing: Runnable[Any, Any] | Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        input: Callable[..., Any] | None = None,
        output: Callable[[Any], Any] | None = None,
        risk: Risk | None = None,
        effect: Effect | None = None,
        trust: Trust = "untrusted",
        time_limit_s: float | None = None,
        output_limit: int | None = None,
        window: int = WINDOW,
    ) -> Self:
        """Return a worker whose work is done by a graph, an agent, another runnable or a function of yours.

        It is given the message that any worker gets: the task, the results that the sub-task depends on, the sub-task.
        When it calls LangGraph's `interrupt()`, a human is asked a review of kind `question`. The tokens of its own
        chat models are counted where they report them, and cannot be capped. Its own tools are under no policy.

        Args:
            thing: A compiled LangGraph graph, a `RemoteGraph`, an agent of `create_agent`, another runnable, or a
                function, which may be a coroutine function: of the message, or of the sub-task and the results that it
                depends on.
            name: Its name in plans; None for its own.
            description: One line for the supervisor; None for its docstring.
            input: Makes its input of the message, or of sub-task and results. By default a graph with messages is given
                one, and all others the message as text.
            output: Makes the result of its output. By default the last message, a text, or data as JSON.
            risk: The worst that it can do; see `declare`. Undeclared, a human is asked before it runs, as for a tool.
            effect: The change that it makes outside; see `declare`.
            trust: `trusted` if its results may be relied on.
            time_limit_s: Seconds after which an invocation is given up; None for no limit but the run's.
            output_limit: Most characters of a result.
            window: Most tokens of the message.

        Raises:
            ConfigError: It cannot be called, has no name or no description, or a declaration is wrong.
        """
        name = name or own_name(thing)
        description = description or own_description(thing)
        if not name or not description:
            lacking = "name" if not name else "description"
            raise ConfigError(f"this worker has no {lacking} of its own: Worker.of(…, {lacking}=…)")
        worker = cls(name, description, description=description)
        properties = {"risk": risk, "effect": effect, "trust": trust, "output_limit": output_limit}
        declared = {key: value for key, value in properties.items() if value is not None}
        limits: dict[str, Any] = {"time_limit_s": time_limit_s, "window": window}
        worker.guest = Guest(name, thing, description, input=input, output=output, declaration=declared, **limits)
        return worker

    @property
    def has_model(self) -> bool:
        """True if the worker needs no model from its team."""
        return self.guest is not None or super().has_model

    async def prepare(self, bridge: Bridge) -> None:
        """Make the default model off the event loop, since making it reads files."""
        if self.guest is None:
            await super().prepare(bridge)

    @property
    def window(self) -> int:
        """Tokens that the worker takes at once."""
        return self.guest.window if self.guest is not None else super().window

    @property
    def has_steps(self) -> bool:
        """True if the worker leaves checkpoints or sessions that end with its sub-task."""
        return bool(self.tools) or self.guest is not None

    @property
    def declared_tools(self) -> tuple[BaseTool, ...]:
        """The tools that the policy rules on; one that stands for the whole of a guest."""
        return self.tools if self.guest is None else (self.guest.tool,)

    def add_tools(self, *tools: BaseTool) -> None:
        """Give further tools to the worker. A run that has begun keeps its tools.

        Raises:
            ConfigError: The worker has a tool of the same name.
        """
        if self.guest is not None:
            raise ConfigError(f"worker '{self.name}' is a graph or a function of yours, which has its own tools")
        for tool in tools:
            if any(tool.name == own.name for own in self.tools):
                raise ConfigError(f"worker '{self.name}' has a tool '{tool.name}' already")
            self.tools = (*self.tools, tool)
        self._graphs = {}  # not cleared: copies of this worker without the new tools share it

    # -- the interface of the brief -------------------------------------------------------------------------------

    def execute(self, sub_task: SubTask, context: Iterable[Entry] = (), *, tool_context: Any = None) -> Result:
        """Execute one sub-task outside any graph, without checkpoints. Tools that need a review are refused.

        Args:
            sub_task: The sub-task.
            context: Entries of a shared memory, such as `memory.get_recent()`.
            tool_context: What tools find as `ToolRuntime.context`, as the `context` of `TaskOrchestrator.run`.
        """
        return run_blocking(self._execute_alone(BLOCKING, sub_task, context, tool_context))

    async def aexecute(self, sub_task: SubTask, context: Iterable[Entry] = (), *, tool_context: Any = None) -> Result:
        """Async twin of `execute`."""
        return await self._execute_alone(AWAITING, sub_task, context, tool_context)

    async def _execute_alone(
        self, bridge: Bridge, sub_task: SubTask, context: Iterable[Entry], tool_context: Any
    ) -> Result:
        expect(SubTask, sub_task, "the sub-task", "a SubTask, such as plan[0]")
        store = InMemoryStore()
        memory = SharedMemory(store, "alone")
        entries = checked_entries(context)
        await memory.write(bridge, *entries)
        # Before the context: its window is the model's, and making the default model reads files.
        await self.prepare(bridge)
        assignment = Assignment(
            sub_task=sub_task,
            needs=tuple(entry.key for entry in entries),
            key=Plan(sub_tasks=(sub_task.model_copy(update={"depends_on": ()}),)).keys[sub_task.id],
            candidates=tuple(entry.sub_task_id for entry in entries if entry.sub_task_id),
        )
        run = WorkerContext(
            actor=Actor(self.name, "alone", sub_task.id, assignment.key),
            oversight=Oversight(store, unattended=True),
            memory=memory,
            calls=ModelCalls(bridge),
            window=self.window,
            users=tool_context,
        )
        return await self.carry_out(bridge, assignment, run, Limits())

    # -- inside the graph -----------------------------------------------------------------------------------------

    async def carry_out(
        self,
        bridge: Bridge,
        assignment: Assignment,
        context: WorkerContext,
        limits: Limits,
        config: RunnableConfig | None = None,
    ) -> Result:
        """Execute an assignment: the agent's loop, and for a reviewer the verdict after it.

        Raises:
            GraphInterrupt: A tool call waits for a human.
            PlanError: The verdict could not be read.
        """
        wanted = assignment.sub_task.output_schema
        if self.guest is not None:
            tell_start(self.name, assignment, context, assignment.sub_task.description)
            own = await self.guest.carry_out(bridge, assignment, context, config)
            return own if wanted is None or own.end is not None else own.checked(OutputSchema(wanted))
        is_small = ModelProfile.of(self.model).is_small
        first = await task_message(bridge, assignment, context, is_small=is_small)
        mark_window(first, self.window)
        context = replace(context, shorter_first=shorter_first(assignment, context, is_small=is_small))
        tell_start(self.name, assignment, context, str(first.text), self.prompt, self.tools)
        messages: list[BaseMessage] = [first]
        # Without tools there is nothing to find out first, and the result is asked for at once in its schema.
        if self.tools or not (self.reviews or wanted is not None):
            steps = self.steps or limits.steps
            graph = self._graph(min(steps, _SMALL_STEPS) if is_small else steps)
            own_config = self._with_session(config, context) if self.tools else _without_durability(config)
            final = await bridge.invoke(graph, {"messages": [first]}, own_config, context=context)
            messages = final["messages"]
        result = self._result(messages)
        if result.end is not None or not (self.reviews or wanted is not None):
            return result
        # The conversation may hold instructions that came after its first message, and others may have come since.
        told: list[BaseMessage] = [first, *(m for m in messages[1:] if steered_up_to([m]) > steered_up_to([first]))]
        told += news(await context.instructions(), told, context.window)
        asked: dict[str, Any] = {"repairs": limits.plan_repairs, "config": config}
        if wanted is not None:
            found = [HumanMessage(f"What you have found:\n{result.text}")] if result.text else []
            request = [SystemMessage(self.prompt), *told, *found, HumanMessage(prompts.text("typed_result"))]
            typed, spent = await ask_typed(context.calls, self.model, request, OutputSchema(wanted), **asked)
            result = replace(result, text=typed.text, spent=result.spent + spent, cut_off="")
        if not self.reviews:
            return result
        verdict, spent = await ask_verdict(
            context.calls, self.model, self.prompt, told, result.text, assignment.candidates, **asked
        )
        text = with_verdict(result.text, verdict) if wanted is None else result.text
        return Result(text, result.sources, result.tainted_by, result.spent + spent, verdict)

    def _with_session(self, config: RunnableConfig | None, context: WorkerContext) -> RunnableConfig | None:
        """Return the config with the session and the workspace, if a tool takes a config."""
        if not any("config" in inspect.signature(_function_of(tool)).parameters for tool in self.tools):
            return config
        session = {"sub_task_key": context.actor.session}
        if context.workspace:
            session["workspace"] = context.workspace
        base = config or {}
        return {**base, "configurable": {**base.get("configurable", {}), **session}}

    async def end_sub_task(self, bridge: Bridge, session: str) -> None:
        """Tell tools with an `end_sub_task` that a sub-task is over, so that they free what they keep for it.

        Args:
            bridge: How to call the tools.
            session: `Actor.session` of the attempt.
        """
        for tool in self.tools:
            end = getattr(tool, "end_sub_task", None)
            if end is not None:
                await bridge.offload(partial(end, session))

    def _graph(self, steps: int) -> Runnable[Any, Any]:
        """Return the compiled agent, made once for each model, step limit and prompt."""
        model = self.model
        # The id is safe as a key: the cached graph keeps its model alive, so no other model gets the id.
        key = (id(model), steps, self.prompt)
        with self._graph_lock:
            graph = self._graphs.get(key)
            if graph is None:
                choice = ToolSearch(self.tools)
                finders = [choice.finder()] if choice.is_needed else []
                brief = (
                    [prompts.text("worker_brief"), *_examples(self.tools)] if ModelProfile.of(model).is_small else []
                )
                graph = create_agent(
                    model,
                    [*self.tools, *finders, read_memory] if self.tools else [],
                    system_prompt="\n\n".join((self.prompt, prompts.text("worker_rules"), *brief)),
                    middleware=[WorkerMiddleware(steps, choice if choice.is_needed else None, self.begins_with)],
                    context_schema=WorkerContext,
                    checkpointer=None if self.tools else False,  # without tools it has one step: nothing to resume
                    name=self.name,
                )
                self._graphs[key] = graph
                # A worker of a module is copied for every orchestrator of the process, each perhaps with a new model.
                while len(self._graphs) > _MOST_GRAPHS:
                    del self._graphs[next(iter(self._graphs))]
            return graph

    def _result(self, messages: Sequence[BaseMessage]) -> Result:
        by_name = {tool.name: tool for tool in (*self.tools, read_memory)}
        used = dict.fromkeys(
            message.name
            for message in messages
            if isinstance(message, ToolMessage) and message.name in by_name and message.status != "error"
        )
        text, cut_off = whole_text(messages), truncated_by(messages[-1])
        if text and ModelProfile.of(self.model).is_small:
            text += _figures(messages)
        return Result(
            text=marked(text, cut_off),
            sources=tuple(name for name in used if name),
            tainted_by=tainted_by(messages),
            spent=reported_spend(messages),
            end=AttemptEnd.of(messages),
            cut_off=cut_off,
        )


def _figures(messages: Sequence[BaseMessage]) -> str:
    """Return the short answers of trusted tools as they are, since a small model can get figures wrong in its words."""
    answers = [
        f"{message.name}: {message.text}"
        for message in messages
        if isinstance(message, ToolMessage) and message.status != "error" and not tainted_by([message])
    ]
    short = [line for line in answers if len(line) <= _FIGURES_CHARS and not line.startswith(read_memory.name)]
    return "\n\n" + "\n".join(short) if short else ""


def _examples(tools: Iterable[BaseTool]) -> list[str]:
    """Return the worked examples of tools. They help a small model where descriptions do not."""
    return [str(tool.metadata["example"]) for tool in tools if tool.metadata and "example" in tool.metadata]


def _function_of(tool: BaseTool) -> Callable[..., Any]:
    function = getattr(tool, "func", None) or getattr(tool, "coroutine", None)
    return function if callable(function) else tool._run


def _without_durability(config: RunnableConfig | None) -> RunnableConfig | None:
    """Return the config of a subgraph that saves nothing."""
    if config is None:
        return None
    # LangGraph 1.2 fails on a subgraph without a checkpointer inside a run with durability "sync".
    kept = {name: value for name, value in config["configurable"].items() if name != "__pregel_durability"}
    return {**config, "configurable": kept}
