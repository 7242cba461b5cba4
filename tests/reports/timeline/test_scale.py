"""The axis counts the time at work, and a pause of days does not hide the rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.reports.timeline.bars import Gap
from orchestrator.reports.timeline.scale import Scale


@st.composite
def gaps(draw: st.DrawFn) -> tuple[float, list[Gap]]:
    times = sorted(draw(st.lists(st.floats(0, 1e6), max_size=12, unique=True)))
    end = max([*times, 0.0]) + draw(st.floats(0, 1e4))
    pairs = list(zip(times[::2], times[1::2], strict=False))
    return end, [Gap(began, ended, "") for began, ended in pairs]


@given(gaps(), st.lists(st.floats(0, 1), min_size=2))
def test_later_is_never_further_left(case: tuple[float, list[Gap]], shares: list[float]) -> None:
    end, pauses = case
    scale = Scale(end, pauses)
    places = [scale.at(share * end) for share in sorted(shares)]
    assert places == sorted(places)
    assert all(0 <= place <= 100 for place in places)


@given(gaps())
def test_ticks_are_few_and_in_order(case: tuple[float, list[Gap]]) -> None:
    ticks = Scale(*case).ticks()
    places = [place for place, _ in ticks]
    assert 1 <= len(ticks) <= 10
    assert places == sorted(places)
    assert len({words for _, words in ticks}) == len(ticks)


def test_a_pause_of_three_days_takes_a_small_part_of_the_width() -> None:
    scale = Scale(3 * 86400 + 20, [Gap(10, 3 * 86400 + 10, "")])
    assert scale.work == 20
    assert scale.at(10) == pytest.approx(46.3, abs=0.5)
    assert scale.at(3 * 86400 + 10) == pytest.approx(53.7, abs=0.5)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.004, ["0", "1 ms", "2 ms", "3 ms", "4 ms"]),
        (30, ["0", "5 s", "10 s", "15 s", "20 s", "25 s", "30 s"]),
        (150, ["0", "30 s", "1:00", "1:30", "2:00", "2:30"]),
        (7200, ["0", "15:00", "30:00", "45:00", "1:00 h", "1:15 h", "1:30 h", "1:45 h", "2:00 h"]),
    ],
)
def test_ticks_are_round_times(seconds: float, words: list[str]) -> None:
    assert [text for _, text in Scale(seconds).ticks()] == words
