"""Reviews on the screen: they fit the terminal, the question stands last, and short answers are understood."""

import io

import pytest
from rich.cells import cell_len

from orchestrator.cli.asking.ask import ask_at_terminal
from orchestrator.cli.console import VisibleConsole
from orchestrator.planning.plan import Plan
from orchestrator.reviews.review import Decision, Review
from tests.support.teams import step

LONG = "Compare the emissions of 日本 with those of its neighbours, line \n by line, and tell why. \x1b[2J" * 3
STEPS = [
    {**step(f"t{n}", *(f"t{m}" for m in range(1, n)), approval=n % 3 == 0), "description": LONG} for n in range(1, 36)
]
PLAN = Review(
    id="t/plan-1",
    kind="plan",
    question="Shall this plan be carried out?",
    stake="35 sub-tasks: likely 70,000 to 280,000 tokens ($0.0140 to $0.0560), guessed for worker",
    subject={"plan": Plan.parse(STEPS).plain(), "agents": ["worker"], "forecast": {"tokens": {"t1": [2000, 8000]}}},
)
TOOL = Review(
    id="t/tool-1",
    kind="tool",
    question="May it?",
    subject={
        "tool": "write",
        "args": {"path": "a.md", "text": "# Title\nbody\x1b[2J", "rows": [1, 2], "long": "x" * 5000},
    },
)


def budget(**limits: float) -> Review:
    """A review of a spent budget with these limits, each of which is used up to a half but the first."""
    names = list(limits)
    spent = {name: limit if name == names[0] else limit / 2 for name, limit in limits.items()}
    subject = {"problems": ["the budget is spent"], "budget": limits, "spent": spent}
    actions = ("approve", "edit", "stop")
    return Review(id="t/steer-1", kind="steer", question="Raise it?", subject=subject, allowed=actions)


class Screen:
    """A terminal of a size, and a person who types lines; after the last one the input ends."""

    def __init__(self, width: int = 80, height: int = 24, *, is_terminal: bool = True) -> None:
        self.console = VisibleConsole(
            file=io.StringIO(), force_terminal=is_terminal, color_system=None, width=width, height=height
        )

    def ask(self, review: Review, *lines: str) -> Decision | None:
        rest = iter(lines)

        def read(prompt: object) -> str:
            self.console.print(prompt, end="")
            if (line := next(rest, None)) is None:
                raise EOFError
            self.console.print(line)
            return line

        return ask_at_terminal(review, self.console, read)

    @property
    def text(self) -> str:
        assert isinstance(self.console.file, io.StringIO)
        return self.console.file.getvalue()

    @property
    def lines(self) -> list[str]:
        return self.text.rstrip("\n").split("\n")


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (60, 24), (60, 12)])
def test_a_long_plan_fits_the_screen_and_the_question_stands_last(width: int, height: int) -> None:
    screen = Screen(width, height)
    screen.ask(PLAN)
    assert len(screen.lines) <= height
    assert max(map(cell_len, screen.lines)) <= width
    *_, question, prompt = screen.lines
    assert question == "? Shall this plan be carried out?"
    assert prompt == "approve, edit, reject, stop, ?, or Enter to leave it open: "
    folded = next(line for line in screen.lines if "more sub-tasks" in line)
    shown = [line.split()[0] for line in screen.lines if line.startswith("t")]
    assert folded == f"… {35 - len(shown)} more sub-tasks, ? shows all"
    assert screen.lines[1] == "t1  worker  2,000 to 8,000 tokens"
    assert screen.lines[2].startswith("    Compare the emissions of 日本")


def test_a_sub_task_tells_its_agent_its_approval_and_its_dependencies() -> None:
    screen = Screen()
    screen.ask(PLAN)
    assert "t3  worker  needs your approval  done  after t1, t2" in screen.lines


def test_a_question_mark_shows_all_and_explains_each_answer_in_one_line() -> None:
    screen = Screen(60)
    assert screen.ask(PLAN, "?") is None
    _, _, whole = screen.text.partition("open: ?")
    assert "t35  worker" in whole
    assert whole.count("neighbours,") == 35 * 3
    explained = [line.split()[0] for line in whole.split("? Shall this plan")[1].split("\n")[1:-2]]
    assert explained == ["a,", "e,", "r,", "s,", "Enter"]


def test_a_pipe_gets_everything() -> None:
    screen = Screen(is_terminal=False)
    screen.ask(PLAN)
    assert screen.text.count("Compare the emissions") == 35 * 3
    assert "shows all" not in screen.text


@pytest.mark.parametrize(
    ("review", "lines", "answer"),
    [
        (PLAN, ("y",), ("approve", "")),
        (PLAN, ("Yes",), ("approve", "")),
        (PLAN, ("n", "too long"), ("reject", "too long")),
        (PLAN, ("r", "", "s"), ("stop", "")),
        (TOOL, ("no", "another file"), ("reject", "another file")),
        # "Raise it, or finish?" has no yes, and a wrong guess would end the run.
        (budget(tokens=1000), ("y", "n", "a"), ("approve", "")),
        (PLAN, ("stay", "500k", "a"), ("approve", "")),
    ],
)
def test_short_answers_are_understood(review: Review, lines: tuple[str, ...], answer: tuple[str, str]) -> None:
    decision = Screen().ask(review, *lines)
    assert decision is not None
    assert (decision.action, decision.text) == answer


@pytest.mark.parametrize(
    ("review", "typed", "data"),
    [
        (budget(tokens=1000, cost_usd=1), "500k", {"tokens": 500_000}),
        (budget(tokens=1000, cost_usd=1), "$5", {"cost_usd": 5}),
        (budget(tokens=1000, cost_usd=1), "$0.5 ", {"cost_usd": 0.5}),
        (budget(cost_usd=1, tokens=1000), "2.5", {"cost_usd": 2.5}),
        (budget(cost_usd=1, tokens=1000), "1.5M", {"tokens": 1_500_000}),
        (budget(model_calls=10), "40", {"model_calls": 40}),
        (budget(model_calls=10), "5000 tokens", {"tokens": 5000}),
        (budget(wall_clock_s=60), "600", {"wall_clock_s": 600}),
    ],
)
def test_a_number_raises_the_budget(review: Review, typed: str, data: dict[str, float]) -> None:
    screen = Screen()
    decision = screen.ask(review, typed)
    assert decision is not None
    assert (decision.action, decision.data) == ("edit", data)
    assert "the new limits: " in screen.text


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("+200k", "write the whole new limit"),
        ("5 bananas", "this is no amount"),
        ("1000", "that is the budget as it was"),
    ],
)
def test_a_number_that_raises_nothing_is_told_in_a_line_and_asked_again(typed: str, told: str) -> None:
    screen = Screen()
    decision = screen.ask(budget(tokens=1000), typed, "s")
    assert decision is not None
    assert decision.action == "stop"
    assert told in screen.text


def test_the_arguments_of_a_tool_are_readable_and_long_ones_are_shown_on_demand() -> None:
    screen = Screen(60)
    screen.ask(TOOL, "?")
    first, _, whole = screen.text.partition("open: ?")
    for line in ("  tool: write", '  path: "a.md"', "  text:", "    # Title", "    body␛[2J", "  rows: [1, 2]"):
        assert line in first.split("\n")
    assert "… 4,602 characters more, ? shows all" in first
    assert first.count("x") < 500
    assert whole.count("x") > 5000 - 10


def test_a_long_result_is_folded() -> None:
    result = Review(id="t/result-1", kind="result", question="Good?", subject={"result": "a line\n" * 100})
    screen = Screen()
    screen.ask(result)
    assert len(screen.lines) <= 24
    assert "more lines, ? shows all" in screen.text


def test_limits_and_what_was_spent_stand_side_by_side() -> None:
    screen = Screen()
    screen.ask(budget(tokens=500_000, model_calls=10))
    assert "  tokens       500,000 of 500,000" in screen.lines
