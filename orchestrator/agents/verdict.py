"""A reviewer's verdict: asked for with a schema after the reviewer has looked at the work."""

from collections.abc import Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from langchain_core.runnables import RunnableConfig
from pydantic import ValidationError

from orchestrator import prompts
from orchestrator.budget.spend import Spend
from orchestrator.errors import PlanError, shape_problems
from orchestrator.model_calls.calls import ModelCalls
from orchestrator.model_calls.structured_output import ask_structured
from orchestrator.planning.outcome import Verdict
from orchestrator.planning.schemas import verdict_schema


async def ask_verdict(
    calls: ModelCalls,
    model: BaseChatModel,
    role: str,
    told: Sequence[BaseMessage],
    notes: str,
    candidates: Sequence[str],
    *,
    repairs: int,
    config: RunnableConfig | None = None,
) -> tuple[Verdict, Spend]:
    """Ask a reviewer for its verdict.

    Args:
        calls: How to call the model.
        model: The reviewer's model.
        role: The reviewer's prompt.
        told: The first message of its attempt, and the instructions of humans after it.
        notes: Its own remarks on the work; empty for none.
        candidates: Ids of the sub-tasks that it may send back.
        repairs: How often a wrong answer goes back to the model.
        config: Passed to the model.

    Raises:
        PlanError: No usable verdict came.
    """
    remarks = [HumanMessage(f"Your notes on it:\n{notes}")] if notes else []
    request = HumanMessage(prompts.text("verdict", candidates=", ".join(candidates) or "none"))
    return await ask_structured(
        calls,
        model,
        [SystemMessage(role), *told, *remarks, request],
        verdict_schema(candidates),
        lambda answer: read_verdict(answer, candidates),
        repairs=repairs,
        config=config,
    )


def read_verdict(answer: Any, candidates: Sequence[str]) -> Verdict:
    """Read a verdict from an answer.

    Args:
        answer: The parsed answer.
        candidates: Ids of the sub-tasks that may be sent back.

    Raises:
        PlanError: The answer has another shape, or sends back what is no candidate.
    """
    try:
        verdict = Verdict.model_validate(answer)
    except ValidationError as error:
        raise PlanError(shape_problems(error, "verdict")) from None
    if verdict.verdict == "changes_requested" and verdict.sub_task_id not in candidates:
        # Nothing else can be meant, and sending the verdict back would cost another call.
        if len(candidates) == 1:
            return verdict.model_copy(update={"sub_task_id": candidates[0]})
        raise PlanError([f"sub_task_id must be one of {', '.join(candidates)}"])
    return verdict


def with_verdict(notes: str, verdict: Verdict) -> str:
    """Return a reviewer's notes, followed by its verdict in words."""
    decision = "accepted" if verdict.verdict == "accept" else f"changes requested in {verdict.sub_task_id}"
    return f"{notes}\n\n{decision}: {verdict.reason}".strip()
