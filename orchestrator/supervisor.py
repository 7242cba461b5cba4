"""Supervisor: decomposes a task into a plan, revises the plan after trouble, and writes the answer."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.runnables import RunnableConfig

from orchestrator.agents import Agent, Worker
from orchestrator.bridge import AWAITING, BLOCKING, Bridge, run_blocking
from orchestrator.context import fit
from orchestrator.limits import Limits
from orchestrator.memory import Entry
from orchestrator.narrow import narrow_plan
from orchestrator.plan import Outcome, Plan
from orchestrator.prompts import prompt
from orchestrator.revision import Revision
from orchestrator.schemas import plan_schema, revision_schema
from orchestrator.structured import ask_structured
from orchestrator.tokens import excerpt
from orchestrator.usage import Usage, usage_of

_REFERENCE = re.compile(r"\[([A-Za-z0-9][A-Za-z0-9_, -]*)\]")


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

    # -- the interface of the brief -------------------------------------------------------------------------------

    def decompose(self, task: str) -> Plan:
        """Splits a task into a plan for the team.

        Raises:
            PlanError: No sound plan came, after as many repairs as the limits allow.
            ModelError: The model cannot be used.
        """
        return run_blocking(self.plan(BLOCKING, task))[0]

    async def adecompose(self, task: str) -> Plan:
        """Async twin of `decompose`."""
        return (await self.plan(AWAITING, task))[0]

    def summarize(self, entries: Sequence[Entry], task: str = "") -> str:
        """Writes the answer from the results in a shared memory, with references to the sub-tasks."""
        return run_blocking(self.answer(BLOCKING, task, entries))[0]

    async def asummarize(self, entries: Sequence[Entry], task: str = "") -> str:
        """Async twin of `summarize`."""
        return (await self.answer(AWAITING, task, entries))[0]

    # -- inside the graph -----------------------------------------------------------------------------------------

    async def plan(
        self, bridge: Bridge, task: str, feedback: Sequence[str] = (), config: RunnableConfig | None = None
    ) -> tuple[Plan, Usage]:
        """See `decompose`; `feedback` is what a human said of earlier plans."""
        await self.prepare(bridge)
        shown = excerpt(task, self.window // 2, "task")
        if feedback:
            shown = prompt("plan_again", task=shown, feedback="\n".join(f"- {line}" for line in feedback))
        names = list(self.workers)
        if (narrow := narrow_plan(self.model, shown, {n: w.description for n, w in self.workers.items()})) is not None:
            return await ask_structured(
                bridge,
                self.model,
                narrow.messages,
                narrow.schema,
                lambda answer: Plan.parse(narrow.read(answer)).check(names, most=self.limits.sub_tasks),
                repairs=self.limits.plan_repairs,
                config=config,
            )
        team = "\n".join(f"- {worker.name}: {worker.description}" for worker in self.workers.values())
        rules = prompt("plan_rules", team=team, most=str(self.limits.sub_tasks))
        return await ask_structured(
            bridge,
            self.model,
            [SystemMessage(f"{self.prompt}\n\n{rules}"), HumanMessage(shown)],
            plan_schema(names),
            lambda answer: Plan.parse(answer).check(names, most=self.limits.sub_tasks),
            repairs=self.limits.plan_repairs,
            config=config,
        )

    async def revise(
        self,
        bridge: Bridge,
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
        await self.prepare(bridge)
        names = list(self.workers)

        def read(answer: Any) -> Revision:
            revision = Revision.parse(answer)
            revision.apply(plan, attempts=self.limits.attempts).check(names, most=self.limits.sub_tasks)
            return revision

        request = prompt(
            "revise",
            task=excerpt(task, self.window // 4, "task"),
            table=excerpt(plan.table(outcomes), self.window // 4, "plan"),
            problems=excerpt("\n".join(f"- {line}" for line in problems), self.window // 6, "problems"),
        )
        return await ask_structured(
            bridge,
            self.model,
            [SystemMessage(self.prompt), HumanMessage(request)],
            revision_schema(names),
            read,
            repairs=self.limits.plan_repairs,
            config=config,
        )

    async def answer(
        self,
        bridge: Bridge,
        task: str,
        entries: Sequence[Entry],
        missing: Sequence[str] = (),
        config: RunnableConfig | None = None,
    ) -> tuple[str, Usage]:
        """See `summarize`; `missing` is what the answer has to own up to."""
        await self.prepare(bridge)
        window = self.window
        gaps = "".join(f"- {line}\n" for line in missing)
        request = prompt(
            "summary_request",
            task=excerpt(task, window // 6, "task"),
            results=fit(entries, window // 2).text,
            missing=f"\nSay plainly that this is missing:\n{excerpt(gaps, window // 12, 'missing')}" if gaps else "",
            example=entries[0].sub_task_id if entries else "t1",
        )
        reply = await bridge.invoke(self.model, [SystemMessage(self.summary_prompt), HumanMessage(request)], config)
        text = str(reply.text).strip()
        return with_references(text, [entry.sub_task_id for entry in entries]), usage_of([reply])


def with_references(text: str, sub_task_ids: Sequence[str]) -> str:
    """The answer, with a closing line of references when the model gave none."""
    known = set(sub_task_ids)
    named = {part.strip() for found in _REFERENCE.findall(text) for part in found.split(",")}
    if not text or not known or named & known:
        return text
    return f"{text}\n\nFrom: {' '.join(f'[{task_id}]' for task_id in sub_task_ids)}"
