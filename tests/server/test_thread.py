"""The page of a thread tells what happened when, and shows it at once however large the plan is."""

import html
import re
from pathlib import Path
from typing import Any

from orchestrator import Decision, Limits, Review
from orchestrator.testing import TeamScript, call, say
from tests.server.test_app import HOSTILE, with_thread
from tests.support.page import page_of
from tests.support.teams import open_team, step, writer


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
    assert "<summary>From 250 results</summary>" in page.get("/thread?id=t").text, "or the timeline would be far below"


def test_the_details_of_a_sub_task_tell_all_that_happened(tmp_path: Path) -> None:
    back = {"reason": "count the rivers too", "verdict": "changes_requested", "sub_task_id": "a"}
    verdicts = {"c": [back, {"reason": "good", "verdict": "accept", "sub_task_id": ""}]}
    results: dict[Any, Any] = {"a": [call("write", text="lakes"), say("3 lakes")], ("a", 2): "3 lakes, 2 rivers"}
    plan = [step("a", agent="tooled"), step("c", "a", agent="reviewer")]

    def approve(review: Review) -> Decision:
        return Decision(review_id=review.id, action="approve", by="mira")

    with open_team(TeamScript(plan, results=results, verdicts=verdicts), tmp_path / "x.db", writer([])) as team:
        team.run("count the waters", thread_id="t", on_review=approve)
    page = page_of(tmp_path / "x.db")
    shown = text_of(page.get("/thread?id=t&sub_task=a").text)
    for words in (
        "Attempt 2 succeeded",
        "Attempt 1 succeeded does not count any more",
        "Not accepted by the review c: count the rivers too",
        "May sub-task a call the tool 'write'? approve by mira",
        "1 tool call write",
        "wrote lakes",
        "You use tools.",
        "count the waters",
        "tokens in",
        "calls write",
    ):
        assert words in shown
    assert "changes_requested of a: count the rivers too" in text_of(page.get("/thread?id=t&sub_task=c").text)
    assert "supervisor: writes the answer" in text_of(page.get("/thread?id=t&sub_task=:answer").text)
    assert "Choose a row" in text_of(page.get("/thread?id=t&sub_task=zz").text)


def test_a_long_text_is_shortened_and_whole_at_an_address_of_its_own(tmp_path: Path) -> None:
    long = HOSTILE + "x" * 5_000_000
    page = page_of(with_thread(tmp_path, long))
    shown = page.get("/thread?id=t&sub_task=a").text
    assert len(shown) < 100_000
    [address] = {html.unescape(each) for each in re.findall(r'href="(/thread/text\?[^"]+part=result[^"]*)"', shown)}
    whole = page.get(address)
    assert whole.headers["content-type"] == "text/plain; charset=utf-8"
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert len(whole.text) > 5_000_000
    assert not re.search("[\u202e\x1b]", whole.text)


def test_a_text_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    page = page_of(with_thread(tmp_path))
    for query in ("sub_task=zz&part=message", "sub_task=a&part=zz", "sub_task=a&part=message&attempt=7", "", "task=9"):
        assert page.get(f"/thread/text?id=t&{query}").status_code == 404
    assert "do a" in page.get("/thread/text?id=t&sub_task=a&part=message").text
    assert page.get("/thread/text?id=none&sub_task=a&part=message").status_code == 404


def text_of(page: str) -> str:
    """Return the words of a page."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())
