"""What endpoints, files and people may send that nobody should: one clear line each, and a thread that goes on."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from orchestrator import Persistence, TaskOrchestrator
from orchestrator.errors import DecisionError, ModelError, PersistenceError, PlanError
from orchestrator.models.completions.checks import checked, no_completion
from orchestrator.planning.plan import Plan
from orchestrator.testing import OpenAIServer, TeamScript
from tests.support.endpoints import model_at
from tests.support.teams import make_team, open_team, step

GOOD = {"role": "assistant", "content": json.dumps({"sub_tasks": [step("a")]})}


def completion(**changes: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    choice = {"index": 0, "finish_reason": "stop", "message": GOOD | changes.pop("message", {})}
    return {"id": "x", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage} | changes


@pytest.mark.parametrize(
    "answer",
    [
        completion(message={"content": 5}),
        completion(message={"content": [5]}),
        completion(choices=[None]),
        completion(choices=[{"message": None}]),
        [],
        "x" * 100_000,
    ],
    ids=["number", "odd part", "no choice", "no message", "list", "text"],
)
def test_what_is_no_completion_is_a_model_error(tmp_path: Path, answer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with OpenAIServer(TeamScript([step("a")])) as server:
        team = make_team(TeamScript([step("a")]))
        model = model_at(server.base_url)
        team.supervisor.model = model
        monkeypatch.setattr(type(model.root_async_client), "post", _posting(answer))  # type: ignore[attr-defined]
        with TaskOrchestrator(team=team, db=str(tmp_path / "x.db")) as orchestrator:
            with pytest.raises(ModelError, match="no chat completion"):
                orchestrator.run("go", thread_id="t", auto_approve=True)
            assert orchestrator.show("t").is_resumable


def _posting(answer: Any) -> Any:
    async def post(*_: Any, **__: Any) -> Any:
        if isinstance(answer, BaseException):
            raise answer
        return answer

    return post


def test_an_answer_that_nests_too_deeply_is_a_model_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with OpenAIServer(TeamScript([step("a")])) as server:
        team = make_team(TeamScript([step("a")]))
        model = model_at(server.base_url)
        team.supervisor.model = model
        monkeypatch.setattr(type(model.root_async_client), "post", _posting(RecursionError("too deep")))  # type: ignore[attr-defined]
        with (
            TaskOrchestrator(team=team, db=str(tmp_path / "x.db")) as orchestrator,
            pytest.raises(ModelError, match="too deep"),
        ):
            orchestrator.run("go", auto_approve=True)


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 10**30, "completion_tokens": 1},
        {"prompt_tokens": "seven", "completion_tokens": 1},
        {"prompt_tokens": 1.5, "completion_tokens": 1},
        {"prompt_tokens": -1, "completion_tokens": 1},
        ["x"],
        "many",
    ],
)
def test_token_counts_that_cannot_be_true_are_as_if_none_were_reported(usage: Any) -> None:
    assert checked(completion(usage=usage))["usage"] is None


def test_token_counts_in_texts_are_read() -> None:
    usage = checked(completion(usage={"prompt_tokens": "7", "completion_tokens": 1}))["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (7, 1)


def test_odd_details_of_the_usage_are_left_out_and_an_odd_role_is_the_assistants() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "prompt_tokens_details": "x"}
    answer = checked(completion(usage=usage, message={"role": "bot"}))
    assert answer["usage"] == {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    assert answer["choices"][0]["message"]["role"] == "assistant"


def test_ten_megabytes_instead_of_a_plan_are_refused_at_once(tmp_path: Path) -> None:
    with OpenAIServer(lambda _: "x" * 10_000_000) as server:  # type: ignore[arg-type, return-value]
        team = make_team(TeamScript([step("a")]))
        team.supervisor.model = model_at(server.base_url)
        with (
            TaskOrchestrator(team=team, db=str(tmp_path / "x.db")) as orchestrator,
            pytest.raises((PlanError, ModelError)),
        ):
            orchestrator.run("go", auto_approve=True)


def test_errors_about_long_answers_are_short() -> None:
    assert len(str(no_completion("x" * 10_000_000))) < 300


@pytest.mark.parametrize("data", [5, "x", float("nan")])
def test_a_decision_of_the_wrong_kind_is_refused(tmp_path: Path, data: Any) -> None:
    with open_team(TeamScript([step("a")]), tmp_path / "x.db") as team:
        (review,) = team.run("go", thread_id="t").reviews
        with pytest.raises(DecisionError, match="plan is not sound"):
            team.decide(review.id, "edit", data=data)
        team.decide(review.id, "reject", "half a pair: \udcff")
        assert team.resume("t").status == "waiting", "and it could be written down"


def test_plans_hold_what_can_be_written_down() -> None:
    assert Plan.parse([{**step("a"), "feedback": ["half \ud800"]}]).sub_tasks[0].feedback == ("half \ufffd",)
    with pytest.raises(PlanError, match="attempt"):
        Plan.parse([{**step("a"), "attempt": 10**25}])


@pytest.mark.parametrize("table", ["store", "checkpoints"])
def test_rows_that_cannot_be_read_are_told_as_damage(tmp_path: Path, table: str) -> None:
    with open_team(TeamScript([step("a")]), tmp_path / "x.db") as team:
        team.run("go", thread_id="t", auto_approve=True)
    column = {"store": "value", "checkpoints": "checkpoint"}[table]
    with sqlite3.connect(tmp_path / "x.db") as database:
        database.execute(f"UPDATE {table} SET {column} = ?", (b'{"broken' if table == "store" else b"\xc1\xff",))
    with (
        open_team(TeamScript([step("a")]), Persistence(str(tmp_path / "x.db")).path or "") as team,
        pytest.raises(PersistenceError, match=r"is damaged|restore it"),
    ):
        team.show("t")
