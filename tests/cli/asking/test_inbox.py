"""`orchestrator review`: all open reviews, one after the other."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator import OrchestratorClient
from orchestrator.cli.main import main
from orchestrator.testing import OpenAIServer, TeamScript
from tests.support.teams import open_team, step
from tests.support.terminal import Terminal

PROMPT = "or Enter to skip it: "
TEAM = """
from orchestrator import Supervisor, Team, Worker

team = Team(Supervisor(), [Worker("worker", "You work.")])
"""


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """A database in which the plans of three threads wait, `third` the newest."""
    for name in ("first", "second", "third"):
        with open_team(TeamScript([step("a")]), tmp_path / "runs.db") as orchestrator:
            orchestrator.run("x", thread_id=name)
    return tmp_path / "runs.db"


@pytest.fixture
def open_terminal(db: Path) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def start(*words: str) -> Terminal:
        opened.append(Terminal(*words, "--db", str(db)))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()


def still_open(db: Path) -> set[str]:
    with OrchestratorClient(db) as client:
        return {review.thread_id for review in client.reviews()}


def test_the_reviews_are_asked_newest_first_skipped_and_quit(db: Path, open_terminal: Callable[..., Terminal]) -> None:
    terminal = open_terminal("review")
    assert "1 of 3: third" in terminal.expect(PROMPT)
    terminal.type("y\n")
    assert "2 of 3: second" in terminal.expect(PROMPT)
    terminal.type("\n")
    assert "3 of 3: first" in terminal.expect(PROMPT)
    terminal.type("q\n")
    terminal.expect("2 reviews are still open")
    terminal.expect("resume third --db ")
    assert terminal.process.wait(60) == 0
    assert still_open(db) == {"first", "second"}


def test_one_thread_and_a_review_that_is_answered_elsewhere_meanwhile(
    db: Path, open_terminal: Callable[..., Terminal]
) -> None:
    terminal = open_terminal("review", "--thread", "second")
    assert "1 of 1: second" in terminal.expect(PROMPT)
    with OrchestratorClient(db) as client:
        client.decide(client.reviews("second")[0], "approve")
    terminal.type("reject\nno\n")
    terminal.expect("second/plan-")
    assert terminal.process.wait(60) == 0
    assert still_open(db) == {"first", "third"}


def test_resume_goes_on_with_what_was_decided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "inbox_team.py").write_text(TEAM)
    monkeypatch.chdir(tmp_path)
    with OpenAIServer(TeamScript([step("a")], summary="the end")) as server:
        options = ("--team", "inbox_team:team", "--base-url", server.base_url, "--thread", "t", "--db", "runs.db")
        with pytest.raises(SystemExit):
            main(["run", "x", *options])
        capsys.readouterr()
        terminal = Terminal("review", "--resume", "--db", "runs.db")
        try:
            terminal.expect(PROMPT)
            terminal.type("y\n")
            terminal.expect("the end")
            assert terminal.process.wait(60) == 0
        finally:
            terminal.close()


def test_an_empty_inbox_says_so(tmp_path: Path) -> None:
    terminal = Terminal("review", "--db", str(tmp_path / "runs.db"))
    try:
        terminal.expect("nothing waits for a human")
    finally:
        terminal.close()


def test_without_a_terminal_the_commands_that_list_and_decide_are_named(
    db: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["review", "--db", str(db)])
    assert exited.value.code == 2
    assert "`orchestrator reviews` lists" in capsys.readouterr().err
