"""The supervisor's requests and the questions about the whole run as bars: planning above, writing below."""

from collections.abc import Iterator

from orchestrator.reports.history.task import TaskHistory
from orchestrator.reports.history.uses import ModelUse
from orchestrator.reports.timeline.bars import Bar
from orchestrator.reports.timeline.waits import Clock, human_bar, retry_bars, told_waits
from orchestrator.reports.timeline.work import WorkBars

PLAN, ANSWER = ":plan", ":answer"
_PLANS, _DECIDES, _WRITES = "plans", "decides", "writes"


def supervisor_bars(task: TaskHistory, work: WorkBars, clock: Clock, end: float, reader: str) -> list[tuple[str, Bar]]:
    """Return the bars of the supervisor, each with the id of its row, in the order of their beginnings.

    Args:
        task: The task.
        work: Makes the bars of requests.
        clock: The seconds of a time.
        end: The end of the picture, in seconds.
        reader: Who is asked, in the words of a question that is open.
    """
    purposes = _purposes(task)
    bars = [
        (_row_of(purpose), work.model(use, purpose)) for use, purpose in zip(task.supervisor, purposes, strict=True)
    ]
    bars += [(PLAN, bar) for bar in _questions(task, clock, end, reader)]
    for row in (PLAN, ANSWER):
        uses = row_of_uses(task, row)
        bars += [(row, bar) for bar in (*retry_bars(uses, clock), *told_waits(uses, clock))]
    return sorted(bars, key=lambda each: (each[1].began, each[1].ended))


def row_of_uses(task: TaskHistory, row: str) -> list[ModelUse]:
    """Return the supervisor's requests that stand in one of its two rows."""
    return [use for use, purpose in zip(task.supervisor, _purposes(task), strict=True) if _row_of(purpose) == row]


def _row_of(purpose: str) -> str:
    return ANSWER if purpose == _WRITES else PLAN


def _purposes(task: TaskHistory) -> list[str]:
    """Return what each request was for. A history tells only when it was made."""
    planned = task.plans[0][0] if task.plans else None
    last_work = max((each.ended for each in task.attempts if each.ended is not None), default=None)
    last_plan = task.plans[-1][0] if task.plans else None

    def purpose(use: ModelUse) -> str:
        if planned is None or use.began < planned:
            return _PLANS
        is_late = last_work is not None and use.began >= last_work and (last_plan is None or use.began >= last_plan)
        return _WRITES if is_late and _asks_for_answer(use) else _DECIDES

    return [purpose(use) for use in task.supervisor]


def _asks_for_answer(use: ModelUse) -> bool:
    # By the request's own words behind the results: the task of a user may hold any words.
    asked = str(use.prompt[-1].get("text", "")) if use.prompt else ""
    return "Write the final answer" in asked.rpartition("The results of the sub-tasks:")[2]


def _questions(task: TaskHistory, clock: Clock, end: float, reader: str) -> Iterator[Bar]:
    for asked in task.reviews:
        if asked.review.get("sub_task_id"):
            continue
        began = clock(asked.asked)
        until = asked.answered or task.ended
        ended = end if until is None else max(began, clock(until))
        yield human_bar(asked, clock, (began, ended), reader, is_open=until is None)
