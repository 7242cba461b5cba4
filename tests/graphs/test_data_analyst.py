"""The data analyst: questions over the example database, with real tools and a scripted model."""

from pathlib import Path
from typing import Any

import pytest
from orchestrator_graphs.data_analyst import team

from orchestrator import TaskOrchestrator
from orchestrator.errors import ConfigError
from orchestrator.testing import ScriptedModel, TeamScript, call, say

PLAN = [
    {"id": "t1", "description": "Which country has the most people?", "target_agent": "analyst"},
    {"id": "t2", "description": "How many times the least?", "target_agent": "coder", "depends_on": ["t1"]},
    {"id": "t3", "description": "Check it.", "target_agent": "reviewer", "depends_on": ["t2"]},
]
SQL = "SELECT name, population FROM countries ORDER BY population DESC"
RESULTS: Any = {
    "t1": [
        call("describe_database"),
        call("query_database", sql=SQL),
        call("save_table", sql=SQL, name="people.csv"),
        call("draw_chart", sql=SQL, name="people.svg", title="People"),
        say("Bangladesh 167,184,465; Iceland 360,872."),
    ],
    "t2": [call("python", code="ratio = 167184465 / 360872\nround(ratio, 2)"), say("463.28 times")],
}


def test_the_answer_comes_with_a_table_and_a_picture(tmp_path: Path) -> None:
    analysts = team()
    model = ScriptedModel(TeamScript(PLAN, results=RESULTS, summary="Bangladesh [t1], 463.28 times [t2]."))
    analysts.use_model(model)
    with TaskOrchestrator(team=analysts, db=str(tmp_path / "x.db")) as orchestrator:
        run = orchestrator.run("Who is the largest?", thread_id="t")
        orchestrator.decide(run.reviews[0].id, "approve")
        run = orchestrator.resume("t")
        assert run.status == "done", (run.errors, run.reviews)
        assert [artifact.name for artifact in run.artifacts] == ["people.csv", "people.svg"]
    shown = [text for request in model.requests for role, text in request.messages if role == "tool"]
    assert any("countries: name TEXT key" in text for text in shown)
    assert any("| Bangladesh | 167184465 |" in text for text in shown)
    assert any("463.28" in text for text in shown)


def test_a_database_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no database"):
        team(str(tmp_path / "nowhere.db"))
