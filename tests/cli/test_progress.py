"""What a person sees at the terminal: progress, and reviews asked on the spot."""

import io
import shlex
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.cli.asking.ask import ask_at_terminal
from orchestrator.cli.echo import command
from orchestrator.cli.output import print_reviews
from orchestrator.cli.progress import LiveDisplay, PlainDisplay, open_display
from orchestrator.events import (
    Event,
    Planned,
    Planning,
    ReviewAsked,
    RoundStarted,
    SubTaskChanged,
    Summarizing,
    TextDelta,
    TextVoided,
    ToolCalled,
)
from orchestrator.planning.plan import Plan
from orchestrator.reviews.review import Review
from tests.support.teams import step

PLAN = Plan.parse([step("a"), step("b", "a"), step("c", agent="tooled")])
PLAN_REVIEW = Review(
    id="t/plan-1",
    kind="plan",
    question="Shall this plan be carried out?",
    subject={"plan": PLAN.plain(), "agents": ["worker", "tooled"]},
)
RESULT_REVIEW = Review(
    id="t/result-1", kind="result", question="Good?", subject={"result": "It [is] 42."}, sub_task_id="a"
)
TOOL_REVIEW = Review(id="t/tool-1", kind="tool", question="May it?", subject={"tool": "write", "args": {"text": "x"}})


class Clock:
    """Time that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def a_console(terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=110, color_system=None, legacy_windows=False)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def table(*events: Event, clock: Clock) -> list[str]:
    """The rows of the live table after these events."""
    console = a_console()
    live = LiveDisplay(console, clock)
    for event in events:
        live.tell(event)
    console.print(live._render())
    return [" ".join(line.split()) for line in printed(console).splitlines() if line.strip()]


def test_where_the_output_is_no_terminal_each_event_is_a_line() -> None:
    clock, console = Clock(), a_console()
    assert isinstance(open_display(a_console(), clock), PlainDisplay)
    assert isinstance(open_display(a_console(terminal=True), clock), LiveDisplay)
    display = PlainDisplay(console, clock)
    clock.now += 2
    for event in (
        Planning(),
        Planned(PLAN),
        RoundStarted(1),
        SubTaskChanged("a", "running"),
        ToolCalled("c", "write", {"text": "[bold]x[/bold]" + "y" * 200}),
        SubTaskChanged("a", "succeeded", seconds=1.26, usage={"input_tokens": 40, "output_tokens": 2}),
        SubTaskChanged("c", "failed", error="the [tool] broke"),
        Planned(PLAN, retries={"c": "try again"}),
        ReviewAsked(RESULT_REVIEW),
    ):
        display.tell(event)
    lines = printed(console).splitlines()
    assert lines[0] == "   2.0s planning"
    assert "plan of 3 sub-tasks" in lines[1]
    assert "   2.0s a succeeded in 1.3 s, 42 tokens" in lines
    assert "   2.0s c failed: the [tool] broke" in lines
    assert "   2.0s again: c (1): try again" in lines
    assert "   2.0s waits for a human: Good? (t/result-1)" in lines
    call_line = next(line for line in lines if "calls write" in line)
    assert "[bold]x[/bold]" in call_line
    assert call_line.endswith("…)")


def test_the_live_table_shows_state_time_and_what_waits_on_what() -> None:
    clock = Clock()
    events: list[Event] = [Planned(PLAN), SubTaskChanged("a", "running"), SubTaskChanged("c", "running")]
    rows = table(*events, ToolCalled("c", "write", {"text": "x"}), clock=clock)
    assert rows[0] == "a running worker 0 s thinking"
    assert rows[1] == "b pending worker waits on a"
    assert rows[2] == "c running tooled 0 s write(text='x')"
    done = SubTaskChanged("a", "succeeded", seconds=61.25, usage={"input_tokens": 1000, "output_tokens": 234})
    rows = table(*events, done, SubTaskChanged("c", "failed", error="it broke"), clock=clock)
    assert rows[0] == "a succeeded worker 61.2 s, 1,234 tokens do a"
    assert rows[1] == "b pending worker do b"
    assert rows[2] == "c failed tooled it broke"


def test_a_new_attempt_starts_with_a_clean_row() -> None:
    again = Plan.parse([{**step("a"), "attempt": 2, "feedback": ["more"]}])
    failed = SubTaskChanged("a", "failed", attempt=1, error="it broke")
    assert table(Planned(PLAN), failed, Planned(again), clock=Clock()) == ["a (2) pending worker do a"]


def test_the_live_table_can_be_watched_from_begin_to_end() -> None:
    console = a_console(terminal=True)
    with LiveDisplay(console, Clock()) as display:
        display.tell(Planning())
        display.tell(Planned(PLAN))
        display.tell(SubTaskChanged("a", "succeeded", seconds=1.0))
    assert "succeeded" in printed(console)


def typing(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    """What the person types, line by line."""
    rest = iter(lines)
    monkeypatch.setattr("builtins.input", lambda *_: next(rest))


@pytest.mark.parametrize(
    ("lines", "action", "text"),
    [
        (("a",), "approve", ""),
        (("approve",), "approve", ""),
        ((" R ", "count again "), "reject", "count again"),
        (("what", "x", "s"), "stop", ""),
    ],
)
def test_a_review_is_answered_by_a_letter_or_a_word(
    monkeypatch: pytest.MonkeyPatch, lines: tuple[str, ...], action: str, text: str
) -> None:
    typing(monkeypatch, *lines)
    console = a_console()
    decision = ask_at_terminal(PLAN_REVIEW, console)
    assert decision is not None
    assert (decision.review_id, decision.action, decision.text) == ("t/plan-1", action, text)
    assert "Shall this plan be carried out?" in printed(console)
    assert "do b" in printed(console), "the plan is shown"


def test_enter_leaves_a_review_open(monkeypatch: pytest.MonkeyPatch) -> None:
    typing(monkeypatch, "")
    assert ask_at_terminal(PLAN_REVIEW, a_console()) is None


def test_an_action_that_the_review_does_not_allow_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    typing(monkeypatch, "e", "a")
    console = a_console()
    decision = ask_at_terminal(PLAN_REVIEW.model_copy(update={"allowed": ("approve", "stop")}), console)
    assert decision is not None
    assert decision.action == "approve"
    assert "not one of these" in printed(console)


def test_the_end_of_the_input_leaves_a_review_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(*_: object) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", end)
    assert ask_at_terminal(PLAN_REVIEW, a_console()) is None


def test_a_command_can_be_pasted_whatever_the_thread_and_the_database_are_called() -> None:
    typed = command("resume", "my thread [b]", db="/Users/J D/x.db")
    assert shlex.split(typed) == ["orchestrator", "resume", "my thread [b]", "--db", "/Users/J D/x.db"]


def test_a_program_that_is_not_on_the_path_is_named_as_it_was_called(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "orchestrator"
    program.write_text("#!/bin/sh")
    program.chmod(0o755)
    monkeypatch.setattr("sys.argv", [str(program)])
    monkeypatch.setenv("PATH", "/nowhere")
    assert command("threads") == f"{program} threads"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command("threads") == "orchestrator threads"


def test_a_listed_review_shows_its_subject_and_a_command_for_each_answer(capsys: pytest.CaptureFixture[str]) -> None:
    print_reviews([RESULT_REVIEW, TOOL_REVIEW], "my.db")
    out = capsys.readouterr().out
    assert "It [is] 42." in out
    assert 'text: "x"' in out
    assert "orchestrator decide t/result-1 reject --text why --db my.db" in out
    assert "orchestrator decide t/tool-1 edit --file FILE --db my.db" in out


def test_the_live_table_shows_the_newest_words_of_an_answer_in_one_line() -> None:
    words = [TextDelta("a", "worker", text, "s1") for text in ("It is\n", "a long\t", "tale \x1b[2J" + "x" * 80)]
    started = SubTaskChanged("a", "running")
    shown = "\n".join(table(Planned(PLAN), started, *words, clock=Clock()))
    assert "… " + "x" * 20 in shown
    assert "It is" not in shown
    assert "\x1b" not in shown
    again = "\n".join(table(Planned(PLAN), started, *words, TextDelta("a", "worker", "No.", "s2"), clock=Clock()))
    assert "… No." in again
    void = "\n".join(table(Planned(PLAN), started, *words, TextVoided("a", "worker", "s1"), clock=Clock()))
    assert "thinking" in void
    answer = "\n".join(
        table(Planned(PLAN), Summarizing(), TextDelta("", "supervisor", "All told", "s3"), clock=Clock())
    )
    assert "writing the answer" in answer
    assert "… All told" in answer


def test_lines_of_a_log_hold_no_words_of_answers() -> None:
    console = a_console()
    PlainDisplay(console).tell(TextDelta("a", "worker", "It is", "s1"))
    assert printed(console) == ""
