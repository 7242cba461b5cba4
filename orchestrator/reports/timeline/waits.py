"""Waits of a sub-task as bars that say why nothing worked."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

from orchestrator.reports.history.task import AttemptHistory
from orchestrator.reports.history.uses import Asked, ModelUse, Wait
from orchestrator.reports.timeline.bars import Bar, BarKind
from orchestrator.reports.wording import seconds_text
from orchestrator.text import normal_text, shorten

_MOST_NAMES = 6
_QUESTION_CHARS = 200
_LEAST_S = 0.02  # the moment in which a sub-task looks at results that are there already is no wait
_OTHER = {"slot": "no slot free", "rate": "rate limit", "service": "the model's service is busy: tries again"}
_KINDS: dict[str, BarKind] = {"dependency": "dependency", "rate": "rate", "service": "retry"}

Clock = Callable[[datetime], float]
"""Returns the seconds of a time since the beginning of the task."""


def wait_bars(
    attempt: AttemptHistory, clock: Clock, end: float, ends: Mapping[str, Sequence[float]], reader: str
) -> Iterator[Bar]:
    """Yield the waits of an attempt that were told.

    Args:
        attempt: The attempt.
        clock: The seconds of a time.
        end: The end of what goes on.
        ends: The ends of the attempts at each sub-task, in seconds and in order.
        reader: Who reads the picture, as in "asks you".
    """
    # By the questions, since several of one sub-task may be open at once, and only the newest has a wait.
    asked = {str(each.review.get("id", "")) for each in attempt.reviews}
    for each in attempt.reviews:
        until = each.answered or attempt.ended
        times = clock(each.asked), end if until is None else clock(until)
        if times[1] > times[0]:  # a decision may be older than its question: the gates ask again after a crash
            yield human_bar(each, clock, times, reader, is_open=until is None)
    for group in _groups(attempt.waits):
        first, last = group[0], group[-1]
        began = clock(first.began)
        until = last.ended or attempt.ended
        ended = end if until is None else clock(until)
        if first.reason == "human" and asked.issuperset(last.names):
            continue
        if until is not None and ended - began < _LEAST_S:
            continue
        if first.reason == "human":
            yield human_bar(None, clock, (began, ended), reader, is_open=until is None)
            continue
        if first.reason == "dependency":
            words = _dependency_words(group, ended, ends, is_open=until is None)
        else:
            words = _OTHER.get(first.reason, first.reason)
        kind = _KINDS.get(first.reason, "slot")
        title = f"{words}, {seconds_text(ended - began)}"
        yield Bar(kind, began, ended, words, title, "running" if until is None else "")


def human_bar(asked: Asked | None, clock: Clock, times: tuple[float, float], reader: str, *, is_open: bool) -> Bar:
    """Return the wait for the answer to a question.

    Args:
        asked: The question; None if it is not known.
        clock: The seconds of a time.
        times: The beginning and the end of the wait.
        reader: Who reads the picture.
        is_open: True if it goes on.
    """
    began, ended = times
    question, who = "", reader if is_open else "a human"
    if asked is not None:
        question = f": {shorten(normal_text(short_question(asked)), _QUESTION_CHARS)}"
        who = asked.by or who
    words = f"asks {who}{question}" if is_open else f"asked {who}{question}"
    answer = f", {asked.decision.get('action', '')}" if asked is not None and asked.decision else ""
    title = f"{words}, {seconds_text(ended - began)}{answer}"
    return Bar("human", began, ended, words, title, "running" if is_open else "")


def short_question(asked: Asked) -> str:
    """Return a question in a few words: those of a tool call name the tool."""
    subject = asked.review.get("subject") or {}
    if asked.review.get("kind") == "tool" and (tool := subject.get("tool")):
        return f"run {tool}?"
    return str(asked.review.get("question", ""))


def retry_bars(uses: Sequence[ModelUse], clock: Clock) -> Iterator[Bar]:
    """Yield the times between a request that failed and the next one, in which the endpoint is left alone."""
    for before, after in itertools.pairwise(uses):
        if before.error and before.ended is not None and before.call != after.call:
            began, ended = clock(before.ended), clock(after.began)
            if ended - began >= _LEAST_S:
                words = f"tries again after {before.error_type or 'a failure'}"
                title = f"{words}, {seconds_text(ended - began)}: {shorten(normal_text(before.error), _QUESTION_CHARS)}"
                yield Bar("retry", began, ended, words, title)


def told_waits(uses: Sequence[ModelUse], clock: Clock) -> Iterator[Bar]:
    """Yield the waits for a rate limit of which requests themselves tell, as those of the supervisor do."""
    for use in uses:
        if (seconds := float(use.waited.get("rate") or 0)) >= _LEAST_S:
            began = clock(use.began)
            yield Bar("rate", max(0.0, began - seconds), began, "rate limit", f"rate limit, {seconds_text(seconds)}")


def _groups(waits: Sequence[Wait]) -> Iterator[list[Wait]]:
    """Yield the waits that are one: for fewer and fewer dependencies, or told again by another process."""
    group: list[Wait] = []
    for wait in waits:
        is_same = bool(group) and wait.reason == group[-1].reason
        if is_same and (wait.reason != "human" or wait.names == group[-1].names):
            group.append(wait)
            continue
        if group:
            yield group
        group = [wait]
    if group:
        yield group


def _dependency_words(
    group: Sequence[Wait], ended: float, ends: Mapping[str, Sequence[float]], *, is_open: bool
) -> str:
    names = list(dict.fromkeys(name for wait in group for name in wait.names))
    verb = "waits" if is_open else "waited"
    remaining = group[-1].names if is_open else [last_of(names, ended, ends)]
    if len(names) == 1 or len(remaining) != 1:
        return f"{verb} for {_listed(remaining or names)}"
    return f"{verb} for {remaining[0]}, the last of {_listed(names)}"


def last_of(names: Sequence[str], until: float, ends: Mapping[str, Sequence[float]]) -> str:
    """Return the sub-task that ended last before a time.

    Args:
        names: The sub-tasks.
        until: The time, in seconds.
        ends: The ends of the attempts at each sub-task, in seconds and in order.
    """

    def end_of(name: str) -> float:
        return max((each for each in ends.get(name, ()) if each <= until + _LEAST_S), default=-1.0)

    return max(names, key=end_of)


def _listed(names: Sequence[str]) -> str:
    shown = " ".join(names[:_MOST_NAMES])
    return shown if len(names) <= _MOST_NAMES else f"{shown} and {len(names) - _MOST_NAMES} more"
