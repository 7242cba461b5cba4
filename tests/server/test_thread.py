"""The page of a thread tells what happened when, and shows it at once however large the plan is."""

import re
from pathlib import Path

from orchestrator import Limits
from orchestrator.testing import TeamScript
from tests.server.test_app import HOSTILE, with_thread
from tests.support.page import page_of
from tests.support.teams import open_team, step


def test_a_thread_has_a_timeline_whose_rows_lead_to_details(tmp_path: Path) -> None:
    page = page_of(with_thread(tmp_path))
    shown = page.get("/thread?id=t").text
    assert re.findall(r'<a class="row" href="([^"]+)"', shown)[1] == "/thread?id=t&amp;sub_task=a#details"
    assert "Decided the end: " in shown
    chosen = page.get("/thread?id=t&sub_task=a").text
    assert len(re.findall(r'<a class="row" aria-current="true"', chosen)) == 1


def test_the_density_is_in_the_address_or_remembered(tmp_path: Path) -> None:
    page = page_of(with_thread(tmp_path))
    assert '<div class="timeline is-normal">' in page.get("/thread?id=t").text
    assert '<div class="timeline is-roomy">' in page.get("/thread?id=t&density=roomy").text
    assert (
        '<div class="timeline is-compact">'
        in page.get("/thread?id=t", headers={"cookie": "orchestrator_density=compact"}).text
    )
    assert '<div class="timeline is-normal">' in page.get("/thread?id=t&density=huge").text


def test_a_hostile_name_of_a_selected_sub_task_is_text(tmp_path: Path) -> None:
    shown = page_of(with_thread(tmp_path)).get("/thread", params={"id": "t", "sub_task": HOSTILE, "rows": "-1"}).text
    assert not re.search("<script>|<img|\u202e|\x1b", shown)


def test_a_large_plan_shows_a_part_of_its_rows(tmp_path: Path) -> None:
    plan = [step(f"s{number}") for number in range(250)]
    with open_team(TeamScript(plan), tmp_path / "x.db", limits=Limits(sub_tasks=250)) as team:
        team.run("many", thread_id="t", auto_approve=True)
    page = page_of(tmp_path / "x.db")

    def rows(path: str) -> list[str]:
        return re.findall(r'<li id="row-([^"]+)"', page.get(path).text)

    first, second = rows("/thread?id=t"), rows("/thread?id=t&rows=2")
    assert [len(first), len(second)] == [200, 52]
    assert second[-2:] == ["s249", "-answer"]
    assert rows("/thread?id=t&sub_task=s249") == second, "the page of the selected one"
