"""A person follows a run on its timeline, and looks into its sub-tasks."""

from pathlib import Path
from typing import Any

from orchestrator.testing import Gate, TeamScript, say
from tests.server.test_app import with_thread
from tests.support.page import served
from tests.support.running import Running, planned
from tests.support.teams import open_team, step


def test_a_click_shows_a_sub_task_without_loading_the_page_anew(tmp_path: Path, page: Any) -> None:
    with served(with_thread(tmp_path)) as address:
        page.goto(f"{address}/thread?id=t")
        page.evaluate("window.isTheSame = true")
        page.locator("#row-a a").click()
        page.get_by_role("heading", name="Attempt 1").wait_for()
        assert page.locator("#row-a a").get_attribute("aria-current") == "true"
        page.get_by_text("Told", exact=True).click()
        page.get_by_text("count the lakes").last.wait_for()
        page.locator(".plan-graph a").first.focus()
        page.get_by_role("link", name="Close").press("Enter")
        page.get_by_text("Choose a row or a box").wait_for()
        page.go_back()
        page.get_by_role("heading", name="Attempt 1").wait_for()
        assert page.evaluate("window.isTheSame")
        assert "sub_task=a" in page.url


def test_bars_grow_while_a_run_works_and_the_page_fits_a_phone(tmp_path: Path, page: Any) -> None:
    gate = Gate()
    script = TeamScript([], results={"a": say("late").behind(gate)})
    page.set_viewport_size({"width": 390, "height": 844})
    with open_team(script, tmp_path / "x.db") as team, served(tmp_path / "x.db") as address:
        running = Running(team.run, "go", plan=planned(step("a"), step("b", "a")), thread_id="t")
        gate.entered.wait(20)
        team.steer("t", "go on")  # what is only noted is written with it
        page.goto(f"{address}/thread?id=t")
        page.locator("#row-a .is-running").wait_for()
        title = page.locator("#row-a .model.running title")
        before = title.text_content()
        page.wait_for_function(
            "before => document.querySelector('#row-a .running title')?.textContent !== before", arg=before
        )
        page.locator("#row-b .dependency").first.wait_for(state="attached")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        gate.release()
        assert running.result().status == "done"
        page.get_by_text("Decided the end:").wait_for()


def test_the_density_that_was_chosen_holds_for_the_next_thread(tmp_path: Path, page: Any) -> None:
    with served(with_thread(tmp_path)) as address:
        page.goto(f"{address}/thread?id=t")
        page.get_by_role("link", name="roomy").click()
        page.locator(".timeline.is-roomy").wait_for()
        page.goto(f"{address}/thread?id=t")
        page.locator(".timeline.is-roomy").wait_for()
