"""The critical path: the chain of work that decided when a run ended.

It is found backwards from the end by the recorded times: whatever ended last of all that a piece of work waited for is
the piece before it. A longest path through the plan would not know of slots, retries and humans.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestrator.reports.timeline.bars import Bar, Link

_SLACK_S = 0.05  # between the end of one piece of work and the next one, which are told by different tasks


@dataclass(slots=True)
class Work:
    """One piece of work: an attempt with the humans it waited for, or what the supervisor does at one time.

    Args:
        row: The id of its row.
        began: The beginning of the work, in seconds.
        ended: Its end, in seconds.
        bars: The bars that it is drawn as.
        needs: The sub-tasks that it waited for; None if it waited for whatever was there.
        had_no_slot: True if it had to wait for a slot after its dependencies.
    """

    row: str
    began: float
    ended: float
    bars: list[Bar] = field(default_factory=list)
    needs: frozenset[str] | None = None
    had_no_slot: bool = False


def critical_path(works: Sequence[Work]) -> list[Link]:
    """Mark the bars of the chain that decided the end, and return the chain, in order.

    Args:
        works: All pieces of work.
    """
    if not works:
        return []
    # Sorted once: a look at all works for each part of the chain would take the square of a thousand.
    in_order = sorted(works, key=lambda work: work.ended)
    ends = [work.ended for work in in_order]
    by_row: dict[str, list[Work]] = {}
    for work in in_order:
        by_row.setdefault(work.row, []).append(work)
    # Of all that goes on now, what began first will have taken longest.
    last = max(works, key=lambda work: (work.ended, -work.began))
    chain = [last]
    while (before := _before(chain[-1], in_order, ends, by_row)) is not None:
        chain.append(before)
    chain.reverse()
    for work in chain:
        for bar in work.bars:
            bar.is_critical = True
    return _links(chain)


def _before(work: Work, in_order: Sequence[Work], ends: Sequence[float], by_row: dict[str, list[Work]]) -> Work | None:
    """Return what ended last of all that a piece of work waited for."""
    latest = work.began + _SLACK_S
    if work.needs and not work.had_no_slot:
        needed = [each for name in work.needs for each in by_row.get(name, ())]
        if (before := _last(needed, work, latest)) is not None:
            return before
    at = bisect_right(ends, latest)
    while at > 0:
        at -= 1
        if _is_earlier(in_order[at], work):
            return in_order[at]
    return None


def _last(works: Sequence[Work], work: Work, latest: float) -> Work | None:
    ended = [each for each in works if each.ended <= latest and _is_earlier(each, work)]
    return max(ended, key=lambda each: each.ended, default=None)


def _is_earlier(one: Work, other: Work) -> bool:
    # Strictly, or two pieces of work of no length would each be before the other.
    return one is not other and (one.began, one.ended) < (other.began, other.ended) and one.began < other.began


def _links(chain: Sequence[Work]) -> list[Link]:
    """Return the parts of a chain. Work of one row in a row is one part."""
    links: list[Link] = []
    for work in chain:
        human = _covered([(bar.began, bar.ended) for bar in work.bars if bar.kind == "human"])
        if links and links[-1].row == work.row and work.row.startswith(":"):
            links[-1].ended = max(links[-1].ended, work.ended)
            links[-1].human += human
        else:
            links.append(Link(work.row, work.began, work.ended, human))
    return links


def _covered(times: Sequence[tuple[float, float]]) -> float:
    """Return the seconds in which at least one of these times goes on."""
    covered, until = 0.0, 0.0
    for began, ended in sorted(times):
        covered += max(0.0, ended - max(began, until))
        until = max(until, ended)
    return covered
