"""Reviews at the terminal: asked while the run goes on, and given up when they are answered elsewhere."""

import getpass
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator import OrchestratorClient
from orchestrator.testing import Gate, OpenAIServer, TeamScript, say
from tests.support.teams import step
from tests.support.terminal import Terminal

TEAM = """
from orchestrator import Supervisor, Team, Worker

team = Team(Supervisor(), [Worker("worker", "You work.")])
"""
PROMPT = "or Enter to leave it open: "


class Scene:
    """A run at a terminal, whose sub-task `slow` is held back, and another process that decides."""

    def __init__(self, folder: Path, server: OpenAIServer, gate: Gate, after_a: Gate) -> None:
        self.gate = gate
        self.after_a = after_a
        (folder / "plain_team.py").write_text(TEAM)
        plan = [step("a", approval=True), step("b", approval=True), step("slow"), step("x", "a")]
        (folder / "plan.json").write_text(json.dumps({"sub_tasks": plan}))
        self.db = folder / "runs.db"
        options = ("--team", "plain_team:team", "--plan", "plan.json", "--thread", "t", "--db", str(self.db))
        self.terminal = Terminal("run", "go", *options, "--base-url", server.base_url)

    def decide(self, sub_task_id: str, action: str) -> None:
        """Decide as another process would."""
        with OrchestratorClient(self.db) as client:
            [review] = [review for review in client.reviews("t") if review.sub_task_id == sub_task_id]
            client.decide(review, action, "why" if action == "reject" else "")  # type: ignore[arg-type]


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.chdir(tmp_path)
    gate, after_a = Gate(), Gate()
    after_a.release()
    results = {"slow": say("s").behind(gate), "x": say("x").behind(after_a)}
    with OpenAIServer(TeamScript([], results=results)) as server:
        scene = Scene(tmp_path, server, gate, after_a)
        yield scene
        scene.terminal.close()


def first_asked(terminal: Terminal) -> tuple[str, str]:
    """Return the sub-task of the review that is asked first, and the other one: their order is left to chance."""
    first = "a" if "result of a" in terminal.expect(PROMPT) else "b"
    return first, "b" if first == "a" else "a"


def test_a_review_is_answered_while_another_sub_task_runs(scene: Scene) -> None:
    for _ in range(2):
        scene.terminal.expect(PROMPT)
        scene.terminal.type("approve\n")
    assert scene.after_a.entered.wait(30), "x begins while slow still runs"
    scene.gate.release()
    scene.terminal.expect("done · ")
    assert scene.terminal.process.wait(60) == 0


@pytest.mark.parametrize("is_paused", [False, True])
def test_a_prompt_is_given_up_when_its_review_is_answered_elsewhere(scene: Scene, is_paused: bool) -> None:
    first, second = first_asked(scene.terminal)
    if is_paused:
        scene.gate.release()
    scene.terminal.type("st")  # half of "stop", which must not be the answer to the next question
    scene.decide(first, "approve")
    scene.terminal.expect(f"answered elsewhere: approve by {getpass.getuser()}")
    scene.terminal.expect(PROMPT)
    scene.decide(second, "approve")
    scene.terminal.expect("answered elsewhere: approve")
    scene.gate.release()
    scene.terminal.expect("done · ")
    assert scene.terminal.process.wait(60) == 0


def test_a_stop_elsewhere_ends_the_run_that_waits_at_a_terminal(scene: Scene) -> None:
    _, second = first_asked(scene.terminal)
    scene.decide(second, "stop")
    scene.terminal.expect("answered elsewhere: stop")
    scene.gate.release()
    scene.terminal.expect("stopped · ")
    assert scene.terminal.process.wait(60) == 1
