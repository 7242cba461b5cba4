"""Supervisor: decomposes a task into a plan, revises the plan after trouble, and writes the answer."""

from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.runnables import RunnableConfig

from orchestrator import prompts
from orchestrator.agents.agent import Agent, condensed
from orchestrator.agents.answer import EMPTY, REFUSED, Answer, assembled, has_words, left_out_note
from orchestrator.agents.worker import Worker
from orchestrator.budget.limits import Limits
from orchestrator.budget.spend import Spend
from orchestrator.concurrency import AWAITING, BLOCKING, Bridge, run_blocking
from orchestrator.errors import ConfigError, PlanError
from orchestrator.memory.briefing import Briefing, fit
from orchestrator.memory.conversation import Conversation
from orchestrator.memory.entry import Entry, checked_entries
from orchestrator.memory.reference import Reference, ReferenceFilter, references_to, split_references
from orchestrator.model_calls.calls import ModelCalls
from orchestrator.model_calls.structured_output import ask_structured
from orchestrator.model_calls.text_stream import TextStream
from orchestrator.model_calls.truncation import incomplete, truncated_by
from orchestrator.model_calls.typed_value import ask_typed
from orchestrator.models.call_reading.answer import is_call
from orchestrator.models.error_texts import as_model_error
from orchestrator.models.errors import is_refusal
from orchestrator.models.profile import ModelProfile
from orchestrator.planning.outcome import Outcome
from orchestrator.planning.output_schema import OutputSchema, TypedValue
from orchestrator.planning.plan import Plan
from orchestrator.planning.revision import Revision
from orchestrator.planning.schemas import plan_schema, revision_schema
from orchestrator.planning.small_model import small_model_request
from orchestrator.reviews.instructions import instructions_text
from orchestrator.reviews.saved.instructions import Instruction
from orchestrator.text import excerpt
from orchestrator.validation import expect

_NO_CONVERSATION = Conversation()
_CONVERSATION_TOKENS = 8000

# The supervisor that decomposed a task last in this thread or asyncio task, and that task. An attribute would not do:
# one supervisor may decompose in several threads at once.
_DECOMPOSED: ContextVar[tuple["Supervisor", str] | None] = ContextVar("_DECOMPOSED", default=None)


class Supervisor(Agent):
    """The agent that leads the team.

    Args:
        name: Its name.
        prompt: Its role when it plans.
        summary_prompt: Its role when it writes the answer.
        model: A chat model; see `Agent`.
    """

    def __init__(
        self,
        name: str = "supervisor",
        prompt: str | None = None,
        *,
        summary_prompt: str | None = None,
        model: BaseChatModel | str | None = None,
    ) -> None:
        super().__init__(name, prompt or prompts.text("supervisor"), model=model)
        self.summary_prompt = summary_prompt or prompts.text("summary")
        self._workers: Mapping[str, Worker] | None = None
        self._limits: Limits | None = None

    def lead(self, workers: Mapping[str, Worker], limits: Limits) -> None:
        """Plan for these workers from now on, within these limits."""
        self._workers, self._limits = workers, limits

    @property
    def workers(self) -> Mapping[str, Worker]:
        """The workers that the supervisor plans for: its own, or those of its latest team."""
        if self._workers is None:
            return self._latest_copy.workers if self._latest_copy is not None else {}
        return self._workers

    @property
    def limits(self) -> Limits:
        """The limits of its plans: its own, or those of its latest team."""
        if self._limits is None:
            return self._latest_copy.limits if self._latest_copy is not None else Limits()
        return self._limits

    async def prepare(self, bridge: Bridge) -> None:
        """Make the default model and give it to the workers that have none, so that a team loads it once."""
        await super().prepare(bridge)
        for worker in self.workers.values():
            if not worker.has_model:
                worker.model = self.model

    # -- the interface of the brief -------------------------------------------------------------------------------

    def decompose(self, task: str) -> Plan:
        """Split a task into a plan for the team, with every sub-task behind its dependencies.

        Raises:
            PlanError: No sound plan came, after as many repairs as the limits allow.
            ModelError: The model cannot be used.
            ConfigError: The supervisor has no team to plan for.
        """
        self._begin(task)
        return run_blocking(self.plan(ModelCalls(BLOCKING), task))[0].in_order()

    async def adecompose(self, task: str) -> Plan:
        """Async twin of `decompose`."""
        self._begin(task)
        return (await self.plan(ModelCalls(AWAITING), task))[0].in_order()

    def _begin(self, task: str) -> None:
        expect(str, task, "the task", "a text that says what to do")
        if not self.workers:
            raise ConfigError("this supervisor has no workers to plan for: give it to a Team or a TaskOrchestrator")
        _DECOMPOSED.set((self, task))

    def summarize(self, entries: Sequence[Entry], task: str | None = None) -> str:
        """Write the answer from the results in a shared memory.

        Args:
            entries: The results, such as `memory.all()`.
            task: The task; None for the one that this supervisor decomposed last in the same thread or asyncio task.
        """
        return run_blocking(self.answer(ModelCalls(BLOCKING), self._task(task), checked_entries(entries))).text

    async def asummarize(self, entries: Sequence[Entry], task: str | None = None) -> str:
        """Async twin of `summarize`."""
        return (await self.answer(ModelCalls(AWAITING), self._task(task), checked_entries(entries))).text

    def _task(self, task: str | None) -> str:
        decomposed = _DECOMPOSED.get()
        if task is not None:
            return task
        return decomposed[1] if decomposed is not None and decomposed[0] is self else ""

    def checked(self, plan: Plan) -> Plan:
        """Return the plan if this team can carry it out within its limits.

        Raises:
            PlanError: The team cannot.
        """
        return plan.check(list(self.workers), most=self.limits.sub_tasks, depth=self.limits.depth)

    # -- inside the graph -----------------------------------------------------------------------------------------

    @condensed
    async def plan(
        self,
        calls: ModelCalls,
        task: str,
        feedback: Sequence[str] = (),
        config: RunnableConfig | None = None,
        conversation: Conversation = _NO_CONVERSATION,
        instructions: Sequence[Instruction] = (),
    ) -> tuple[Plan, Spend]:
        """Make a plan for a task; see `decompose`.

        Args:
            calls: How to call the model.
            task: The task.
            feedback: A human's remarks on earlier plans.
            config: Passed to the model.
            conversation: Earlier tasks of the thread. With them, the plan may have no sub-task.
            instructions: What humans have told the run so far.
        """
        shown = _instructed(excerpt(task, self.window // (4 if conversation else 2), "task"), instructions, self.window)
        if conversation:
            shown = f"{self._in_conversation(shown, conversation)}\n\n{prompts.text('plan_on')}"
        if feedback:
            shown = prompts.text("plan_again", task=shown, feedback="\n".join(f"- {line}" for line in feedback))
        names = list(self.workers)

        def read(answer: Any) -> Plan:
            plan = Plan.parse(answer)
            return plan if conversation and not plan.sub_tasks else self.checked(plan)

        if ModelProfile.of(self.model).is_small:
            small = small_model_request(shown, {n: w.description for n, w in self.workers.items()})
            return await ask_structured(
                calls,
                self.model,
                small.messages,
                small.schema,
                lambda answer: read(small.read(answer)),
                repairs=self.limits.plan_repairs,
                config=config,
            )
        team = "\n".join(f"- {worker.name}: {worker.description}" for worker in self.workers.values())
        rules = prompts.text("plan_rules", team=team, most=str(self.limits.sub_tasks))
        return await ask_structured(
            calls,
            self.model,
            [SystemMessage(f"{self.prompt}\n\n{rules}"), HumanMessage(shown)],
            plan_schema(names),
            read,
            repairs=self.limits.plan_repairs,
            config=config,
        )

    @condensed
    async def revise(
        self,
        calls: ModelCalls,
        task: str,
        plan: Plan,
        outcomes: Mapping[str, Outcome],
        problems: Sequence[str],
        config: RunnableConfig | None = None,
        conversation: Conversation = _NO_CONVERSATION,
        instructions: Sequence[Instruction] = (),
    ) -> tuple[Revision, Spend]:
        """Decide about failed sub-tasks: change the plan, finish, or ask the human.

        Without problems, decide if the instructions need another plan: change the plan, or finish.

        Raises:
            PlanError: No usable decision came.
        """
        names = list(self.workers)
        shown = _instructed(excerpt(task, self.window // 4, "task"), instructions, self.window)

        def read(answer: Any) -> Revision:
            revision = Revision.parse(answer)
            if not problems and revision.decision == "ask_human":
                raise PlanError(['decide "revise" or "finish": a human has just said what to do'])
            self.checked(revision.apply(plan, attempts=self.limits.attempts))
            return revision

        parts = {
            "task": self._in_conversation(shown, conversation, share=6),
            "table": excerpt(plan.table(outcomes), self.window // 4, "plan"),
        }
        if problems:
            parts["problems"] = excerpt("\n".join(f"- {line}" for line in problems), self.window // 6, "problems")
        request = prompts.text("revise" if problems else "revise_instructed", **parts)
        return await ask_structured(
            calls,
            self.model,
            [SystemMessage(self.prompt), HumanMessage(request)],
            revision_schema(names),
            read,
            repairs=self.limits.plan_repairs,
            config=config,
        )

    @condensed
    async def answer(
        self,
        calls: ModelCalls,
        task: str,
        entries: Sequence[Entry],
        missing: Sequence[str] = (),
        config: RunnableConfig | None = None,
        titles: Mapping[str, str] = MappingProxyType({}),
        conversation: Conversation = _NO_CONVERSATION,
        instructions: Sequence[Instruction] = (),
        schema: OutputSchema | None = None,
    ) -> Answer:
        """Write the answer; see `summarize`.

        Args:
            calls: How to call the model.
            task: The task.
            entries: The results.
            missing: Gaps that the answer must mention.
            config: Passed to the model.
            titles: What each result is about, by the id of its sub-task.
            conversation: Earlier tasks of the thread.
            instructions: Those of humans so far.
            schema: The answer is wanted as data of this schema, or else as a text.

        Raises:
            BudgetSpentError: Not even a short request fits into the rest of the budget.
        """
        own = self.window
        window = calls.allowance.window(own, share=0.8)
        shown = fit(entries, window // 2) if entries else Briefing()
        gaps = [*missing, *(notes := [left_out_note(shown.left_out)] if shown.left_out else [])]
        asked = _instructed(excerpt(task, window // 6, "task"), instructions, window)
        inputs = {
            "task": self._in_conversation(asked, conversation, window, share=5),
            "results": shown.text or "(none were needed)",
            "example": entries[0].sub_task_id if entries else "t1",
        }
        results = {entry.sub_task_id: entry for entry in (*conversation.results.values(), *entries)}
        try:
            request = _request("typed_summary_request", inputs, gaps, window)
            typed, untyped = await self._typed(calls, request, schema, list(results), config)
            if typed is not None:
                return Answer(typed.text, _references(typed.references, results, entries), tuple(notes), typed)
            gaps += [untyped] if untyped else []
            request = _request("summary_request", inputs, gaps, window)
            stream, prompt = calls.text_stream(ReferenceFilter(results)), [SystemMessage(self.summary_prompt), request]
            reply = await self._in_words(calls, prompt, config, stream)
        except Exception as error:
            if not is_refusal(error) or self.window < own:
                raise
            return _refused(error, entries, missing, titles)
        text, named = split_references("" if is_call(reply.text) else reply.text, results)
        if not has_words(text):  # small models can answer with references only
            text, named, notes = assembled(entries, missing, EMPTY, titles), [], ["the model's answer was empty"]
        elif by := truncated_by(reply):
            text, notes = f"{text}\n\n[… {incomplete(by)}]", [*notes, f"the answer is {incomplete(by)}"]
        return Answer(_told(stream, text), _references(named, results, entries), tuple(notes), untyped=untyped)

    async def _in_words(
        self, calls: ModelCalls, prompt: list[BaseMessage], config: RunnableConfig | None, stream: TextStream | None
    ) -> AIMessage:
        """Ask for a text, and once again if a tool call comes in its place."""
        reply = await calls.invoke(self.model, prompt, config, stream)
        if not is_call(reply.text):
            return reply
        if stream is not None:
            stream.void("the model calls tools", forget=True)
        told = HumanMessage(prompts.text("answer_in_words"))
        return await calls.invoke(self.model, [*prompt, AIMessage(reply.text), told], config, stream)

    async def _typed(
        self,
        calls: ModelCalls,
        request: BaseMessage,
        schema: OutputSchema | None,
        ids: Sequence[str],
        config: RunnableConfig | None,
    ) -> tuple[TypedValue | None, str]:
        """Ask for the answer as data of a schema, if there is one. Where none comes, return the reason."""
        if schema is None:
            return None, ""
        messages = [SystemMessage(self.summary_prompt), request]
        try:
            typed, _ = await ask_typed(
                calls, self.model, messages, schema, ids, repairs=self.limits.plan_repairs, config=config
            )
        except PlanError as error:
            return None, f"there is no answer of the output type: {'; '.join(error.problems)}"
        return typed, ""

    def _in_conversation(self, task: str, conversation: Conversation, window: int = 0, share: int = 4) -> str:
        """Return a task for a prompt, behind the earlier tasks of its thread if there are any."""
        if not conversation:
            return task
        tokens = min(_CONVERSATION_TOKENS, (window or self.window) // share)
        return prompts.text("conversation", turns=conversation.text(tokens), task=task)


def _instructed(task: str, instructions: Sequence[Instruction], window: int) -> str:
    """Return a task for a prompt, followed by what humans have added since."""
    return "\n\n".join(part for part in (task, instructions_text(instructions, window // 8)) if part)


def _request(prompt: str, inputs: Mapping[str, str], gaps: Sequence[str], window: int) -> HumanMessage:
    """Return a request for an answer, which names the gaps."""
    lines = "".join(f"- {line}\n" for line in gaps)
    missing = f"\nSay plainly that this is missing:\n{excerpt(lines, window // 12, 'missing')}" if gaps else ""
    return HumanMessage(prompts.text(prompt, **inputs, missing=missing))


def _refused(error: Exception, entries: Sequence[Entry], missing: Sequence[str], titles: Mapping[str, str]) -> Answer:
    """Return an answer of the results as they stand. A refusal would come again at every resume."""
    why = f"no answer could be written: {as_model_error(error)}"
    return Answer(assembled(entries, missing, REFUSED, titles), references_to(entries), (why,), untyped=why)


def _told(stream: TextStream | None, text: str) -> str:
    """Return the answer, after its stream has told the whole of it."""
    if stream is not None:
        stream.settle(text)
    return text


def _references(named: Iterable[str], results: Mapping[str, Entry], entries: Sequence[Entry]) -> tuple[Reference, ...]:
    """Return references to the results that an answer names.

    Args:
        named: The ids in the answer.
        results: All results by id, with those of earlier tasks.
        entries: The results of the task. They are the ground of an answer that names none.
    """
    known = [results[name] for name in dict.fromkeys(named) if name in results]
    return references_to(known or entries)
