"""`orchestrator graph THREAD`: the plan of a thread, drawn in a terminal or into a file."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from orchestrator.cli.threads.drawing import drawn_plan
from orchestrator.planning.plan import Plan
from orchestrator.testing import OpenAIServer, TeamScript
from tests.cli.test_main import Cli, cli
from tests.support.teams import step

__all__ = ["cli"]

PLAN = [
    step("a", agent="researcher"),
    step("b", agent="researcher"),
    step("c", "a", "b", agent="coder"),
    step("d", "c", agent="reviewer", approval=True),
    step("e", "a", agent="coder"),
]
DRAWING = """\
✔ a  succeeded  researcher  Do a
├─ · c  pending  coder  after b too  Do c
│  └─ ? d  waiting  reviewer  you approve  Do d
└─ ✘ e  failed  coder  Do e
· b  pending  researcher  Do b"""


def drawn(width: int | None = None, *, is_unicode: bool = True) -> str:
    plan = Plan.parse([{**each, "description": f"Do {each['id']}"} for each in PLAN])
    statuses = {"a": "succeeded", "d": "waiting", "e": "failed"}
    return "\n".join(line.plain for line in drawn_plan(plan, statuses, width, is_unicode=is_unicode))


def test_every_sub_task_stands_once_below_the_last_one_that_it_waits_for() -> None:
    assert drawn() == DRAWING


@pytest.mark.parametrize("width", [40, 60, 80])
def test_it_fits_the_terminal_and_any_encoding(width: int) -> None:
    assert max(map(len, drawn(width).splitlines())) <= width
    assert len(drawn(width).splitlines()) == len(PLAN)
    assert drawn(is_unicode=False).isascii()


def test_a_thread_is_drawn_with_its_statuses_and_written_as_a_picture(cli: Cli, tmp_path: Path) -> None:
    with OpenAIServer(TeamScript([step("a", agent="researcher"), step("b", "a", agent="coder")])) as server:
        cli("run", "x", "--base-url", server.base_url, "--auto-approve", "--thread", "t")
    code, out, _ = cli("graph", "t")
    assert code == 0
    assert [line.split()[:4] for line in out.splitlines()] == [
        ["✔", "a", "succeeded", "researcher"],
        ["└─", "✔", "b", "succeeded"],
    ]
    picture = tmp_path / "plan.svg"
    assert cli("graph", "t", "--svg", str(picture))[:2] == (0, f"written: {picture}\n")
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")
    assert "no thread 'x'" in cli("graph", "x")[2]
    assert "cannot write" in cli("graph", "t", "--svg", str(tmp_path))[2]
    assert "name it, as in" in cli("graph", "--svg", "x.svg")[2]
