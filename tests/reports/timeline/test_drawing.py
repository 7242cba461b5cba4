"""The drawing of a timeline is plain HTML and SVG, in which every text is text."""

import re
from xml.etree import ElementTree

from hypothesis import given

from orchestrator.reports.history.task import TaskHistory
from orchestrator.reports.timeline.bars import Bar, Link, Row, Timeline
from orchestrator.reports.timeline.drawing import DENSITIES, Look, timeline_html
from orchestrator.reports.timeline.timeline import timeline_of
from tests.support.simulated_runs import BEGAN, simulated_runs

HOSTILE = "<script>alert(1)</script>\"'&\u202e\x1b[31m" + "x" * 100_000


def parsed(html: str) -> ElementTree.Element:
    return ElementTree.fromstring(html)


@given(simulated_runs())
def test_it_is_well_formed_without_styles_and_scripts(task: TaskHistory) -> None:
    for density in DENSITIES:
        html = timeline_html(timeline_of(task, BEGAN, is_running=False), Look(density))
        elements = list(parsed(html).iter())
        assert not {name for each in elements for name in each.attrib} & {"style", "onclick", "onload"}
        assert not {each.tag for each in elements} & {"script", "style"}
        rects = [each for each in elements if each.tag == "rect" and each.get("x", "").endswith("%")]
        assert all(0 <= float(each.attrib["x"][:-1]) <= 100 for each in rects)
        assert all(float(each.attrib["x"][:-1]) + float(each.attrib["width"][:-1]) <= 100.02 for each in rects)


def test_every_text_is_text() -> None:
    bar = Bar("model", 0, 9, HOSTILE, HOSTILE[:200])
    rows = [Row(HOSTILE, HOSTILE[:50], HOSTILE, "failed", [bar])]
    html = timeline_html(
        Timeline(10, rows, path=[Link(HOSTILE[:80], 0, 1)]), Look("roomy", link=lambda row: f"/?x={row[:60]}")
    )
    assert "<script" not in html
    assert not re.search("[\u202e\x1b]", html)
    parsed(html)


def test_each_row_is_a_link_with_its_name_and_the_selected_one_is_marked() -> None:
    rows = [Row("t1", "worker"), Row("t2", "coder", status="running")]
    html = timeline_html(Timeline(1, rows), Look(selected="t2", link=lambda row: f"?sub_task={row}"))
    links = [each for each in parsed(html).iter("a") if each.get("class") == "row"]
    assert [each.get("href") for each in links] == ["?sub_task=t1", "?sub_task=t2"]
    assert [each.get("aria-current") for each in links] == [None, "true"]
    assert "".join(links[1].itertext()) == "t2 coder running"


def test_a_label_stands_only_where_it_fits() -> None:
    def drawn(seconds: float) -> str:
        return timeline_html(Timeline(100, [Row("t", bars=[Bar("model", 0, seconds, "a long name", "all")])]))

    assert ">a long name</text>" in drawn(50)
    assert re.search(r">a l…</text>", drawn(5))
    assert "</text></svg></g>" not in drawn(1)


def test_only_the_wanted_rows_are_drawn() -> None:
    rows = [Row(f"t{number}") for number in range(1000)]
    html = timeline_html(Timeline(1, rows), Look(first=200, most=100))
    assert re.findall(r"<b>(t\d+)</b>", html) == [f"t{number}" for number in range(200, 300)]
