"""The questions that a run can ask a human, one function each, made from plain data.

Invariants:
- The same question always has the same id, in every process: decisions are stored under the id.
- No two tasks of a thread share an id, so a decision that comes late answers no question of the next task.
- Within a run no two questions share an id, whatever a human has changed back in between. So the answer to one never
  opens the gate for another. A plan is asked about once for each revision, a stuck run once after each round, a spent
  budget once for each set of limits, a result once for each attempt, a tool call once for each step, and its
  repetition once for each time that the call was begun.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.budget.budget import Budget
from orchestrator.budget.spend import Spend
from orchestrator.planning.plan import Plan
from orchestrator.planning.sub_task import SubTask
from orchestrator.reviews.review import Review, review_id
from orchestrator.text import excerpt

_SHOWN_TOKENS = 1500


@dataclass(frozen=True)
class CallInQuestion:
    """A tool call that a human is asked about.

    Args:
        sub_task_id: The sub-task that wants it.
        key: The key of the sub-task.
        identity: Name of the call among all calls of the sub-task.
        tool: Name of the tool.
        args: Its arguments.
        task_number: Number of the task on the thread.
    """

    sub_task_id: str
    key: str
    identity: str
    tool: str
    args: Mapping[str, Any]
    task_number: int = 1


def plan_review(
    thread_id: str,
    plan: Plan,
    revisions: int,
    expected: str,
    forecast: dict[str, Any],
    agents: Iterable[str],
    most: int,
    task_number: int = 1,
    before: Plan | None = None,
) -> Review:
    """Ask for the approval of a plan.

    Args:
        thread_id: The thread.
        plan: The plan.
        revisions: Number of times that the plan has been changed in this run.
        expected: The likely cost, in words.
        forecast: The same as plain data.
        agents: Names of the workers, for a human who edits the plan.
        most: Largest number of sub-tasks of an edited plan.
        task_number: Number of the task on the thread.
        before: The plan that this one would replace: it was rejected, or is being carried out.
    """
    return Review(
        # The revision counts: a human may change the plan back, and the first approval must not pass it again.
        id=review_id(thread_id, "plan", plan.digest, str(revisions), task_number=task_number),
        kind="plan",
        question="Shall this plan be carried out?",
        stake=f"{len(plan.sub_tasks)} sub-tasks: {expected}",
        subject={
            "plan": plan.plain()["sub_tasks"],
            "forecast": forecast,
            # Checked against an edited plan by the process that decides, which may not have the team.
            "agents": sorted(agents),
            "most": most,
            **({} if before is None or before == plan else {"before": before.plain()["sub_tasks"]}),
        },
    )


def steer_review(
    thread_id: str, plan: Plan, number: int, problems: Sequence[str], sub_tasks: Iterable[str], task_number: int = 1
) -> Review:
    """Ask how to go on when nothing can be tried again without a human.

    Args:
        thread_id: The thread.
        plan: The accepted plan.
        number: Number of the round that has just ended.
        problems: Why the run is stuck, as sentences.
        sub_tasks: Ids of the sub-tasks that another attempt would concern.
        task_number: Number of the task on the thread.
    """
    return Review(
        # The round counts: the same plan may get stuck for the same reasons again.
        id=review_id(thread_id, "steer", plan.digest, str(number), *problems, task_number=task_number),
        kind="steer",
        question="The run is stuck. Finish with what there is (approve), or say what to try (reject)?",
        stake="; ".join(problems),
        subject={"sub_tasks": sorted(set(sub_tasks)), "problems": list(problems)},
        allowed=("approve", "reject", "stop"),
    )


def budget_review(
    thread_id: str, budget: Budget, problem: str, spent: Spend, seconds: float, task_number: int = 1
) -> Review:
    """Ask how to go on when the budget is spent.

    Every node that lacks room asks this question with the same id, so one answer is enough for all of them.

    Args:
        thread_id: The thread.
        budget: The limits as they are now. A raised budget is another question.
        problem: The limit that was reached, as a sentence.
        spent: What the run has spent.
        seconds: For how long the run has been running.
        task_number: Number of the task on the thread.
    """
    limits = budget.plain()
    return Review(
        # Without the amounts spent, which differ from node to node: all nodes that lack room ask one question.
        id=review_id(thread_id, "steer", "budget", json.dumps(limits, sort_keys=True), task_number=task_number),
        kind="steer",
        question="The budget is spent. Raise it (edit), finish with what there is (approve), or stop?",
        stake="what is not finished stays undone",
        subject={
            "problems": [problem],
            "budget": limits,
            "spent": {
                "tokens": spent.tokens,
                "cost_usd": round(spent.cost_usd, 6),
                "model_calls": spent.model_calls,
                "tool_calls": spent.tool_calls,
                "wall_clock_s": round(seconds, 1),
            },
        },
        allowed=("approve", "edit", "stop"),
    )


def result_review(
    thread_id: str, key: str, sub_task: SubTask, text: str, sources: Sequence[str], task_number: int = 1
) -> Review:
    """Ask for the approval of a result.

    Args:
        thread_id: The thread.
        key: Key of the result in the shared memory.
        sub_task: The sub-task.
        text: The result. A human is shown its beginning.
        sources: Names of the tools that the result was made with.
        task_number: Number of the task on the thread.
    """
    # Checked against an edited result by the process that decides.
    wanted = {} if sub_task.output_schema is None else {"output_schema": sub_task.output_schema}
    return Review(
        # The key changes with every attempt, so an old approval never passes a new result.
        id=review_id(thread_id, "result", key, task_number=task_number),
        kind="result",
        question=f"Is the result of sub-task {sub_task.id} good enough to build on?",
        stake="everything that depends on it waits",
        subject={
            "description": sub_task.description,
            "agent": sub_task.target_agent,
            "result": excerpt(text, _SHOWN_TOKENS, key),
            "sources": list(sources),
            **wanted,
        },
        sub_task_id=sub_task.id,
    )


def tool_review(
    thread_id: str,
    call: CallInQuestion,
    risk: str,
    effect: str,
    reason: str = "",
    tainted_by: Sequence[str] = (),
    args_schema: Mapping[str, Any] | None = None,
) -> Review:
    """Ask whether a worker may call a tool.

    Args:
        thread_id: The thread.
        call: The call.
        risk: The declared risk of the tool.
        effect: The declared effect of the tool.
        reason: Why the policy asks.
        tainted_by: Sources of the untrusted text that the worker has read.
        args_schema: The JSON schema of the tool's arguments.
    """
    stake = f"the tool may {risk}" + (", and its effect cannot be repeated" if effect == "once" else "")
    subject: dict[str, Any] = {"tool": call.tool, "args": call.args, "risk": risk, "effect": effect}
    if tainted_by:
        subject["tainted_by"] = list(tainted_by)
    if args_schema:
        subject["args_schema"] = dict(args_schema)
    return Review(
        id=review_id(thread_id, "tool", call.key, call.identity, task_number=call.task_number),
        kind="tool",
        question=f"May sub-task {call.sub_task_id} call the tool '{call.tool}'?",
        stake=f"{stake}; {reason}" if reason else stake,
        subject=subject,
        sub_task_id=call.sub_task_id,
    )


def repeat_review(thread_id: str, call: CallInQuestion, problem: str, repetition: int = 1) -> Review:
    """Ask whether to repeat a tool call that a process began before it was killed.

    Args:
        thread_id: The thread.
        call: The call.
        problem: What is known of its effect, as a sentence.
        repetition: Number of the repetition, from 1. Each is a question of its own.
    """
    again = ["again"] if repetition == 1 else ["again", str(repetition)]
    return Review(
        id=review_id(thread_id, "tool", call.key, call.identity, *again, task_number=call.task_number),
        kind="tool",
        question=f"Call '{call.tool}' again for sub-task {call.sub_task_id}?",
        stake=problem if repetition == 1 else f"{problem}. It has been begun {repetition} times",
        subject={"tool": call.tool, "args": call.args},
        allowed=("approve", "reject", "stop"),
        sub_task_id=call.sub_task_id,
    )


def question_review(thread_id: str, call: CallInQuestion, number: int, payload: Any, schema: object = None) -> Review:
    """Ask the question of a tool.

    Args:
        thread_id: The thread.
        call: The call of the tool.
        number: Number of questions that the call has asked before.
        payload: The value that the tool gave to `interrupt()`.
        schema: The JSON schema that the answer must have.
    """
    # A tool may ask with any object, and a review is checkpointed as plain JSON.
    plain = json.loads(json.dumps(payload, default=str))
    subject = {"tool": call.tool, "args": call.args, "asked": plain}
    if isinstance(schema, dict):
        subject["schema"] = schema
    return Review(
        id=review_id(thread_id, "question", call.key, call.identity, str(number), task_number=call.task_number),
        kind="question",
        question=_question_text(plain) or f"The tool '{call.tool}' waits for an answer",
        stake=f"sub-task {call.sub_task_id} and everything that depends on it wait",
        subject=subject,
        allowed=("answer", "reject", "stop"),
        sub_task_id=call.sub_task_id,
    )


def _question_text(payload: Any) -> str:
    """Return the question in a payload; empty if none is plain to see."""
    if isinstance(payload, str):
        return payload.strip()
    if isinstance(payload, dict):
        texts = [payload.get(name) for name in ("question", "message", "prompt", "text")]
        return next((text.strip() for text in texts if isinstance(text, str) and text.strip()), "")
    return ""
