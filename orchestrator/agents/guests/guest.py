"""Guest: a graph, a function or another runnable of the user's that does the work of a worker.

A guest is asked for like a tool: the policy decides by its declaration if a human is asked first, and its answer is
untrusted unless it is declared otherwise. Its own models and tools are not the engine's, so they are counted and not
capped, and no policy sees them.
"""

import inspect
import uuid
from collections.abc import Callable, Mapping
from typing import Any, cast

from langchain_core.messages import HumanMessage, ToolCall
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langchain_core.tools import BaseTool, StructuredTool
from langgraph.checkpoint.base import EXCLUDED_METADATA_KEYS, BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphInterrupt
from langgraph.graph.state import CompiledStateGraph
from langgraph.pregel import Pregel
from langgraph.pregel.protocol import PregelProtocol

from orchestrator.agents.assignment import Assignment, Result
from orchestrator.agents.attempt_end import AttemptEnd
from orchestrator.agents.guests.forms import Input, input_of, messages_input, output_text, parameter_count
from orchestrator.agents.guests.graph_run import GraphRun, StoppedByHumanError
from orchestrator.agents.guests.saver import SubSaver
from orchestrator.agents.guests.stretch import Stretch
from orchestrator.agents.task_message import task_message
from orchestrator.concurrency import Bridge
from orchestrator.daemon_threads import with_ordinary_errors
from orchestrator.errors import ConfigError, WorkerError
from orchestrator.memory.entry import Entry
from orchestrator.redaction import redact
from orchestrator.reviews.decisions import ask_unless_stopped
from orchestrator.reviews.questions import CallInQuestion, repeat_review
from orchestrator.reviews.review import Decision, Review
from orchestrator.text import sound
from orchestrator.tool_calls.declaration import declare, effect_of, is_trusted, output_limit_of
from orchestrator.tool_calls.execution import runtime_of, with_context
from orchestrator.tool_calls.journals.effects import CallJournal, is_answered, is_paused, repetition_of
from orchestrator.tool_calls.pauses.answers import SCRATCHPAD_KEY, Answers, Question
from orchestrator.tool_calls.pauses.asking import Asking
from orchestrator.tool_calls.pauses.questions import Questions
from orchestrator.tool_calls.permission import PermissionRequest, permission_of
from orchestrator.tool_calls.worker_context import WorkerContext
from orchestrator.trust import label, merged, tainted_by

WINDOW = 32_000
_IDENTITY = "guest"
_CHECKPOINTER_KEY = "__pregel_checkpointer"  # as in `graph.invocation`


class Guest:
    """A thing that does the work of a worker.

    Args:
        name: The worker's name.
        thing: A compiled or remote graph, another runnable, or a function.
        description: The worker's description.
        input: Makes its input; None for the default.
        output: Makes a text of its output; None for the default.
        declaration: Arguments of `declare`; empty where nothing is declared.
        time_limit_s: Seconds for one invocation; None for no limit but the run's.
        window: Most tokens of the message that it is given.

    Raises:
        ConfigError: It cannot be called, or its input cannot be told.
    """

    def __init__(
        self,
        name: str,
        thing: Any,
        description: str,
        *,
        input: Callable[..., Any] | None = None,
        output: Callable[[Any], Any] | None = None,
        declaration: Mapping[str, Any] | None = None,
        time_limit_s: float | None = None,
        window: int = WINDOW,
    ) -> None:
        self.name = name
        self.window = window
        self.thing, default = _runnable(name, thing, needs_default=input is None)
        self._input = default if input is None else input_of(name, input)
        self._output = output
        self._time_limit_s = time_limit_s
        self.tool = _tool(name, description, declaration or {})

    async def carry_out(
        self, bridge: Bridge, assignment: Assignment, context: WorkerContext, config: RunnableConfig | None
    ) -> Result:
        """Execute an assignment.

        Raises:
            GraphInterrupt: A human must decide or answer.
            WorkerError: The guest was refused or failed.
        """
        first = await task_message(bridge, assignment, context, is_small=False)
        call = ToolCall(name=self.name, args={"task": first.text}, id=_IDENTITY, type="tool_call")
        permission = await PermissionRequest(bridge, context, self.tool, call, _IDENTITY, [first]).ask()
        if permission.is_stop:
            return Result("", end=AttemptEnd(stopped=True))
        if permission.args is None:
            raise WorkerError(permission.refusal)
        attempt = _Attempt(self, bridge, assignment, context, config or {}, first, dict(permission.args))
        async with context.oversight.parking.call():
            return await attempt.result()

    def text_of(self, output: Any) -> str:
        """Return what the guest gave as a text."""
        return redact(sound(output_text(output if self._output is None else self._output(output))))

    def input_for(self, text: str, assignment: Assignment, context: WorkerContext) -> Any:
        """Return what the guest is given."""
        entries = (context.memory.seen(key) for key in assignment.needs)
        results: tuple[Entry, ...] = tuple(entry for entry in entries if entry is not None)
        return self._input(text, assignment.sub_task, results)

    @property
    def time_limit_s(self) -> float | None:
        """Seconds for one invocation."""
        return self._time_limit_s


class _Attempt:
    """One attempt of a guest."""

    def __init__(
        self,
        guest: Guest,
        bridge: Bridge,
        assignment: Assignment,
        context: WorkerContext,
        config: RunnableConfig,
        first: HumanMessage,
        args: dict[str, Any],
    ) -> None:
        self._guest = guest
        self._bridge = bridge
        self._assignment = assignment
        self._context = context
        self._config = config
        self._first = first
        self._args = args
        actor = context.actor
        about = {"sub_task": assignment.sub_task.description}
        self._call = CallInQuestion(actor.sub_task_id, actor.key, _IDENTITY, guest.name, about, actor.task_number)
        self._journal = CallJournal(bridge, context.memory, actor.key, _IDENTITY, guest.name)
        is_local = isinstance(guest.thing, Pregel)
        options: dict[str, Any] = {"durability": "sync"} if is_local else {}
        # A remote graph takes only what JSON can hold.
        if is_local or (isinstance(guest.thing, PregelProtocol) and isinstance(context.users, Mapping)):
            options["context"] = context.users
        if is_local and (runtime := runtime_of(config)) is not None:
            options["control"] = runtime.control  # who ends the run ends the graph before its next step
        self._stretch = Stretch(bridge, guest.name, context.allowance, guest.time_limit_s, options)

    async def result(self) -> Result:
        text = str(self._args.get("task", ""))
        value = self._guest.input_for(text, self._assignment, self._context)
        try:
            if isinstance(self._guest.thing, PregelProtocol):
                output = await self._graph_output(value)
            else:
                output = await self._output(value)
        except StoppedByHumanError:
            return Result("", spent=self._stretch.counter.spent, end=AttemptEnd(stopped=True))
        return self._filed(self._guest.text_of(output))

    def _filed(self, text: str) -> Result:
        tool, actor = self._guest.tool, self._context.actor
        most = output_limit_of(tool)
        if len(text) > most:
            text = f"{text[:most]}\n[… {len(text) - most:,} more characters of '{tool.name}' were cut off]"
        labels = () if is_trusted(tool) else (label(actor.sub_task_id, tool.name, {}),)
        return Result(text, (tool.name,), merged(tainted_by([self._first]), labels), self._stretch.counter.spent)

    # -- graphs ---------------------------------------------------------------------------------------------------

    async def _graph_output(self, value: Any) -> Any:
        configurable = self._config.get("configurable", {})
        thread_id = f"{self._context.actor.session}/{configurable.get('checkpoint_ns', '')}"
        graph = self._guest.thing
        if isinstance(graph, Pregel):
            graph = self._with_saver(graph, configurable)
        else:
            thread_id = str(uuid.uuid5(uuid.NAMESPACE_URL, thread_id))  # LangGraph's server takes no other names
        users = {n: v for n, v in configurable.items() if not n.startswith("__") and n not in EXCLUDED_METADATA_KEYS}
        kept = {n: v for n, v in self._config.items() if n in ("callbacks", "tags", "metadata", "max_concurrency")}
        config: Any = {**kept, "run_name": self._guest.name, "configurable": {**users, "thread_id": thread_id}}
        questions = Questions(self._bridge, self._context, f"guest-{self._context.actor.key}")
        run = GraphRun(graph, config, self._call, self._context, self._stretch, questions, self._bridge)
        return await run.run(value)

    def _with_saver(self, graph: Pregel[Any, Any, Any, Any], configurable: Mapping[str, Any]) -> Any:
        changes: dict[str, Any] = {}
        if not isinstance(graph.checkpointer, BaseCheckpointSaver):
            saver = configurable.get(_CHECKPOINTER_KEY)
            place = (str(configurable.get("thread_id") or ""), str(configurable.get("checkpoint_ns") or ""))
            is_saved = isinstance(saver, BaseCheckpointSaver)
            changes["checkpointer"] = SubSaver(cast(Any, saver), *place) if is_saved else InMemorySaver()
        if graph.store is None:
            changes["store"] = self._context.oversight.store
        return graph.copy(changes) if changes else graph

    # -- functions and other runnables ----------------------------------------------------------------------------

    async def _output(self, value: Any) -> Any:
        if effect_of(self._guest.tool) == "once":
            if (note := await self._journal.read()) is not None and (answer := await self._after_crash(note)):
                return answer
            if note is None:
                await self._journal.begin()
        answers, asking = Answers(), Asking(self._bridge, self._context, self._call)
        while True:
            config = answers.config(with_context({**self._config, "run_name": self._guest.name}, self._context.users))
            try:
                output = await self._stretch.invoke(self._guest.thing, value, config)
            except GraphInterrupt as pause:
                await self._answer(await answers.questions_in(self._bridge, pause), asking, answers)
                continue
            except KeyError as error:
                if error.args != (SCRATCHPAD_KEY,):  # what `interrupt()` raises outside any graph
                    raise
                raise WorkerError(f"'{self._guest.name}' asks a human, and there is nobody here to ask") from error
            if effect_of(self._guest.tool) == "once":
                text = self._guest.text_of(output)
                await self._journal.finish(text, trusted=is_trusted(self._guest.tool), tainted_by=())
            return output

    async def _answer(self, questions: list[Question], asking: Asking, answers: Answers) -> None:
        if not questions:
            raise WorkerError(f"'{self._guest.name}' pauses in a way that cannot be asked about")
        if self._context.oversight.unattended:
            raise WorkerError(f"'{self._guest.name}' asks a human, and there is nobody here to ask")
        if effect_of(self._guest.tool) != "once":
            decision = await asking.answer(questions, answers)
        else:
            repetition = await self._journal.pause()
            decision = await asking.answer(questions, answers)
            await self._journal.begin(repetition)
        if decision is not None and decision.action == "stop":
            raise StoppedByHumanError
        if decision is not None:
            raise WorkerError(f"a human did not answer '{self._guest.name}': {decision.text}")

    async def _decided(self, review: Review) -> Decision:
        oversight = self._context.oversight
        return await ask_unless_stopped(self._bridge, oversight.store, review, oversight.parking)

    async def _after_crash(self, note: Entry) -> str:
        """Return the answer that an earlier process noted; "" to call the guest again.

        Raises:
            StoppedByHumanError: A human stopped the run.
            WorkerError: A human decided not to repeat it, or none is asked.
        """
        if is_answered(note):
            return note.text
        if is_paused(note):
            await self._journal.begin(repetition_of(note))
            return ""
        unknown = (
            f"'{self._guest.name}' was begun, and the run was interrupted before it ended: "
            "it may have had its effect or not"
        )
        if self._context.oversight.auto_approve:
            raise WorkerError(unknown + ". It was not repeated")
        repetition = repetition_of(note) + 1
        review = repeat_review(self._context.actor.thread_id, self._call, unknown, repetition)
        decision = await self._decided(review)
        permission = permission_of(decision, ToolCall(name=self._guest.name, args={}, id=None), is_automatic=False)
        if permission.is_stop:
            raise StoppedByHumanError
        if permission.args is None:
            raise WorkerError(f"{unknown}. A human decided not to repeat it: {decision.text or 'no reason given'}")
        await self._journal.begin(repetition)
        return ""


def _tool(name: str, description: str, declaration: Mapping[str, Any]) -> BaseTool:
    """Return what the policy and the reviews see of a guest."""

    def carry_out(task: str) -> str:
        raise AssertionError("unreachable: the policy and reviews look at this tool, and nobody calls it")

    tool = StructuredTool.from_function(func=carry_out, name=name, description=description)
    # Through `declare`, which checks the values. What is not declared keeps its unsafe default.
    declare(tool, **{"risk": "write", **declaration})
    tool.metadata = {**declaration}
    return tool


def _runnable(name: str, thing: Any, *, needs_default: bool) -> tuple[Runnable[Any, Any], Input]:
    """Return a thing of the user's as a runnable, and its default input.

    Raises:
        ConfigError: It cannot be called, or its input cannot be told.
    """
    if isinstance(thing, CompiledStateGraph) and needs_default and "messages" not in thing.channels:
        known = ", ".join(sorted(n for n in thing.channels if not n.startswith(("__", "branch:"))))
        raise ConfigError(
            f"the state of the graph of worker '{name}' has no messages, only {known}: say what goes in and comes out, "
            "as in Worker.of(graph, input=lambda text: {…}, output=lambda state: …)"
        )
    if isinstance(thing, PregelProtocol):
        is_message_style = not isinstance(thing, Pregel) or "messages" in thing.channels
        return thing, lambda text, *_: messages_input(text) if is_message_style else text
    if isinstance(thing, Runnable):
        return thing, lambda text, *_: text
    if not callable(thing) or isinstance(thing, type):
        raise ConfigError(f"worker '{name}' needs a graph, a runnable or a function, not {type(thing).__name__}")
    if parameter_count(name, thing) == 1:
        return RunnableLambda(with_ordinary_errors(_function(thing)), name=name), lambda text, *_: text
    return RunnableLambda(_spread(thing), name=name), lambda text, sub_task, results: (sub_task, results)


def _function(thing: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function of a callable object, whose kind can be told."""
    if inspect.isroutine(thing):
        return thing
    method: Any = type(thing).__call__
    return cast(Callable[..., Any], method.__get__(thing))


def _spread(thing: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of one pair for a function of two values."""
    function = with_ordinary_errors(_function(thing))
    takes_config = "config" in inspect.signature(function).parameters
    if inspect.iscoroutinefunction(function):

        async def awaited(pair: Any, config: RunnableConfig) -> Any:
            return await function(*pair, **({"config": config} if takes_config else {}))

        return awaited

    def called(pair: Any, config: RunnableConfig) -> Any:
        return function(*pair, **({"config": config} if takes_config else {}))

    return called
