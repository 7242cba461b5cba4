"""Lines that tell what came of sub-tasks, why some failed, which ones run now, and what the others wait for."""

from collections.abc import Iterator
from datetime import UTC, datetime

from orchestrator.reports.history.task import AttemptHistory, TaskHistory
from orchestrator.reports.wording import WAIT_WORDS, called, seconds_text
from orchestrator.runs.run import Run
from orchestrator.text import normal_text, shorten

_MOST = 200


def progress_lines(run: Run, history: TaskHistory | None, *, is_running: bool) -> Iterator[str]:
    """Yield the lines, in the order of the plan.

    Args:
        run: The thread.
        history: What happened; None for a thread without a journal.
        is_running: True if a process runs the thread now.
    """
    # Nothing waits for its dependencies before a human has taken the plan.
    if any(review.kind == "plan" for review in run.reviews):
        return
    asked = {review.sub_task_id: review.id for review in run.reviews if review.sub_task_id}
    newest = {attempt.sub_task: attempt for attempt in history.attempts} if history is not None else {}
    for task in run.plan or ():
        outcome, attempt = run.outcomes.get(task.id), newest.get(task.id)
        if outcome is not None and outcome.status in ("failed", "skipped"):
            why = outcome.rejected or outcome.error
            yield f"{task.id} {outcome.status}" + (f": {shorten(normal_text(why), _MOST)}" if why else "")
        elif outcome is not None:
            if (result := run.results.get(task.id)) is not None:
                yield f"{task.id}: {shorten(normal_text(result.text), _MOST)}"
        elif task.id in asked:
            yield f"{task.id} waits for a human: {asked[task.id]}"
        elif waited := [dep for dep in task.depends_on if not _has_succeeded(run, dep)]:
            yield f"{task.id} waits for {', '.join(waited)}"
        # The journal of a killed process has no end of what was at work.
        elif attempt is not None and attempt.began is not None and attempt.ended is None:
            yield f"{task.id} {_doing(attempt)}" if is_running else f"{task.id} was at work when the run was cut off"
        elif is_running:
            yield f"{task.id} waits for {_reason(attempt)}"


def _has_succeeded(run: Run, task_id: str) -> bool:
    outcome = run.outcomes.get(task_id)
    return outcome is not None and outcome.status == "succeeded"


def _doing(attempt: AttemptHistory) -> str:
    """Return what a worker does now."""
    # A tool that works is more telling than the model that has called it.
    tool = next((use for use in reversed(attempt.tool_uses) if use.ended is None), None)
    model = next((use for use in reversed(attempt.models) if use.ended is None), None)
    if tool is not None:
        return f"runs {called(tool.tool, tool.args, 80)}, {_since(tool.began)}"
    if model is not None:
        return f"asks {model.model}, {_since(model.began)}"
    return f"runs, {_since(attempt.began or datetime.now(UTC))}"


def _since(at: datetime) -> str:
    return f"for {seconds_text((datetime.now(UTC) - at).total_seconds())}"


def _reason(attempt: AttemptHistory | None) -> str:
    wait = next((each for each in reversed(attempt.waits) if each.ended is None), None) if attempt else None
    return WAIT_WORDS.get(wait.reason if wait else "", "its worker")
