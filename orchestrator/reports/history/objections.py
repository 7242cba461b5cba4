"""Objections: why a result was rejected or sent back, and by whom."""

from dataclasses import dataclass

from orchestrator.reports.history.task import AttemptHistory, TaskHistory


@dataclass(frozen=True)
class Objection:
    """One reason for which a result does not stand.

    Args:
        by: The user, the reviewing sub-task, or `the supervisor`.
        text: The reason.
    """

    by: str
    text: str


def objections_to(task: TaskHistory, attempt: AttemptHistory) -> list[Objection]:
    """Return why an attempt's result was rejected or sent back, in order; nothing if it stands.

    Args:
        task: The task.
        attempt: One of its attempts.
    """
    # A worker answers a rejection in the same attempt, as long as it has steps left.
    objections = [
        Objection(asked.by or "a human", str(asked.decision.get("text", "")))
        for asked in attempt.reviews
        if asked.review.get("kind") == "result" and asked.decision.get("action") == "reject"
    ]
    rejected = str(attempt.outcome.get("rejected") or "")
    if rejected and all(each.text != rejected for each in objections):
        objections.append(Objection("a human", rejected))
    # Rejected by a human, it is sent back with the same words.
    if attempt.sent_back and all(each.text != attempt.sent_back for each in objections):
        reviewer = f"the review {attempt.sent_back_by}" if attempt.sent_back_by else "a review"
        objections.append(Objection(reviewer, attempt.sent_back))
    known = {each.text for each in objections} | set(_feedback(attempt))
    # A revised plan tries a sub-task again with the supervisor's words, which only the next attempt has.
    for text in _feedback(_next(task, attempt)):
        if text not in known:
            objections.append(Objection("the supervisor", text))
    return objections


def _next(task: TaskHistory, attempt: AttemptHistory) -> AttemptHistory | None:
    attempts = task.attempts_at(attempt.sub_task)
    after = [each for each in attempts[attempts.index(attempt) + 1 :] if each.attempt > attempt.attempt]
    return after[0] if after else None


def _feedback(attempt: AttemptHistory | None) -> list[str]:
    feedback = attempt.feedback if attempt is not None else ()
    return [str(text) for text in ([feedback] if isinstance(feedback, str) else feedback or ()) if text]
