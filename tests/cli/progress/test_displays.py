"""Displays: a live one where the terminal can be drawn on, and a line for each event everywhere else."""

import io
import re

import pytest

from orchestrator.cli.console import VisibleConsole
from orchestrator.cli.progress.display import open_display
from orchestrator.cli.progress.live import LiveDisplay
from orchestrator.cli.progress.plain import PlainDisplay
from orchestrator.events import (
    BudgetShort,
    Event,
    Planned,
    Planning,
    ReviewAsked,
    RoundStarted,
    SubTaskChanged,
    TextDelta,
    ToolCalled,
)
from orchestrator.model_calls.call_events import ModelAsked
from orchestrator.planning.plan import Plan
from orchestrator.reviews.review import Review
from tests.cli.progress.scene import Clock, a_console, printed
from tests.support.teams import step

PLAN = Plan.parse([step("a"), step("b", "a"), step("c", agent="tooled")])
REVIEW = Review(id="t/result-1", kind="result", question="Good?", subject={"result": "42"}, sub_task_id="a")


def test_only_a_terminal_that_can_move_its_cursor_is_drawn_on() -> None:
    assert isinstance(open_display(a_console(terminal=True)), LiveDisplay)
    assert isinstance(open_display(a_console()), PlainDisplay)
    dumb = VisibleConsole(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    assert isinstance(open_display(dumb), PlainDisplay)


def test_where_the_output_is_no_terminal_each_event_is_a_line() -> None:
    clock, console = Clock(), a_console()
    display = PlainDisplay(console, clock)
    clock.now += 2
    events: list[Event] = [
        Planning(),
        Planned(PLAN),
        RoundStarted(1),
        SubTaskChanged("a", "running"),
        ModelAsked("a", "worker", "small", "1"),
        ToolCalled("c", "write", {"text": "[bold]x[/bold]" + "y" * 200}),
        SubTaskChanged("a", "succeeded", seconds=1.26, usage={"input_tokens": 40, "output_tokens": 2}),
        SubTaskChanged("c", "failed", error="the [tool]\n broke"),
        Planned(PLAN, retries={"c": "try again"}),
        ReviewAsked(REVIEW),
    ]
    for event in events:
        display.tell(event)
    lines = printed(console).splitlines()
    assert all(line.startswith("   2.0s ") for line in lines)
    assert lines[0] == "   2.0s planning"
    assert lines[1] == "   2.0s plan of 3 sub-tasks"
    assert "   2.0s a asks small" in lines
    assert "   2.0s a succeeded in 1.3 s, 42 tokens (1/3)" in lines
    assert "   2.0s c failed: the [tool] broke (1/3)" in lines
    assert "   2.0s again: c (1): try again" in lines
    assert "   2.0s waits for a human: Good? (t/result-1)" in lines
    call_line = next(line for line in lines if "calls write" in line)
    assert "[bold]x[/bold]" in call_line
    assert call_line.endswith("…)")


def test_lines_of_a_log_hold_no_words_of_answers() -> None:
    console = a_console()
    PlainDisplay(console).tell(TextDelta("a", "worker", "It is", "s1"))
    assert printed(console) == ""


def test_a_log_of_a_run_that_goes_on_counts_what_an_earlier_one_has_done() -> None:
    console = a_console()
    display = PlainDisplay(console)
    display.recall([Planned(PLAN), SubTaskChanged("a", "succeeded")])
    assert printed(console) == ""
    display.tell(SubTaskChanged("b", "succeeded"))
    assert "(2/3)" in printed(console)


def test_the_screen_shows_the_plan_of_a_run_that_goes_on() -> None:
    console = a_console(terminal=True)
    display = LiveDisplay(console, Clock())
    display.recall([Planned(PLAN), SubTaskChanged("a", "succeeded", seconds=1.0)])
    with display:
        display.tell(SubTaskChanged("b", "running"))
    assert "✔ a" in printed(console)


def test_one_line_stays_on_the_screen_at_the_end_and_where_a_person_is_asked() -> None:
    console = a_console(terminal=True)
    with LiveDisplay(console, Clock()) as display:
        display.tell(Planned(PLAN))
        display.tell(SubTaskChanged("a", "running"))
        with display.aside():
            assert left_on(console) == ["0/3 · 1 running · 0 s"]
            console.print("Shall it?")
            display.tell(BudgetShort("warn", "500 tokens"))
            assert left_on(console) == ["0/3 · 1 running · 0 s", "Shall it?"], "nothing is drawn over the question"
        assert "Shall it?" in left_on(console)
        display.tell(SubTaskChanged("a", "succeeded"))
        display.tell(SubTaskChanged("b", "running"))
    notice = "0 s · most of the budget is used (500 tokens)"
    assert left_on(console) == ["0/3 · 1 running · 0 s", "Shall it?", notice, "1/3 · 0 s"]


@pytest.mark.parametrize("width", [40, 60])
def test_a_window_that_becomes_narrower_keeps_a_whole_screen(width: int) -> None:
    console = a_console(terminal=True, width=100)
    with LiveDisplay(console, Clock()) as display:
        display.tell(Planned(PLAN))
        for name in ("a", "b", "c"):
            display.tell(SubTaskChanged(name, "failed", error="it broke " * 20))
        display._live.refresh()  # type: ignore[union-attr]
        before = printed(console)
        console.width = width
    screen = Emulated(before, 100).narrowed(width)
    screen.write(printed(console)[len(before) :])
    assert [line for line in screen.lines if line] == ["0/3 · 3 failed · 0 s"]


def left_on(console: object) -> list[str]:
    """Return the lines on the screen."""
    screen = Emulated(printed(console), 110)  # type: ignore[arg-type]
    return [line for line in screen.lines if line]


class Emulated:
    """A terminal that knows the sequences which rich writes. It breaks lines again when it becomes narrower."""

    def __init__(self, written: str, width: int) -> None:
        self.width = width
        self.lines = [""]
        self._row = 0
        self._column = 0
        self.write(written)

    def write(self, text: str) -> None:
        for token in re.findall(r"\x1b\[[?\d;]*[A-Za-z]|[\s\S]", text):
            if token == "\n":
                self._row, self._column = self._row + 1, 0
                self.lines += [""] * (self._row + 1 - len(self.lines))
            elif token == "\r":
                self._column = 0
            elif token == "\x1b[1A":
                self._row = max(0, self._row - 1)
            elif token == "\x1b[2K":
                self.lines[self._row] = ""
            elif not token.startswith("\x1b"):
                line = self.lines[self._row].ljust(self._column)
                self.lines[self._row] = line[: self._column] + token + line[self._column + 1 :]
                self._column += 1
            else:
                assert token in ("\x1b[?25l", "\x1b[?25h"), token

    def narrowed(self, width: int) -> "Emulated":
        """Break the lines at another width, as terminals do."""
        assert self._row == len(self.lines) - 1
        rest = self.lines[-1]
        parts = [line[at : at + width] for line in self.lines for at in range(0, max(1, len(line)), width)]
        self.width, self.lines, self._row, self._column = width, parts, len(parts) - 1, len(rest) % width
        return self
