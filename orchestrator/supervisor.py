"""Supervisor: decomposes a task into a plan, revises the plan after trouble, and writes the answer."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from langchain_core.runnables import RunnableConfig

from orchestrator.agents import Agent, Worker
from orchestrator.bridge import AWAITING, BLOCKING, Bridge, run_blocking
from orchestrator.context import fit
from orchestrator.cut_off import cut_off_by, incomplete
from orchestrator.endpoint_errors import as_model_error, is_refusal
from orchestrator.limits import Limits
from orchestrator.memory import Entry
from orchestrator.model_call import ModelCalls
from orchestrator.narrow import narrow_plan
from orchestrator.plan import Outcome, Plan
from orchestrator.prompts import prompt
from orchestrator.revision import Revision
from orchestrator.schemas import plan_schema, revision_schema
from orchestrator.structured import ask_structured
from orchestrator.tokens import excerpt
from orchestrator.usage import Usage, usage_of

_MOST_NAMED = 20
_REFUSED = "The model refused to write an answer."
_EMPTY = "The model gave an empty answer."
_REFERENCE = re.compile(r"\[([A-Za-z0-9][A-Za-z0-9_, -]*)\]")


@dataclass(frozen=True)
class Answer:
    """The answer to the user's task.

    Args:
        text: The answer, with references to the sub-tasks.
        usage: Tokens and calls.
        notes: What a reader should know of how it came about, as sentences; empty for a whole answer.
    """

    text: str
    usage: Usage
    notes: tuple[str, ...] = ()


class Supervisor(Agent):
    """The agent that leads the team.

    Args:
        name: How people call it.
        prompt: Its role when it plans.
        summary_prompt: Its role when it writes the answer.
        model: A chat model; see `Agent`.
    """

    def __init__(
        self,
        name: str = "supervisor",
        prompt_: str | None = None,
        *,
        summary_prompt: str | None = None,
        model: BaseChatModel | None = None,
    ) -> None:
        super().__init__(name, prompt_ or prompt("supervisor"), model=model)
        self.summary_prompt = summary_prompt or prompt("summary")
        self.workers: Mapping[str, Worker] = {}
        self.limits = Limits()

    async def prepare(self, bridge: Bridge) -> None:
        """Makes the default model, and gives it to the workers that have none: one is enough for a team."""
        await super().prepare(bridge)
        for worker in self.workers.values():
            if not worker.has_model:
                worker.model = self.model

    # -- the interface of the brief -------------------------------------------------------------------------------

    def decompose(self, task: str) -> Plan:
        """Splits a task into a plan for the team.

        Raises:
            PlanError: No sound plan came, after as many repairs as the limits allow.
            ModelError: The model cannot be used.
        """
        return run_blocking(self.plan(ModelCalls(BLOCKING), task))[0]

    async def adecompose(self, task: str) -> Plan:
        """Async twin of `decompose`."""
        return (await self.plan(ModelCalls(AWAITING), task))[0]

    def summarize(self, entries: Sequence[Entry], task: str = "") -> str:
        """Writes the answer from the results in a shared memory, with references to the sub-tasks."""
        return run_blocking(self.answer(ModelCalls(BLOCKING), task, entries)).text

    async def asummarize(self, entries: Sequence[Entry], task: str = "") -> str:
        """Async twin of `summarize`."""
        return (await self.answer(ModelCalls(AWAITING), task, entries)).text

    def checked(self, plan: Plan) -> Plan:
        """The plan itself, when this team can carry it out within its limits.

        Raises:
            PlanError: It cannot.
        """
        return plan.check(list(self.workers), most=self.limits.sub_tasks, depth=self.limits.depth)

    # -- inside the graph -----------------------------------------------------------------------------------------

    async def plan(
        self, calls: ModelCalls, task: str, feedback: Sequence[str] = (), config: RunnableConfig | None = None
    ) -> tuple[Plan, Usage]:
        """See `decompose`; `feedback` is what a human said of earlier plans."""
        await self.prepare(calls.bridge)
        shown = excerpt(task, self.window // 2, "task")
        if feedback:
            shown = prompt("plan_again", task=shown, feedback="\n".join(f"- {line}" for line in feedback))
        names = list(self.workers)
        if (narrow := narrow_plan(self.model, shown, {n: w.description for n, w in self.workers.items()})) is not None:
            return await ask_structured(
                calls,
                self.model,
                narrow.messages,
                narrow.schema,
                lambda answer: self.checked(Plan.parse(narrow.read(answer))),
                repairs=self.limits.plan_repairs,
                config=config,
            )
        team = "\n".join(f"- {worker.name}: {worker.description}" for worker in self.workers.values())
        rules = prompt("plan_rules", team=team, most=str(self.limits.sub_tasks))
        return await ask_structured(
            calls,
            self.model,
            [SystemMessage(f"{self.prompt}\n\n{rules}"), HumanMessage(shown)],
            plan_schema(names),
            lambda answer: self.checked(Plan.parse(answer)),
            repairs=self.limits.plan_repairs,
            config=config,
        )

    async def revise(
        self,
        calls: ModelCalls,
        task: str,
        plan: Plan,
        outcomes: Mapping[str, Outcome],
        problems: Sequence[str],
        config: RunnableConfig | None = None,
    ) -> tuple[Revision, Usage]:
        """Decides what to do about sub-tasks that failed: change the plan, finish, or ask the human.

        Raises:
            PlanError: No usable decision came.
        """
        await self.prepare(calls.bridge)
        names = list(self.workers)

        def read(answer: Any) -> Revision:
            revision = Revision.parse(answer)
            self.checked(revision.apply(plan, attempts=self.limits.attempts))
            return revision

        request = prompt(
            "revise",
            task=excerpt(task, self.window // 4, "task"),
            table=excerpt(plan.table(outcomes), self.window // 4, "plan"),
            problems=excerpt("\n".join(f"- {line}" for line in problems), self.window // 6, "problems"),
        )
        return await ask_structured(
            calls,
            self.model,
            [SystemMessage(self.prompt), HumanMessage(request)],
            revision_schema(names),
            read,
            repairs=self.limits.plan_repairs,
            config=config,
        )

    async def answer(
        self,
        calls: ModelCalls,
        task: str,
        entries: Sequence[Entry],
        missing: Sequence[str] = (),
        config: RunnableConfig | None = None,
    ) -> Answer:
        """See `summarize`; `missing` is what the answer has to own up to.

        Raises:
            BudgetSpentError: Not even a short request fits into what is left.
        """
        await self.prepare(calls.bridge)
        window = calls.window(self.window, share=0.8)
        shown = fit(entries, window // 2)
        notes = [_left_out(shown.left_out)] if shown.left_out else []
        gaps = "".join(f"- {line}\n" for line in [*missing, *notes])
        about = {
            "task": excerpt(task, window // 6, "task"),
            "results": shown.text,
            "missing": f"\nSay plainly that this is missing:\n{excerpt(gaps, window // 12, 'missing')}" if gaps else "",
        }
        example = entries[0].sub_task_id if entries else "t1"
        try:
            request = HumanMessage(prompt("summary_request", **about, example=example))
            reply = await calls.invoke(self.model, [SystemMessage(self.summary_prompt), request], config)
            usage = usage_of([reply])
        except Exception as error:
            if not is_refusal(error):
                raise
            why = f"no answer could be written: {as_model_error(error)}"
            return Answer(assembled(entries, missing, _REFUSED), {}, (why,))
        text = str(reply.text).strip()
        if not _has_words(reply):  # small models can take the references for the answer
            return Answer(assembled(entries, missing, _EMPTY), usage, ("the model's answer was empty",))
        if by := cut_off_by(reply):
            notes = [*notes, f"the answer is {incomplete(by)}"]
            text = f"{text}\n\n[… {incomplete(by)}]"
        return Answer(with_references(text, [entry.sub_task_id for entry in entries]), usage, tuple(notes))


def _has_words(reply: BaseMessage) -> bool:
    """Whether a reply says anything besides what stands in square brackets."""
    return re.search(r"\w", re.sub(r"\[[^]\n]*\]", "", str(reply.text))) is not None


def _left_out(sub_task_ids: Sequence[str]) -> str:
    named = ", ".join(sub_task_ids[:_MOST_NAMED])
    more = f" and {len(sub_task_ids) - _MOST_NAMED} more" if len(sub_task_ids) > _MOST_NAMED else ""
    return f"there was no room for the results of {named}{more} when the answer was written"


def with_references(text: str, sub_task_ids: Sequence[str]) -> str:
    """The answer, with a closing line of references when the model gave none."""
    known = set(sub_task_ids)
    named = {part.strip() for found in _REFERENCE.findall(text) for part in found.split(",")}
    if not text or not known or named & known:
        return text
    return f"{text}\n\nFrom: {' '.join(f'[{task_id}]' for task_id in sub_task_ids)}"


def assembled(
    entries: Sequence[Entry], missing: Sequence[str], why: str = "The budget did not suffice to write an answer."
) -> str:
    """An answer without a model: the results as they are, and what is missing."""
    parts = [f"{why} These are the results as they stand."]
    parts += [f"[{entry.sub_task_id}] {entry.text}" for entry in entries]
    if missing:
        parts.append("Missing:\n" + "\n".join(f"- {line}" for line in missing))
    return "\n\n".join(parts)
