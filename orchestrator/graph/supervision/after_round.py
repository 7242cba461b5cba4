"""Decisions after a round. Rules decide first; a model is asked only about sub-tasks that failed.

Each way back into work uses up an attempt of a sub-task, a revision, or a decision of a human, so a run goes back a
bounded number of times.
"""

from orchestrator.errors import PlanError
from orchestrator.graph.supervision.acceptance import accept, propose
from orchestrator.graph.supervision.endings import finish, stop
from orchestrator.graph.supervision.turn import Turn, Update
from orchestrator.planning.assessment import Assessment, assess, current, failure_of, gaps
from orchestrator.planning.revision import Revision
from orchestrator.reviews.questions import steer_review


async def after_round(turn: Turn) -> Update:
    """Decide what comes after a round."""
    turn.invocation.drop_rounds()  # every node of the super-step has left
    plan, outcomes = turn.plan, turn.outcomes
    assessment = assess(plan, outcomes, turn.limits.attempts)
    if assessment.stopped:
        return stop(turn, "a human stopped the run")
    finished = current(plan, outcomes)
    if len(finished) < len(plan.sub_tasks) and turn.state.get("approved") == plan.digest:
        # A round ends with an outcome of every sub-task: this one was left when the task was given again.
        return {"phase": "work", "round": turn.state.get("round", 1) - 1}
    if any(outcome.limit for outcome in finished.values()):
        return await finish(turn, plan, assessment, "limited") | {"limited_by": "budget"}
    if assessment.is_clean and len(finished) == len(plan.sub_tasks) and not gaps(plan, outcomes):
        changed = await _after_instruction(turn, assessment)
        return changed or {"phase": "summarize", "notes": turn.state.get("notes") or []}
    if _has_no_round_left(turn):
        return await _ask_human(turn, assessment, f"the limit of {turn.limits.rounds} rounds is reached")
    if assessment.failures:
        return await _after_failures(turn, assessment)
    if assessment.retries:
        return await retry_with_feedback(turn, assessment)
    return await _ask_human(turn, assessment)


def _has_no_round_left(turn: Turn) -> bool:
    return bool(turn.state.get("round", 0) >= turn.limits.rounds + turn.state.get("more_rounds", 0))


async def retry_with_feedback(turn: Turn, assessment: Assessment) -> Update:
    """Send work back with its feedback. No model or human is asked: attempts and rounds are the bounds."""
    retried = (turn.plan.by_id[task_id].retry(text) for task_id, text in assessment.retries.items())
    return await accept(turn, turn.plan.replace(*retried), assessment.retries)


async def _after_failures(turn: Turn, assessment: Assessment) -> Update:
    plan = turn.plan
    if turn.revisions >= turn.limits.revisions:
        return await _ask_human(turn, assessment)
    revision = await _revise(turn, assessment)
    if revision is None or revision.decision == "ask_human":
        return await _ask_human(turn, assessment)
    if revision.decision == "finish":
        return await finish(turn, plan, assessment, "failed")
    changed = await _change(turn, assessment, revision)
    # A model that changes the plan to and fro would use up all revisions without progress.
    problem = "the supervisor changed the plan back to one that was tried before"
    return changed or await _ask_human(turn, assessment, problem)


async def _after_instruction(turn: Turn, assessment: Assessment) -> Update | None:
    """Ask the supervisor about instructions that came since it was last asked. Return None if the plan stands."""
    heard = turn.state.get("heard", 0)
    if not any(instruction.number > heard for instruction in turn.instructions):
        return None
    if turn.revisions >= turn.limits.revisions or _has_no_round_left(turn):
        return None  # the answer still takes the instructions into account
    revision = await _revise(turn, assessment)
    if revision is None or revision.decision != "revise":
        return None
    return await _change(turn, assessment, revision)


async def _change(turn: Turn, assessment: Assessment, revision: Revision) -> Update | None:
    """Propose the changed plan, or return None if it was tried before."""
    plan = turn.plan
    changed = revision.apply(plan, attempts=turn.limits.attempts)
    retries = {i: text for i, text in assessment.retries.items() if changed.by_id.get(i) == plan.by_id[i]}
    changed = changed.replace(*(changed.by_id[i].retry(text) for i, text in retries.items()))
    shapes = [*(turn.state.get("shapes") or []), plan.shape]
    if changed.shape != plan.shape and changed.shape in shapes:
        return None
    return await propose(turn, changed, turn.revisions + 1, ask=revision.widens) | {"shapes": shapes}


async def _revise(turn: Turn, assessment: Assessment) -> Revision | None:
    """Return the model's decision.

    When the model gives no usable one, return another attempt at what failed; None when no attempt is left.
    """
    turn.hear()
    try:
        revision, _ = await turn.supervisor.revise(
            turn.calls,
            turn.state["task"],
            turn.plan,
            turn.outcomes,
            _problems(turn, assessment),
            turn.invocation.config,
            await turn.conversation(),
            turn.instructions,
        )
        return revision
    except PlanError:  # after all repairs; the run goes on by rule
        left = [i for i in assessment.failures if turn.plan.by_id[i].attempt < turn.limits.attempts]
        return Revision.retrying({i: failure_of(turn.outcomes[i]) for i in left}) if left else None


def _problems(turn: Turn, assessment: Assessment) -> list[str]:
    """Return what went wrong, as sentences."""
    failures = [f"{task_id} failed: {turn.outcomes[task_id].error}" for task_id in assessment.failures]
    return failures + list(assessment.exhausted.values())


async def _ask_human(turn: Turn, assessment: Assessment, problem: str = "") -> Update:
    """Ask a human, since nothing can be tried again without one. Where none is there, finish with what there is."""
    if turn.auto_approve:
        return await finish(turn, turn.plan, assessment, "limited")
    problems = _problems(turn, assessment) or gaps(turn.plan, turn.outcomes)
    if problem:
        problems = [problem, *problems]
    sub_tasks = [*assessment.failures, *assessment.exhausted_ids, *assessment.retries]
    review = steer_review(turn.memory_id, turn.plan, turn.state.get("round", 0), problems, sub_tasks, turn.task_number)
    return {"phase": "human_review", "review": review.model_dump(mode="json", exclude_defaults=True)}
