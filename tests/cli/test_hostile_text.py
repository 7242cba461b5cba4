"""Texts of models, tools and endpoints never command the terminal, whatever the command and the stream."""

import io
import json
from collections.abc import Iterator

import pytest

from orchestrator.cli.asking.subject import print_subject
from orchestrator.cli.console import VisibleConsole
from orchestrator.cli.progress.live import LiveDisplay
from orchestrator.events import Planned, SubTaskChanged, ToolCalled
from orchestrator.planning.plan import Plan
from orchestrator.reviews.review import Review
from orchestrator.testing import Fault, OpenAIServer, TeamScript, call, say
from tests.cli.test_main import Cli, cli
from tests.support.teams import step
from tests.test_control_characters import HOSTILE, commands_in

__all__ = ["cli"]

PLAN = [step("a", agent="researcher") | {"description": f"look {HOSTILE}"}, step("b", "a", agent="coder")]


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    results = {"a": f"found {HOSTILE}", "b": [call("calculate", expression=HOSTILE), say(HOSTILE)]}
    with OpenAIServer(TeamScript(PLAN, results=results, summary=f"It is {HOSTILE} [b].")) as opened:
        yield opened


def test_run_show_and_threads_show_what_models_and_tools_wrote(cli: Cli, server: OpenAIServer) -> None:
    printed = cli("run", f"What {HOSTILE}?", "--base-url", server.base_url, "--auto-approve", "--thread", "t")
    assert printed[0] == 0
    assert "␛]52;c;cm0gLXJm␇" in printed[1]
    for command in (("show", "t"), ("show", "t", "--json"), ("threads",), ("threads", "--json"), ("reviews",)):
        code, out, err = cli(*command)
        assert code == 0
        printed += (out, err)
    assert commands_in("".join(map(str, printed))) == []
    assert json.loads(cli("show", "t", "--json")[1])["task"] == f"What {HOSTILE}?", "JSON gives the whole text"


def test_a_plan_that_waits_is_shown_so_by_run_and_by_reviews(cli: Cli, server: OpenAIServer) -> None:
    code, out, err = cli("run", "What?", "--base-url", server.base_url, "--thread", "t")
    assert code == 3
    listed = cli("reviews")
    assert "␛" in listed[1]
    assert commands_in(out + err + listed[1] + cli("reviews", "--json")[1]) == []


def test_an_error_of_an_endpoint_and_its_json_show_them(cli: Cli) -> None:
    with OpenAIServer(lambda _: say(""), faults=lambda _: Fault(status=400, message=f"bad {HOSTILE}")) as server:
        for options in ([], ["--json"]):
            code, out, err = cli("run", "x", "--base-url", server.base_url, "--auto-approve", *options)
            assert code == 1
            assert "cm0gLXJm" in err
            assert commands_in(out + err) == []


def test_an_error_that_nobody_foresaw_shows_them(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(HOSTILE)

    monkeypatch.setattr("orchestrator.runs.threads.listing.list_threads", fail)
    code, out, err = cli("threads")
    assert code == 1
    assert "RuntimeError: ␛]52" in err
    assert commands_in(out + err) == []


SUBJECTS = [
    Review(id="t/result-1", kind="result", question=HOSTILE, subject={"result": HOSTILE}),
    Review(id="t/tool-1", kind="tool", question="q", subject={"tool": HOSTILE, "args": {HOSTILE: [HOSTILE]}}),
    Review(id="t/steer-1", kind="steer", question="q", subject={"problems": [HOSTILE]}),
    Review(id="t/question-1", kind="question", question="q", subject={"tool": HOSTILE, "asked": {"x": HOSTILE}}),
    Review(id="t/plan-1", kind="plan", question="q", subject={"plan": Plan.parse(PLAN).plain()}),
]


@pytest.mark.parametrize("review", SUBJECTS, ids=lambda review: review.kind)
def test_at_a_terminal_only_the_program_itself_commands_it(review: Review) -> None:
    # Without colours the program itself sends no sequences while it prints.
    console = VisibleConsole(file=io.StringIO(), force_terminal=True, color_system=None, width=200)
    print_subject(review, console)
    live = LiveDisplay(console)
    for event in (Planned(Plan.parse(PLAN)), SubTaskChanged("a", "running"), ToolCalled("a", HOSTILE, {"x": HOSTILE})):
        live.tell(event)
    console.print(live._render())
    assert isinstance(console.file, io.StringIO)
    screen = console.file.getvalue()
    assert "gnp.exe" in screen
    assert commands_in(screen) == []
