"""A run is started, told something, cancelled and resumed by clicking, while it works."""

import re
from pathlib import Path
from typing import Any

from orchestrator.testing import Gate, TeamScript, say
from tests.support.page import served
from tests.support.teams import make_team, step


def test_a_run_is_started_told_something_cancelled_and_resumed(page: Any, tmp_path: Path) -> None:
    gate = Gate()
    script = TeamScript([step("a")], results={"a": say("seven").behind(gate)}, summary="7 lakes [a]")

    def mine(docs: str = "") -> Any:
        """Counts lakes."""
        return make_team(script)

    (tmp_path / "lakes.md").write_text("# Lakes")
    with served(tmp_path / "x.db", teams={"mine": mine}) as address:
        page.goto(address)
        page.get_by_role("link", name="New run").click()
        page.get_by_label("Task").fill("Count the lakes")
        page.get_by_label("Or files from here").set_input_files(tmp_path / "lakes.md")
        page.get_by_label("Budget").fill("much")
        page.get_by_label("Ask nobody").check()
        page.get_by_role("button", name="Start the run").click()
        assert "this is no amount" in page.get_by_role("alert").inner_text()
        assert page.get_by_label("Task").input_value() == "Count the lakes"
        assert page.get_by_text("Kept from before: lakes.md").is_visible()
        page.get_by_label("Budget").fill("200k")
        page.get_by_role("button", name="Start the run").dblclick()
        page.wait_for_url(re.compile(r"/thread\?id=count-the-lakes-"))
        gate.entered.wait(20)

        page.get_by_label("Instruction").fill("count the rivers too")
        page.get_by_role("button", name="Tell it").click()
        page.get_by_text("Told so far: 1").wait_for()
        page.get_by_role("button", name="Cancel the run").click()
        page.locator(".badge.is-interrupted").first.wait_for()
        gate.release()
        page.get_by_role("button", name="Resume").press("Enter")
        page.get_by_text("7 lakes").first.wait_for()  # the page is live: nobody has loaded it again
        page.get_by_label("Next task on this thread").wait_for()

        page.get_by_role("link", name="Threads").click()
        assert page.locator("ol.threads > li").count() == 1
