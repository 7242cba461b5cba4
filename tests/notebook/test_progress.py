"""The progress of a run in a notebook: what is seen of it while it works, and that nobody's text is markup."""

from itertools import count
from pathlib import Path
from typing import Any

import pytest

from orchestrator import NotebookProgress
from orchestrator.events import (
    Cancelled,
    Event,
    Planned,
    Planning,
    RoundStarted,
    RunStarted,
    Spent,
    Steered,
    SubTaskChanged,
    TextDelta,
    ToolCalled,
    ToolReturned,
)
from orchestrator.model_calls.call_events import ModelAsked, ModelReturned
from orchestrator.notebook.board import NotebookBoard
from orchestrator.notebook.page import board_html, board_text
from orchestrator.planning.plan import Plan
from orchestrator.testing import TeamScript
from tests.support.teams import open_team, step

PLAN = Plan.parse([step("a"), step("b", "a"), step("c")])


def board_of(*events: Event) -> NotebookBoard:
    ticks = count()
    board = NotebookBoard(lambda: float(next(ticks)))
    for event in (RunStarted(thread_id="porto"), *events):
        board.take(event)
    return board


def test_the_picture_has_the_colours_of_what_runs_and_the_table_says_what_it_does() -> None:
    board = board_of(
        Planned(PLAN),
        SubTaskChanged("a", "running"),
        ToolCalled("a", "look", {"where": "here"}, "1"),
        SubTaskChanged("c", "succeeded", seconds=1.5),
        Spent(1200, 0.5, 3),
    )
    page = board_html(board)
    assert "<svg" in page
    assert page.count('fill="#d7e6fb"') == page.count('fill="#d3f0dc"') == 1
    assert "look(where=&quot;here&quot;)" in page
    assert "waits for a" in page
    assert "1/3 · 1 running" in page
    assert "3 model calls, 1,200 tokens, $0.5000" in page


def test_each_request_to_a_model_is_a_sign_of_life_with_its_seconds() -> None:
    board = board_of(Planning(), ModelAsked("", "supervisor", "gpt-x", "1"))
    assert board.is_at_work
    assert "planning, asks gpt-x, " in board_html(board)
    board.take(RoundStarted(1))
    assert board.is_at_work, "the supervisor may ask a model between rounds, too"
    board.take(ModelReturned("", "supervisor", "gpt-x", "1"))
    assert not board.is_at_work
    board.take(Planned(PLAN))
    board.take(SubTaskChanged("a", "running"))
    board.take(ModelAsked("a", "worker", "gpt-x", "2"))
    first, second = board_html(board), board_html(board)
    assert "asks gpt-x" in first
    assert first != second, "the seconds go on without any event"


def test_the_words_of_an_answer_are_shown_as_they_stream_and_go_when_a_tool_is_called() -> None:
    board = board_of(Planned(PLAN), SubTaskChanged("a", "running"), TextDelta("a", "worker", "There are", "s"))
    board.take(TextDelta("a", "worker", " two lakes", "s"))
    assert "… There are two lakes" in board_html(board)
    board.take(ToolCalled("a", "look", {}, "1"))
    assert "two lakes" not in board_html(board)
    board.take(ToolReturned("a", "look", "1"))
    assert "thinking" in board_html(board)


def test_no_text_of_a_model_or_a_person_is_markup() -> None:
    bad = "<script>alert(1)</script>"
    plan = Plan.parse([{**step("a"), "description": bad}, step("b")])
    board = board_of(
        Planned(plan),
        SubTaskChanged("a", "running"),
        ToolCalled("a", bad, {bad: bad}, "1"),
        TextDelta("b", "worker", bad, "s"),
        SubTaskChanged("b", "running"),
        TextDelta("b", bad, bad, "s"),
        TextDelta("", "supervisor", bad, "t"),
        Steered(bad),
        Cancelled(bad),
    )
    assert "<script" not in board_html(board)
    assert "&lt;script&gt;" in board_html(board)


def test_a_cancelled_run_shows_no_work_and_its_seconds_stand_still() -> None:
    board = board_of(Planned(PLAN), SubTaskChanged("a", "running"), Cancelled("ann"))
    board.end()
    assert not board.is_at_work
    assert "running" not in board_text(board)
    assert "cancelled by ann" in board_html(board)
    assert board_html(board) == board_html(board)


def test_many_sub_tasks_fold_and_what_runs_or_failed_is_seen() -> None:
    plan = Plan.parse([step(f"s{number}") for number in range(100)])
    events = [SubTaskChanged(f"s{number}", "succeeded") for number in range(98)]
    board = board_of(
        Planned(plan), *events, SubTaskChanged("s98", "running"), SubTaskChanged("s99", "failed", error="broken")
    )
    table = board_html(board).partition("<table")[2]
    assert table.count("<tr>") == 41
    assert "… and 60 more" in table
    assert "<td>s98</td>" in table
    assert "broken" in table


def test_outside_a_notebook_each_event_is_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_team(TeamScript([step("a")], results={"a": "\x1b[2Jlakes"}), tmp_path / "x.db") as team:
        team.run("count", thread_id="t", auto_approve=True, on_event=NotebookProgress())
    printed = capsys.readouterr().out
    assert "planning\n" in printed
    assert "a succeeded" in printed
    assert "\x1b" not in printed


class Kernel:
    """Stands for a kernel and its front end."""

    kernel = object()

    def __init__(self) -> None:
        self.drawn: list[dict[str, str]] = []

    def update(self, data: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.drawn.append(data)


def test_in_a_notebook_one_output_is_drawn_anew_up_to_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    display = pytest.importorskip("IPython.display")
    kernel, shown = Kernel(), []

    def show(data: dict[str, str], **options: Any) -> Kernel:
        shown.append(options)
        kernel.drawn.append(data)
        return kernel

    monkeypatch.setattr("IPython.get_ipython", lambda: kernel)
    monkeypatch.setattr(display, "display", show)
    progress = NotebookProgress()
    with open_team(TeamScript([step("a")]), tmp_path / "x.db") as team:
        run = team.run("count", thread_id="t", auto_approve=True, on_event=progress)
    progress.close(run)
    assert shown == [{"raw": True, "display_id": True}]
    assert kernel.drawn[-1]["text/html"] == run._repr_html_()
