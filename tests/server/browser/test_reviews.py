"""Reviews are answered by clicking, while their run goes on."""

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestrator import Budget
from orchestrator.events import ReviewAsked
from orchestrator.testing import Gate, TeamScript, call, say
from tests.support.page import served
from tests.support.running import LIMIT_S, Running, planned
from tests.support.teams import open_team, step, writer


def waiting_person(ended: threading.Event) -> Callable[[Any], None]:
    """Return an `on_review` of a person who answers nothing, so that the run waits for an answer from elsewhere."""

    def on_review(_: Any) -> None:
        ended.wait(LIMIT_S)

    return on_review


def test_a_result_is_approved_and_its_branch_goes_on_at_once(tmp_path: Path, page: Any) -> None:
    gate, plan = Gate(), planned(step("a", approval=True), step("slow"), step("after", "a"))
    script = TeamScript([], results={"slow": say("slow").behind(gate)})
    with open_team(script, tmp_path / "x.db") as team, served(tmp_path / "x.db") as address:
        page.goto(f"{address}/inbox")
        page.get_by_text("Nothing waits for a human.").wait_for()
        running = Running(team.run, "go", plan=plan, thread_id="t")
        # The inbox is live: the review appears by itself.
        page.get_by_text("holds up 2 of 3 sub-tasks").wait_for()
        page.get_by_text("slow goes on").wait_for()
        page.get_by_role("button", name="Approve").click()
        running.seen.until_status("after", "succeeded")
        assert not running.seen.has_status("slow", "succeeded")
        page.get_by_text("Nothing waits for a human.").wait_for()
        gate.release()
        assert running.result().status == "done"


def test_a_tool_is_refused_with_a_reason_by_the_keyboard_at_a_phones_width(tmp_path: Path, page: Any) -> None:
    gate, effects = Gate(), list[str]()
    plan = planned(step("a", agent="tooled"), step("slow"))
    script = TeamScript([], results={"a": [call("write", text="hello"), say("gave up")], "slow": say("s").behind(gate)})
    page.set_viewport_size({"width": 390, "height": 844})
    with open_team(script, tmp_path / "x.db", writer(effects)) as team, served(tmp_path / "x.db") as address:
        running = Running(team.run, "go", plan=plan, thread_id="t")
        running.seen.until_asked("a")
        page.goto(f"{address}/thread?id=t")
        assert page.evaluate("document.documentElement.scrollWidth <= 390"), "nothing is wider than the phone"
        page.get_by_text("Reject…").focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        page.keyboard.type("use paper")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        running.seen.until_status("a", "succeeded")
        # What was decided is listed in the thread.
        page.get_by_text(re.compile("^Answered")).click()
        page.get_by_text("use paper", exact=True).wait_for()
        gate.release()
        assert running.result().status == "done"
    assert effects == []


def test_a_plan_is_edited_looked_at_and_carried_out(tmp_path: Path, page: Any) -> None:
    ended = threading.Event()
    script = TeamScript([step("a"), step("b", "a"), step("c", "b")])
    with open_team(script, tmp_path / "x.db") as team, served(tmp_path / "x.db") as address:
        running = Running(team.run, "go", thread_id="t", on_review=waiting_person(ended))
        running.seen.until(lambda event: isinstance(event, ReviewAsked))
        page.goto(f"{address}/inbox")
        page.get_by_role("link", name="Edit the plan").click()
        page.get_by_role("button", name="Remove b").wait_for()
        shown = page.url
        page.get_by_role("button", name="Remove b").click()
        page.get_by_role("button", name="Add a sub-task").click()
        rows = page.locator("tbody tr")
        assert rows.count() == 3, "rows come and go without the server"
        assert page.url == shown, "and without another page"
        assert rows.nth(1).get_by_label("After").input_value() == ""
        rows.nth(2).get_by_label("Work").fill("look at it once more")
        rows.nth(2).get_by_label("After").fill("c, zz")
        rows.nth(0).get_by_label("Asks for your approval").check()
        rows.nth(1).get_by_label("Agent").select_option("tooled")
        page.get_by_role("button", name="Look at the change").click()
        page.get_by_text("depends on 'zz', which is not in the plan").wait_for()
        assert rows.nth(2).get_by_label("Work").input_value() == "look at it once more"
        rows.nth(2).get_by_label("After").fill("c")
        page.get_by_role("button", name="Look at the change").click()
        page.get_by_text("look at it once more").first.wait_for()
        assert page.locator(".changes > li").count() == 4
        page.get_by_role("button", name="Carry the changed plan out").click()
        running.seen.until_asked("a")  # its approval was asked for in the table
        page.get_by_role("button", name="Approve").click()
        run = running.result()
        ended.set()
    assert run.status == "done"
    assert [(each.id, each.target_agent, each.depends_on) for each in run.plan] == [
        ("a", "worker", ()),
        ("c", "tooled", ()),
        ("t3", run.plan["t3"].target_agent, ("c",)),
    ]


def test_a_budget_is_raised_as_people_type_it(tmp_path: Path, page: Any) -> None:
    ended = threading.Event()
    script = TeamScript([], results={"a": say("x " * 3000)})
    options = {"plan": planned(step("a"), step("b", "a")), "budget": Budget(tokens=1500)}
    with open_team(script, tmp_path / "x.db") as team, served(tmp_path / "x.db") as address:
        running = Running(team.run, "go", thread_id="t", on_review=waiting_person(ended), **options)
        running.seen.until(lambda event: isinstance(event, ReviewAsked))
        page.goto(f"{address}/inbox")
        page.get_by_label("Raise the budget to").fill("much")
        page.get_by_role("button", name="Raise").click()
        page.get_by_text("is no amount").wait_for()
        page.get_by_label("Raise the budget to").fill("500k")
        page.get_by_role("button", name="Raise").click()
        run = running.result()
        ended.set()
    assert run.status == "done"


def test_what_a_person_types_is_left_alone_while_the_page_is_live(tmp_path: Path, page: Any) -> None:
    gate, plan = Gate(), planned(step("a", approval=True), step("b", approval=True), step("slow"))
    script = TeamScript([], results={"slow": say("slow").behind(gate)})
    with open_team(script, tmp_path / "x.db") as team, served(tmp_path / "x.db") as address:
        running = Running(team.run, "go", plan=plan, thread_id="t")
        first, second = (running.seen.until_asked(name) for name in ("a", "b"))
        page.goto(f"{address}/inbox")
        card = page.locator(f"[id='review-{first}']")
        card.get_by_text("Reject…").click()
        card.get_by_label("What should be different").fill("half a sent")
        team.decide(second, "approve")
        page.locator(f"[id='review-{second}']").wait_for(state="detached")
        assert card.get_by_label("What should be different").input_value() == "half a sent"
        assert card.get_by_label("What should be different").is_visible()
        team.decide(first, "approve")
        gate.release()
        assert running.result().status == "done"
