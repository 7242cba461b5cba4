"""This project by its public API, with plan, rounds, shared memory, reviews and SQLite persistence all on.

The plan's review is asked and answered, not skipped. j3 carries out a given plan, a chain of n sub-tasks, since the
script's planner plans nothing for it; everything else is as in the other jobs.
"""

import os

import common as C
from langchain_core.tools import tool

from orchestrator import Decision, Limits, Plan, SubTask, Supervisor, TaskOrchestrator, Worker, chat_model, declare
from orchestrator.models.settings import ModelSettings

IMPORT = "from orchestrator import Supervisor, TaskOrchestrator, Worker, chat_model; import orchestrator.models.openai_compatible"


async def open(ctx):
    @tool
    async def work(id: str) -> str:
        """Do the work of one sub-task."""
        return ctx.work(id)

    model = chat_model(
        ModelSettings(model=C.MODEL, base_url=ctx.base_url, api_key="sk-fake", timeout_s=60, max_retries=0)
    )
    tools = [declare(work)] if C.JOBS[ctx.job]["worker_tool"] else []
    prompt = C.STEPNODE if ctx.job == "j3" else C.WORKER
    return TaskOrchestrator(
        Supervisor("supervisor", C.PLANNER, summary_prompt=C.SUMMARY),
        [Worker("worker", prompt, tools=tools)],
        model=model,
        db=os.path.join(ctx.db, "s.db"),
        limits=Limits(sub_tasks=max(50, ctx.n)),
    )


async def close(app):
    app.close()


def chain(n):
    ids = ["s%d" % i for i in range(1, n + 1)]
    return Plan(
        sub_tasks=[
            SubTask(
                id=x,
                description=C.goal("j3", i + 1),
                target_agent="worker",
                depends_on=ids[i - 1 : i] if i else [],
            )
            for i, x in enumerate(ids)
        ]
    )


def approve(review):
    return Decision(review_id=review.id, action="approve")


async def run(app, ctx, goal, run_id):
    if ctx.job == "j3":
        done = await app.arun(goal, thread_id=run_id, plan=chain(ctx.n), on_review=approve)
        return "[[FINAL:j3:%d]]" % sum(o.status == "succeeded" for o in done.outcomes.values())
    return (await app.arun(goal, thread_id=run_id, on_review=approve)).answer
