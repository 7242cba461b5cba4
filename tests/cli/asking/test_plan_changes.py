"""A plan that replaces another one is shown as its changes."""

from pathlib import Path

import pytest
from rich.cells import cell_len

from orchestrator.reviews.review import Review
from orchestrator.testing import TeamScript
from tests.cli.asking.test_review_on_screen import Screen
from tests.support.teams import open_team, step

FIRST = [step("a"), step("b", "a"), step("c", "b")]
SECOND = [step("a"), {**step("b", "d", approval=True), "description": "do b\nwell \x1b[2J"}, step("d", agent="tooled")]


def rejected(folder: Path, second: list[dict[str, object]]) -> Review:
    """The review of the second plan, after the first one was rejected."""
    with open_team(TeamScript([FIRST, second]), folder / "runs.db") as orchestrator:
        [review] = orchestrator.run("x", thread_id="t").reviews
        assert "before" not in review.subject
        orchestrator.decide(review, "reject", "without c")
        [review] = orchestrator.resume("t").reviews
    return review


def test_a_rejected_plan_comes_back_as_what_has_changed_with_its_own_forecast(tmp_path: Path) -> None:
    review = rejected(tmp_path, SECOND)
    assert [each["id"] for each in review.subject["before"]] == ["a", "b", "c"]
    screen = Screen()
    screen.ask(review)
    shown = screen.lines[1:-3]
    assert shown[0] == "beside the plan before: 1 added, 1 changed, 1 removed, 1 as before"
    assert shown[1:5] == [
        "~ b  worker",
        "    now needs your approval; after a → d; do b well ␛[2J",
        "+ d  tooled",
        "    do d",
    ]
    assert shown[5] == "- c  worker"
    assert "3 sub-tasks: likely" in screen.text
    assert screen.lines[-2] == "? Shall this plan be carried out?"


def test_a_question_mark_shows_the_whole_plan_too(tmp_path: Path) -> None:
    screen = Screen()
    screen.ask(rejected(tmp_path, SECOND), "?")
    whole = screen.text.partition("open: ?")[2].split("\n")
    assert "~ b  worker" in whole
    assert any(line.startswith("a  worker") for line in whole)


def test_the_same_plan_again_is_shown_whole(tmp_path: Path) -> None:
    review = rejected(tmp_path, FIRST)
    assert "before" not in review.subject
    screen = Screen()
    screen.ask(review)
    assert "beside the plan before" not in screen.text


@pytest.mark.parametrize(("width", "height"), [(80, 24), (60, 24)])
def test_many_changes_fit_the_screen(width: int, height: int) -> None:
    plan = [{**step(f"n{number}"), "description": "do it in many words " * 9} for number in range(30)]
    subject = {"plan": plan, "before": FIRST, "agents": ["worker"]}
    screen = Screen(width, height)
    screen.ask(Review(id="t/plan-1", kind="plan", question="Shall it?", subject=subject))
    assert len(screen.lines) <= height
    assert max(map(cell_len, screen.lines)) <= width
    assert "more changes, ? shows all" in screen.text
