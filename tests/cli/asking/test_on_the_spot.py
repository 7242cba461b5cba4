"""Reviews asked on the spot at a terminal, and listed with the commands that answer them."""

import io
import shlex
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.cli.asking.ask import ask_at_terminal
from orchestrator.cli.echo import command
from orchestrator.cli.output import print_reviews
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


def a_console(terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=110, color_system=None, legacy_windows=False)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


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
