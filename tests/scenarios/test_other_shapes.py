"""Rows of another shape: one clear line that names the thread, and no other thread suffers."""

import contextlib
import json
import logging
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import OrchestratorError
from orchestrator.testing import TeamScript
from tests.support.teams import open_team, step

SHAPES: list[Any] = [
    None,
    [],
    "text",
    7,
    {},
    {"outcome": 3, "text": [], "created": "x"},
    {"budget": [], "spent": 3},
    10**30,
]


def make(db: Path) -> str:
    """Two threads that wait for their plans; returns the bad one's review."""
    with open_team(TeamScript([step("a")]), db) as team:
        team.run("task", thread_id="good")
        return team.run("task", thread_id="bad").reviews[0].id


def damage(db: Path, kind: str, value: Any, review: str) -> None:
    with sqlite3.connect(db) as connection:
        if kind == "threads":
            connection.execute(
                "UPDATE store SET value = ? WHERE prefix = 'orchestrator.threads' AND key = 'bad'", (json.dumps(value),)
            )
        elif kind == "decisions":
            row = ("orchestrator.decisions.bad", review, json.dumps(value))
            connection.execute("INSERT INTO store (prefix, key, value) VALUES (?, ?, ?)", row)
        else:
            connection.execute(
                f"UPDATE store SET value = ? WHERE prefix = 'orchestrator.{kind}.bad'", (json.dumps(value),)
            )
    connection.close()


@pytest.mark.parametrize("value", SHAPES, ids=lambda value: json.dumps(value)[:20])
@pytest.mark.parametrize("kind", ["threads", "decisions", "ledger", "memory"])
def test_rows_of_another_shape(tmp_path: Path, kind: str, value: Any) -> None:
    db = tmp_path / "x.db"
    damage(db, kind, value, make(db))
    with open_team(TeamScript([step("a")]), db) as team:
        assert {"bad", "good"} == {record.id for record in team.threads()}
        assert "good" in {review.thread_id for review in team.reviews()}
        for act in (team.show, team.reviews, team.resume):
            with contextlib.suppress(OrchestratorError):  # anything else would be a traceback
                act("bad")
        team.delete("bad")
        assert [record.id for record in team.threads()] == ["good"]
        (review,) = team.reviews("good")
        team.decide(review.id, "approve")
        assert team.resume("good").status == "done"


@pytest.mark.parametrize(
    "change",
    [
        {"plan": 3},
        {"plan": {"sub_tasks": [3]}},
        {"plan": {"sub_tasks": [{"id": 3}]}},
        {"outcomes": [1]},
        {"outcomes": {"a": 3}},
        {"review": "x"},
        {"review": {"id": 1}},
        {"task": ["x"], "plan": "x"},
    ],
    ids=str,
)
def test_states_of_another_shape(tmp_path: Path, change: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    db = tmp_path / "x.db"
    make(db)
    with open_team(TeamScript([step("a")]), db) as team:
        saver, config = team.persistence.checkpointer, team._states.config("bad")
        saved = saver.get_tuple(config)
        assert saved is not None
        checkpoint = {**saved.checkpoint, "channel_values": {**saved.checkpoint["channel_values"], **change}}
        kind, data = saver.serde.dumps_typed(checkpoint)
        team.persistence._conn.execute(
            "UPDATE checkpoints SET type = ?, checkpoint = ? WHERE thread_id = 'bad' AND checkpoint_id = ?",
            (kind, data, saved.checkpoint["id"]),
        )
        assert {"bad", "good"} == {record.id for record in team.threads()}
        assert [review.thread_id for review in team.reviews()] == ["good"]
        assert "thread 'bad' cannot be read" in caplog.text
        for act in (team.show, team.reviews, team.resume):
            with pytest.raises(OrchestratorError, match="thread 'bad' cannot be read"):
                act("bad")
        team.delete("bad")
        assert [record.id for record in team.threads()] == ["good"]
