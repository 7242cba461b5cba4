"""Assessment: what a finished round means for the plan, by rules alone. Only failures need a model to decide."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.planning.outcome import Outcome
from orchestrator.planning.plan import Plan
from orchestrator.text import same_words


@dataclass
class Assessment:
    """What the outcomes ask for.

    Args:
        retries: Feedback by id of the sub-task that must be done again.
        failures: Ids of sub-tasks that failed by themselves.
        exhausted: What cannot be tried again, as sentences, by the key of the outcome that asked for it.
        stopped: Whether a human said stop.
    """

    retries: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    exhausted: dict[str, str] = field(default_factory=dict)
    exhausted_ids: list[str] = field(default_factory=list)
    stopped: bool = False

    @property
    def is_clean(self) -> bool:
        """Whether every sub-task succeeded and nobody asked for a change."""
        return not (self.retries or self.failures or self.exhausted or self.stopped)


def current(plan: Plan, outcomes: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """The outcomes that belong to the plan as it is now."""
    return {task_id: o for task_id, o in outcomes.items() if task_id in plan.by_id and o.key == plan.keys[task_id]}


def assess(plan: Plan, outcomes: Mapping[str, Outcome], attempts: int) -> Assessment:
    """Reads the outcomes of a plan.

    Args:
        plan: The plan.
        outcomes: By sub-task id; those of earlier versions do not count.
        attempts: Most tries at one sub-task.
    """
    found = Assessment()
    for task_id, outcome in current(plan, outcomes).items():
        if outcome.stop:
            found.stopped = True
        elif outcome.rejected:
            _ask_again(found, plan, task_id, outcome, outcome.rejected, attempts)
        elif outcome.status == "failed":
            found.failures.append(task_id)
        elif outcome.verdict is not None and outcome.verdict.verdict == "changes_requested":
            _ask_again(found, plan, outcome.verdict.sub_task_id, outcome, outcome.verdict.reason, attempts)
    return found


def _ask_again(found: Assessment, plan: Plan, target: str, outcome: Outcome, feedback: str, attempts: int) -> None:
    if target not in plan.by_id:
        return
    # Sent back with the same words it would go to and fro: what they brought the first time is what they bring.
    if any(_says(told, feedback) for told in plan.by_id[target].feedback):
        found.exhausted[outcome.key] = (
            f"{outcome.id} asks for the same change of {target} again: {feedback}"
            if outcome.id != target
            else f"{target} was rejected again for the same reason: {feedback}"
        )
        found.exhausted_ids.append(target)
    elif plan.by_id[target].attempt >= attempts:
        found.exhausted[outcome.key] = (
            f"{outcome.id} asks for a change of {target}, which has had its {attempts} attempts: {feedback}"
            if outcome.id != target
            else f"{target} was rejected after {attempts} attempts: {feedback}"
        )
        found.exhausted_ids.append(target)
    else:
        before = found.retries.get(target, "")
        if not _says(before, feedback):
            found.retries[target] = f"{before}\n{feedback}" if before else feedback


def _says(told: str, feedback: str) -> bool:
    """Whether the feedback is there already: alone, or as whole lines among those of several reviewers."""
    lines, wanted = ([line for line in text.splitlines() if line.strip()] for text in (told, feedback))
    places = range(len(lines) - len(wanted) + 1)
    return any(same_words("\n".join(lines[at : at + len(wanted)]), feedback) for at in places)


def renewed(plan: Plan, failed: Mapping[str, Outcome]) -> Plan:
    """The plan with another attempt in place of what failed under the very key that it would have again.

    Args:
        plan: The plan that is about to be carried out.
        failed: What failed, by key. What was skipped because of it needs no mention: its key follows.
    """
    for task_id in plan.order:
        while (outcome := failed.get(plan.keys[task_id])) is not None:
            task = plan.by_id[task_id]
            plan = plan.replace(task.again() if outcome.limit else task.retry(failure_of(outcome)))
    return plan


def failure_of(outcome: Outcome) -> str:
    """What the next attempt is told of one that failed."""
    return f"The attempt before failed: {outcome.error}"


def gaps(plan: Plan, outcomes: Mapping[str, Outcome]) -> list[str]:
    """What an answer written now would lack, as sentences."""
    lines = []
    now = current(plan, outcomes)
    for task in plan.sub_tasks:
        outcome = now.get(task.id)
        if outcome is None or outcome.status != "succeeded":
            why = outcome.error if outcome is not None and outcome.error else "not done"
            lines.append(f"{task.id} ({task.description}): {why}")
    return lines
