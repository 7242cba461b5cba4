"""A report in HTML is one file to send: complete, linked, safe, and without anything from elsewhere."""

import re
import time
from pathlib import Path

import pytest

from orchestrator import OrchestratorClient
from orchestrator.control_characters import visible
from orchestrator.reports.report.report import report
from orchestrator.testing import TeamScript
from tests.reports.test_html import HOSTILE
from tests.support.reported import Shown, lakes, text_of, wide
from tests.support.teams import open_team, step

SVG = "{http://www.w3.org/2000/svg}"
DRAWN = {"svg", "text", "line", "rect", "g", "title", "text-anchor", "x", "y", "x1", "x2", "y1", "y2", "rx"}


def html_of(db: Path, thread: str = "t", **which: object) -> str:
    with OrchestratorClient(str(db)) as client:
        return client.report(thread, "html", **which)  # type: ignore[arg-type]


@pytest.fixture
def db(tmp_path: Path) -> Path:
    lakes(tmp_path / "x.db")
    return tmp_path / "x.db"


def test_it_tells_task_answer_plan_decisions_results_tools_and_cost(db: Path) -> None:
    shown = Shown(html_of(db))
    for part in ("Count the lakes.", "answer seven lakes", "found seven lakes", "sum seven lakes", "draft seven lakes"):
        assert part in shown.text
    assert 'look(place="south")' in shown.text
    assert "south: outside seven lakes" in shown.text
    decisions = text_of(shown.by_id["task-1-decisions"])
    assert re.search(r"\d{4}, \d\d:\d\d:\d\d mira rejected the result of sum", decisions)
    assert "reason seven lakes" in decisions
    assert "ScriptedModel" in text_of(shown.by_id["task-1-cost"])
    assert "agent-task-orchestrator" in text_of(shown.by_id["made"])
    assert {"#s1-1", "#s1-2"} <= {a.get("href") for a in shown.by_id["task-1-plan"].iter(f"{SVG}a")}, (
        "the plan is drawn"
    )
    timeline = shown.links(shown.by_id["task-1-timeline"])
    assert {"found seven lakes" in shown.target(href) for name, href in timeline.items() if "found" in name} == {True}


def test_the_answer_leads_to_the_result_and_to_the_tools_answer_that_it_rests_on(db: Path) -> None:
    shown = Shown(html_of(db))
    links = shown.links(shown.by_id["task-1-answer"])
    assert "found seven lakes" in shown.target(links["found"])
    assert "sum seven lakes" in shown.target(links["sum"])
    assert 'look(place="north seven lakes")' in shown.target(links["look"])
    [outside] = [href for name, href in links.items() if name.startswith("found: look(place='south')")]
    assert "south: outside seven lakes" in shown.target(outside)
    assert "north" not in shown.target(outside)


def test_every_link_leads_to_a_place_that_there_is_once(db: Path) -> None:
    shown = Shown(html_of(db))
    inside = [href for href in shown.links().values() if href.startswith("#")]
    assert len(shown.ids) == len(set(shown.ids))
    assert {href.removeprefix("#") for href in inside} <= set(shown.ids)
    assert len(inside) > 8


def test_it_loads_nothing_and_holds_no_script(tmp_path: Path) -> None:
    lakes(tmp_path / "x.db", "[page](https://lakes.example/a) ![pic](https://lakes.example/p.png) [no](javascript:x)")
    page = html_of(tmp_path / "x.db")
    shown = Shown(page)
    assert not {"script", "link", "img", "iframe", "object", "embed", "base", "form"} & shown.tags
    assert not {name for name in shown.attributes if name.startswith("on") or name in ("src", "srcset", "action")}
    assert not re.search(r"url\((?!#)|@import", page), "the style sheet fetches nothing"
    assert "default-src 'none'" in page, "a browser is told so too"
    outside = [element for element in shown.root.iter() if not element.get("href", "#").startswith("#")]
    assert {element.get("href") for element in outside} == {"https://lakes.example/a", "https://lakes.example/p.png"}
    assert {element.get("rel") for element in outside} == {"noopener noreferrer nofollow"}


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_becomes_no_markup(tmp_path: Path, text: str) -> None:
    lakes(tmp_path / "x.db", text, task=text)
    lakes(tmp_path / "x.db", "harmless", task="harmless", thread="harmless")
    shown, harmless = Shown(html_of(tmp_path / "x.db")), Shown(html_of(tmp_path / "x.db", "harmless"))
    # Which words fit into the bars of the timeline depends on how long the run took.
    assert shown.tags <= harmless.tags | {"a", "p", "br", *DRAWN}
    assert shown.attributes <= harmless.attributes | DRAWN
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e]", shown.text)
    for part in ("reason", "outside"):
        assert f"{part} {visible(text)}" in shown.text


def test_a_line_of_five_megabytes_is_shortened_and_says_so(tmp_path: Path) -> None:
    with open_team(TeamScript([step("a")], results={"a": "x" * 5_000_000}), tmp_path / "x.db") as team:
        team.run("Write much.", thread_id="t", auto_approve=True)
        page = team.report("t")
    assert len(page) < 1_000_000
    assert "4,900,000 further characters are not in this file" in Shown(page).text


def test_a_key_that_this_process_knows_is_taken_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKES_API_KEY", "k3y-0f-the-lakes")
    lakes(tmp_path / "x.db", "k3y-0f-the-lakes <b>")
    with OrchestratorClient(str(tmp_path / "x.db")) as client:
        forms = [client.report("t", form) for form in ("html", "md", "json")]  # type: ignore[arg-type]
    assert not any("k3y-0f" in form for form in forms)
    assert all("found ***" in form for form in forms)


def test_a_run_of_a_thousand_sub_tasks_is_megabytes_and_seconds() -> None:
    source = wide(1_000)
    began = time.process_time()
    page = report(source, "html")
    assert time.process_time() - began < 20, "a slow machine takes two"
    assert len(page) < 16_000_000
    assert len([name for name in Shown(page).ids if re.fullmatch(r"s1-\d+", name)]) == 1_000


def test_an_open_run_says_that_it_has_not_ended(tmp_path: Path) -> None:
    with open_team(TeamScript([step("a")]), tmp_path / "x.db") as team:
        team.run("Do it.", thread_id="t")
        shown = Shown(team.report("t"))
    assert "The run has not ended" in shown.text
    assert "open since" in text_of(shown.by_id["task-1-decisions"])
    assert "the run waits for a human" in text_of(shown.by_id["task-1-answer"])
