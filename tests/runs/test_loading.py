"""Teams by name: those that ship, a user's own, and the names that threads of 0.1.0 recorded."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator import Plan
from orchestrator.errors import ConfigError
from orchestrator.runs.loading import load_team, open_orchestrator, open_thread
from orchestrator.testing import OpenAIServer, TeamScript
from tests.support.teams import step

OWN_TEAM = """
from orchestrator import Supervisor, Team, Worker

team = Team(Supervisor(), [Worker("own", "You work.")])
"""


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of the user's; what is imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize(
    "recorded", ["research_team", "graphs.research_team:team", "orchestrator_graphs.research_team:team"]
)
def test_a_thread_loads_by_every_name_under_which_a_team_that_ships_was_recorded(
    recorded: str, working_folder: Path
) -> None:
    db = str(working_folder / "runs.db")
    plan = Plan.parse([step("a", agent="reviewer", approval=True)])
    with OpenAIServer(TeamScript([])) as server:
        about = {"team": "research_team", "base_url": server.base_url, "model": "m"}
        with open_orchestrator(db, about) as orchestrator:
            orchestrator.about = {**about, "team": recorded}
            waiting = orchestrator.run("go", thread_id="t", plan=plan)
        assert waiting.status == "waiting"
        with open_thread(db, "t", {}) as reopened:
            reopened.decide(waiting.reviews[0].id, "approve")
            assert reopened.resume("t").status == "done"


def test_a_module_of_the_users_goes_before_an_old_name_of_ours(working_folder: Path) -> None:
    (working_folder / "graphs").mkdir()
    (working_folder / "graphs" / "mine.py").write_text(OWN_TEAM)
    assert list(load_team("graphs.mine:team").workers) == ["own"]
    assert "researcher" in load_team("graphs.research_team:team").workers


@pytest.mark.parametrize(
    ("source", "name", "told"),
    [
        (None, "mine:team", "no team 'mine:team': No module named 'mine'; use one that ships"),
        (None, "nobody", "No module named 'orchestrator_graphs.nobody'; use one that ships, such as research_team"),
        (None, "mine.py", "no team 'mine.py': No module named"),
        (None, "./mine.py:team", "module:attribute as Python imports it, as in my_package.teams:team"),
        (None, "mine:", "module:attribute as Python imports it"),
        (None, "", "'' names no team"),
        (None, ":team", "':team' names no team"),
        (OWN_TEAM, "mine:squad", "no team 'mine:squad': module 'mine' has no attribute 'squad'"),
        ("team = 3", "mine:team", "'mine:team' is a int, not a Team or a function that makes one"),
        ("def team(size): ...", "mine:team", "does not make a team: team() missing 1 required positional argument"),
        (
            "from tools.documents import document_tools",
            "mine:team",
            "what was imported as tools is called orchestrator_tools now",
        ),
        ("from orchestrator import Squad", "mine:team", "cannot import name 'Squad' from 'orchestrator'"),
        ("def team(", "mine:team", "cannot import the team 'mine:team': SyntaxError: '(' was never closed (mine.py, "),
        ("\nteam = 1 / 0", "mine:team", "ZeroDivisionError: division by zero (WORKING_FOLDER/mine.py, line 2)"),
    ],
)
def test_a_name_that_gives_no_team_is_one_line_that_says_why(
    working_folder: Path, source: str | None, name: str, told: str
) -> None:
    if source is not None:
        (working_folder / "mine.py").write_text(source)
    with pytest.raises(ConfigError) as raised:
        load_team(name)
    assert told.replace("WORKING_FOLDER", str(working_folder)) in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1
