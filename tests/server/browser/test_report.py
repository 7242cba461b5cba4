"""A report in a real browser: it is read as it was written, fetches nothing, and its links open what they name."""

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from orchestrator import OrchestratorClient
from tests.support.reported import lakes


def test_a_report_opens_from_a_file_fetches_nothing_and_leads_to_the_tools_answer(page: Any, tmp_path: Path) -> None:
    lakes(tmp_path / "x.db", "<img src=http://127.0.0.1:9/x> ![p](http://127.0.0.1:9/y)")
    with OrchestratorClient(str(tmp_path / "x.db")) as client:
        report = client.report("t")
    (tmp_path / "run.html").write_text(report)
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(f"file://{tmp_path}/run.html")
    assert asked == [f"file://{tmp_path}/run.html"]
    assert complaints == []
    # A browser mends what is not valid, and would then have other elements.
    assert page.evaluate("document.querySelectorAll('*').length") == len(list(ET.fromstring(report).iter()))
    page.locator("#task-1-answer").get_by_role("link", name="look", exact=True).click()
    assert page.url.endswith("#s1-1-a1-c1")
    call = page.locator("#s1-1-a1-c1")
    assert call.is_visible()
    assert "look(place=" in call.inner_text()


def test_a_report_fits_a_phone(page: Any, tmp_path: Path) -> None:
    lakes(tmp_path / "x.db", "a_long_word_without_end_" * 40)
    with OrchestratorClient(str(tmp_path / "x.db")) as client:
        (tmp_path / "run.html").write_text(client.report("t"))
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"file://{tmp_path}/run.html")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
