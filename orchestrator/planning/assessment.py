"""Assessment: how a finished round leaves the plan, by rules alone. Only failures need a model to decide."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from orchestrator.planning.outcome import Outcome
from orchestrator.planning.plan import Plan
from orchestrator.planning.sub_task import SubTask
from orchestrator.text import bare_words


@dataclass
class Assessment:
    """The demands of the outcomes of a round.

    Args:
        retries: Feedback by id of the sub-task that must be done again.
        failures: Ids of sub-tasks that failed by themselves.
        exhausted: Demands that cannot be met, as sentences, by the key of the outcome that makes the demand.
        exhausted_ids: Ids of the sub-tasks that these demands concern.
        stopped: True if a human stopped the run.
    """

    retries: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    exhausted: dict[str, str] = field(default_factory=dict)
    exhausted_ids: list[str] = field(default_factory=list)
    stopped: bool = False

    @property
    def is_clean(self) -> bool:
        """True if no sub-task failed, and nobody asked for a change."""
        return not (self.retries or self.failures or self.exhausted or self.stopped)


def current(plan: Plan, outcomes: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """Return the outcomes that belong to the plan as it is now."""
    return {task_id: o for task_id, o in outcomes.items() if task_id in plan.by_id and o.key == plan.keys[task_id]}


def assess(plan: Plan, outcomes: Mapping[str, Outcome], attempts: int) -> Assessment:
    """Read the outcomes of a plan.

    Args:
        plan: The plan.
        outcomes: By sub-task id; those of earlier versions do not count.
        attempts: Most tries at one sub-task.
    """
    assessment = Assessment()
    for task_id, outcome in current(plan, outcomes).items():
        if outcome.stop:
            assessment.stopped = True
        # Before `failed`: a rejected result has failed too, but its feedback says already what to do.
        elif outcome.rejected:
            _demand_change(assessment, plan, task_id, outcome, outcome.rejected, attempts)
        elif outcome.status == "failed":
            assessment.failures.append(task_id)
        elif outcome.verdict is not None and outcome.verdict.verdict == "changes_requested":
            verdict = outcome.verdict
            _demand_change(assessment, plan, verdict.sub_task_id, outcome, verdict.reason, attempts)
    return assessment


def _demand_change(
    assessment: Assessment, plan: Plan, target: str, outcome: Outcome, feedback: str, attempts: int
) -> None:
    """Add the demand of an outcome that a sub-task is done again."""
    if target not in plan.by_id:
        return
    task, is_own = (
        plan.by_id[target],
        outcome.id == target,
    )  # a human rejected the result itself; otherwise a reviewer judged another one
    if can_retry(task, feedback, attempts):
        collected = assessment.retries.get(target, "")
        assessment.retries[target] = joined_feedback([collected, feedback] if collected else [feedback])
    elif _is_repeated(task, feedback):
        assessment.exhausted[outcome.key] = (
            f"{target} was rejected again for the same reason: {feedback}"
            if is_own
            else f"{outcome.id} asks for the same change of {target} again: {feedback}"
        )
        assessment.exhausted_ids.append(target)
    else:
        assessment.exhausted[outcome.key] = (
            f"{target} was rejected after {attempts} attempts: {feedback}"
            if is_own
            else f"{outcome.id} asks for a change of {target}, which has had its {attempts} attempts: {feedback}"
        )
        assessment.exhausted_ids.append(target)


def can_retry(sub_task: SubTask, feedback: str, attempts: int) -> bool:
    """True if a sub-task can be done again with this feedback.

    Args:
        sub_task: The sub-task with its earlier feedback.
        feedback: The feedback.
        attempts: Most tries at one sub-task.
    """
    return sub_task.attempt < attempts and not _is_repeated(sub_task, feedback)


def _is_repeated(sub_task: SubTask, feedback: str) -> bool:
    # Repeating the same feedback would loop: it did not help the first time.
    return any(_contains(earlier, feedback) for earlier in sub_task.feedback)


def joined_feedback(texts: Iterable[str]) -> str:
    """Return several texts of feedback as one, without those that say the same."""
    collected = ""
    for text in texts:
        if not _contains(collected, text):  # two reviewers may ask for the same change
            collected = f"{collected}\n{text}" if collected else text
    return collected


def _contains(earlier: str, feedback: str) -> bool:
    """True if earlier feedback contains this one: alone, or as whole lines among those of several reviewers."""
    lines = [words for line in earlier.splitlines() if (words := bare_words(line))]
    sought = bare_words(feedback)
    # The same words may be broken into other lines, so a run of any length can hold them.
    runs = (itertools.accumulate(lines[start:], "{} {}".format) for start in range(len(lines)))
    return any(run == sought for run in itertools.chain.from_iterable(runs))


def renewed(plan: Plan, failed: Mapping[str, Outcome]) -> Plan:
    """Return the plan with another attempt at each sub-task that has failed under its very key.

    Args:
        plan: The plan that is about to be carried out.
        failed: Failed outcomes by key. Sub-tasks that were skipped because of them need no mention: their keys follow.
    """
    for task_id in plan.order:
        # An earlier plan may have tried the sub-task several times, so the next attempt may have failed as well.
        while (outcome := failed.get(plan.keys[task_id])) is not None:
            task = plan.by_id[task_id]
            # An attempt that a limit cut off has done nothing wrong, so it brings no feedback.
            plan = plan.replace(task.again() if outcome.limit else task.retry(failure_of(outcome)))
    return plan


def failure_of(outcome: Outcome) -> str:
    """Return the feedback for the next attempt after one that failed."""
    return f"The attempt before failed: {outcome.error}"


def gaps(plan: Plan, outcomes: Mapping[str, Outcome]) -> list[str]:
    """Return the gaps of an answer written now, as sentences."""
    lines = []
    finished = current(plan, outcomes)
    for task in plan.sub_tasks:
        outcome = finished.get(task.id)
        if outcome is None or outcome.status != "succeeded":
            problem = outcome.error if outcome is not None and outcome.error else "not done"
            lines.append(f"{task.id} ({task.description}): {problem}")
    return lines
