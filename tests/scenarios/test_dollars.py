"""Dollars are told wherever the price of a model is known, whether cost is limited or not."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from orchestrator import Supervisor, TaskOrchestrator, Team, Worker
from orchestrator.budget.price import published_nano_usd
from orchestrator.budget.spend import NANO
from orchestrator.cli.main import main
from orchestrator.events import Event, Spent
from orchestrator.testing import ScriptedModel, TeamScript
from tests.support.teams import step

PLAN = [step("a"), step("b", "a")]


class Named(ScriptedModel):
    """A scripted model under the name of another one, at a public address or on this machine."""

    model_name: str = "gpt-4.1-mini"
    openai_api_base: str = ""


def opened(db: Path | str = "memory://", script: TeamScript | None = None, **more: Any) -> TaskOrchestrator:
    model = Named(script or TeamScript(PLAN), **more)
    return TaskOrchestrator(team=Team(Supervisor(), [Worker("worker", "You work.")], model=model), db=str(db))


def published(usage: dict[str, Any]) -> float:
    nano = published_nano_usd("gpt-4.1-mini", "", usage["input_tokens"], usage["output_tokens"])
    assert nano
    return nano / NANO


def test_without_any_limit_events_and_the_run_tell_the_published_price(tmp_path: Path) -> None:
    events: list[Event] = []
    with opened(tmp_path / "x.db") as team:
        run = team.run("sum up", thread_id="t", auto_approve=True, on_event=events.append)
        record = team.threads()[0]
    costs = [event.cost_usd for event in events if isinstance(event, Spent)]
    assert costs == sorted(costs)
    assert costs[0] > 0
    assert run.usage["cost_usd"] == pytest.approx(published(run.usage), rel=0.01) == pytest.approx(costs[-1], rel=0.01)
    assert record.usage == run.usage


def test_the_command_line_shows_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with opened(tmp_path / "x.db") as team:
        run = team.run("sum up", thread_id="t", auto_approve=True)
    dollars = f"${run.usage['cost_usd']:.4f}"
    shown = {}
    for command in (["threads", "--json"], ["threads"], ["show", "t"]):
        with pytest.raises(SystemExit) as exited:
            main([*command, "--db", str(tmp_path / "x.db")])
        assert not exited.value.code
        printed = capsys.readouterr()
        shown[" ".join(command)] = printed.out + printed.err
    assert json.loads(shown["threads --json"])[0]["usage"]["cost_usd"] == run.usage["cost_usd"]
    assert re.fullmatch(rf"t  done  \S+  {re.escape(dollars)}  sum up.*\n", shown["threads"])
    assert dollars in shown["show t"]


def test_the_forecast_of_a_plan_has_them() -> None:
    with opened() as team:
        review = team.run("sum up").reviews[0]
    low, high = review.subject["forecast"]["total_usd"]
    assert 0 < low < high
    assert "($0.0" in review.stake


def test_a_model_on_this_machine_has_no_published_price_whatever_its_name() -> None:
    events: list[Event] = []
    with opened(openai_api_base="http://127.0.0.1:8000/v1") as team:
        review = team.run("sum up", thread_id="t", on_event=events.append).reviews[0]
        team.decide(review.id, "approve")
        run = team.resume("t", on_event=events.append)
    assert "total_usd" not in review.subject["forecast"]
    assert {event.cost_usd for event in events if isinstance(event, Spent)} == {0.0}
    assert (run.cost_usd, run.usage.get("cost_usd")) == (None, None)


def test_a_conversation_tells_the_dollars_of_all_its_tasks() -> None:
    with opened() as team:
        first = team.run("sum up", thread_id="t", auto_approve=True)
        second = team.run("and again", thread_id="t", auto_approve=True)
    assert second.thread_usage["cost_usd"] == pytest.approx(first.usage["cost_usd"] + second.usage["cost_usd"])
