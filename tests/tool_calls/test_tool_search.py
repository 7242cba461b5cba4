"""Many tools: a worker is shown those that fit its sub-task, and finds the others."""

from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import BaseTool, tool

from orchestrator import Supervisor, TaskOrchestrator, Team, Worker, declare
from orchestrator.testing import ScriptedModel, TeamScript, call, say
from orchestrator.tool_calls.tool_search import MOST_SHOWN

SUBJECTS = [
    "weather", "invoices", "calendar", "translation", "maps", "recipes", "music", "stocks", "flights", "hotels",
    "books", "films", "trains", "currencies", "holidays", "museums", "restaurants", "tides", "earthquakes", "elections",
]  # fmt: skip


def about(subject: str, used: list[str]) -> BaseTool:
    @tool(f"look_up_{subject}")
    def look_up(what: str) -> str:
        """Looks something up."""
        used.append(subject)
        return f"{subject} of {what}"

    look_up.description = f"Looks up {subject}."
    return declare(look_up)


def open_team(db: Path, results: Any, count: int, used: list[str]) -> TaskOrchestrator:
    plan = [{"id": "a", "description": "Find out the tides at Brest.", "target_agent": "clerk"}]
    worker = Worker("clerk", "You look things up.", tools=[about(subject, used) for subject in SUBJECTS[:count]])
    model = ScriptedModel(TeamScript(plan, results={"a": results}))
    return TaskOrchestrator(team=Team(Supervisor(), [worker], model=model), db=str(db))


def offered(team: TaskOrchestrator) -> list[tuple[str, ...]]:
    """The tools of each of the worker's requests."""
    model: Any = team.supervisor.model
    return [request.tools for request in model.requests if "Sub-task a" in request.text and not request.title]


def test_a_few_tools_are_all_shown(tmp_path: Path) -> None:
    with open_team(tmp_path / "x", "done", MOST_SHOWN, []) as team:
        team.run("go", auto_approve=True)
        assert len(offered(team)[0]) == MOST_SHOWN


def test_of_many_tools_those_that_fit_are_shown_and_one_to_find_more(tmp_path: Path) -> None:
    used: list[str] = []
    results = [call("look_up_tides", what="Brest"), say("done")]
    with open_team(tmp_path / "x", results, len(SUBJECTS), used) as team:
        assert team.run("go", auto_approve=True).status == "done"
        first = offered(team)[0]
        assert "look_up_tides" in first
        assert "find_tools" in first
        assert len(first) <= MOST_SHOWN
    assert used == ["tides"]


def test_a_tool_that_was_found_can_be_called_and_stays_in_sight(tmp_path: Path) -> None:
    used: list[str] = []
    results = [
        call("find_tools", what="earthquakes"),
        call("look_up_earthquakes", what="Brest"),
        say("done"),
    ]
    with open_team(tmp_path / "x", results, len(SUBJECTS), used) as team:
        assert team.run("go", auto_approve=True).status == "done"
        before, found, after = offered(team)
        assert "look_up_earthquakes" not in before
        assert "look_up_earthquakes" in found
        assert "look_up_earthquakes" in after
    assert used == ["earthquakes"]


@pytest.mark.parametrize("what", ["", "'); DROP TABLE x", "zzz", "tides AND"])
def test_looking_for_a_tool_never_fails(tmp_path: Path, what: str) -> None:
    results = [call("find_tools", what=what), say("done")]
    with open_team(tmp_path / "x", results, len(SUBJECTS), []) as team:
        assert team.run("go", auto_approve=True).status == "done"
