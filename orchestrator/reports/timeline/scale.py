"""Scale: the place of each moment on the axis, which counts the time in which the run was at work.

A run may wait for days until a human answers. Such a gap has a small width of its own, or nothing else could be seen.
"""

from bisect import bisect_right
from collections.abc import Sequence

from orchestrator.reports.timeline.bars import Gap

_WIDEST_GAP = 0.08  # of the time at work
_ALL_GAPS = 0.4
_SHORTEST_S = 0.001
_MOST_TICKS = 8
_STEPS = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400),
)


class Scale:
    """The axis of one timeline.

    Args:
        end: The end of the picture, in seconds.
        gaps: The times in which nothing ran, in order and apart from each other.
    """

    def __init__(self, end: float, gaps: Sequence[Gap] = ()) -> None:
        end = max(end, _SHORTEST_S)
        self.work = max(end - sum(gap.ended - gap.began for gap in gaps), _SHORTEST_S)
        widest = self.work * min(_WIDEST_GAP, _ALL_GAPS / max(1, len(gaps)))
        self._times, self._places = [0.0], [0.0]
        self._worked = [0.0]
        # Three lists of corners: the axis is a straight line between each two of them.
        for gap in gaps:
            self._add(gap.began, gap.began - self._times[-1], 1)
            self._add(gap.ended, min(widest, gap.ended - gap.began), 0)
        self._add(end, end - self._times[-1], 1)
        self._whole = self._places[-1] or 1.0

    def _add(self, time: float, width: float, is_work: int) -> None:
        self._times.append(time)
        self._places.append(self._places[-1] + width)
        self._worked.append(self._worked[-1] + is_work * width)

    def at(self, seconds: float) -> float:
        """Return the place of a moment, in percent of the width."""
        return min(100.0, 100 * self._between(self._times, self._places, seconds) / self._whole)

    def ticks(self) -> list[tuple[float, str]]:
        """Return places, in percent, with the time at work until there in words."""
        step = next((each for each in _STEPS if self.work / each <= _MOST_TICKS), 0) or _days(self.work)
        count = int(self.work / step + 1e-9)
        # A time that stands still is a gap, and the tick is at its beginning.
        places = (self._between(self._worked, self._places, number * step) for number in range(count + 1))
        return [
            (min(100.0, 100 * place / self._whole), _words(number * step, step)) for number, place in enumerate(places)
        ]

    @staticmethod
    def _between(known: Sequence[float], wanted: Sequence[float], value: float) -> float:
        at = min(max(bisect_right(known, value), 1), len(known) - 1)
        while at > 1 and known[at - 1] >= value:
            at -= 1
        low, high = known[at - 1], known[at]
        share = 0.0 if high <= low else min(max((value - low) / (high - low), 0.0), 1.0)
        return wanted[at - 1] + share * (wanted[at] - wanted[at - 1])


def _days(work: float) -> float:
    return 86400.0 * (1 + int(work / 86400 / _MOST_TICKS))


def _words(seconds: float, step: float) -> str:
    if seconds == 0:
        return "0"
    if step < 1:
        return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02} h"
    return f"{minutes}:{rest:02}" if minutes else f"{rest} s"
