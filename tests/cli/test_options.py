"""The options about limits, as a person types them."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.main import main
from orchestrator.testing import OpenAIServer, TeamScript, say
from tests.support.teams import step

Cli = Callable[..., tuple[int, str, str]]
PLAN = [step("a", agent="researcher"), step("b", "a", agent="coder")]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Cli:
    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exited:
            main([*arguments, "--db", str(tmp_path / "runs.db")])
        printed = capsys.readouterr()
        return int(str(exited.value.code)), printed.out, printed.err

    return run


@pytest.fixture
def server() -> OpenAIServer:
    return OpenAIServer(TeamScript(PLAN, results={"a": say("it is 42")}))


def started(cli: Cli, server: OpenAIServer, *options: str) -> tuple[int, str, str]:
    with server:
        return cli("run", "sum up", "--base-url", server.base_url, "--model", "m", "--auto-approve", *options)


def test_a_run_that_a_limit_ended_exits_with_4_and_says_what_is_missing(cli: Cli, server: OpenAIServer) -> None:
    code, out, err = started(cli, server, "--max-calls", "3")
    assert code == 4
    assert out.startswith("the answer")
    assert "b (do b): not finished: the budget of model calls is spent (2 of 2 used" in err
    assert "limited · 3 model calls" in err


def test_without_a_limit_there_is_a_default_and_none_takes_it_away(cli: Cli) -> None:
    def limits(*options: str) -> dict[str, Any]:
        code, out, _ = cli("run", "--explain-limits", "--json", *options)
        assert code == 0
        return dict(json.loads(out)["budget"])

    assert limits() == {"tokens": 500_000, "strict": False}
    assert limits("--max-tokens", "none") == {}
    assert limits("--max-tokens", "9000") == {"tokens": 9000}
    assert limits("--max-tokens", "1.5M") == {"tokens": 1_500_000}
    assert limits("--max-calls", "7") == {"model_calls": 7}
    assert limits("--price", "1,2")["tokens"] == 500_000
    assert "budget: 500,000 tokens (the default)" in cli("run", "--explain-limits")[1]
    code, _, err = cli("run", "x", "--max-tokens", "much")
    assert (code, "--max-tokens 'much': this is no amount: write a number" in err) == (2, True)
    assert "limit it with --max-cost" in cli("run", "x", "--max-tokens", "$5")[2]


def test_json_tells_usage_by_model_worker_and_sub_task(cli: Cli, server: OpenAIServer) -> None:
    code, out, _ = started(cli, server, "--json", "--max-cost", "1", "--price", "0.4,1.6", "--max-time", "10m")
    assert code == 0
    usage = json.loads(out)["usage"]
    assert usage["by_model"]["m"]["cost_usd"] == usage["cost_usd"] > 0
    assert set(usage["by_worker"]) == {"supervisor", "researcher", "coder"}
    assert set(usage["by_sub_task"]) == {"a", "b"}


def test_the_printed_command_raises_the_limit_that_was_reached_and_lets_a_spent_run_go_on(
    cli: Cli, server: OpenAIServer, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(PLAN))
    with server:
        where = ("--base-url", server.base_url, "--model", "m")
        asked = cli("run", "sum up", *where, "--thread", "t", "--plan", str(plan), "--max-calls", "2")
        [line] = [line for line in asked[1].splitlines() if " edit --text " in line]
        assert cli(*shlex.split(line)[1:])[0] == 0, "the printed command can be copied"
        resumed = cli("resume", "t")
    assert asked[0] == 3
    assert "The budget is spent. Raise it (edit), finish with what there is (approve), or stop?" in asked[1]
    assert "edit --text 4" in asked[1]
    assert resumed[0] == 0
    assert len(server.bodies) == 3


def test_a_run_that_a_budget_has_ended_goes_on_with_a_higher_one(cli: Cli, server: OpenAIServer) -> None:
    with server:
        where = ("--base-url", server.base_url, "--model", "m", "--auto-approve")
        ended = cli("run", "sum up", *where, "--thread", "t", "--max-calls", "3")
        resumed = cli("resume", "t", "--max-calls", "9")
        done = cli("resume", "t", "--max-calls", "12")
    assert ended[0] == 4
    assert "go on with a higher limit: orchestrator resume t" in ended[2]
    assert "--max-…" in ended[2]
    assert resumed[0] == 0
    assert "b succeeded" in resumed[2]
    assert "a running" not in resumed[2]
    assert done[0] == 2
    assert "thread 't' is done, and no budget ended it: there is nothing to raise" in done[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--max-tokens", "0"), "--max-tokens must be over 0"),
        (("--max-time", "soon"), "--max-time 'soon' is no time: write seconds, or a number with s, m or h"),
        (("--price", "1"), "--price '1' is no price: write INPUT,OUTPUT"),
        (("--price", "-1,2"), "--price must not be below 0"),
        (("--max-cost", "1"), "the price of 'm' (supervisor) is not known: give it with --price INPUT,OUTPUT"),
    ],
)
def test_a_limit_that_makes_no_sense_is_told_before_anything_is_asked(
    cli: Cli, server: OpenAIServer, options: tuple[str, ...], message: str
) -> None:
    code, _, err = started(cli, server, *options)
    assert code == 2
    assert message in err
    assert server.bodies == []


def test_the_plan_is_shown_with_what_each_sub_task_is_likely_to_cost(cli: Cli, server: OpenAIServer) -> None:
    with server:
        code, out, _ = cli("run", "sum up", "--base-url", server.base_url, "--model", "m")
    assert code == 3
    assert "at stake: 2 sub-tasks: likely " in out
    row = next(line for line in out.splitlines() if line.startswith("a "))
    assert re.search(r"[\d,]+ to [\d,]+ tokens", row)


def test_fallback_and_economy_models_are_at_the_same_endpoint(cli: Cli, server: OpenAIServer) -> None:
    code, _, _ = started(
        cli, server, "--economy-model", "cheap", "--fallback-model", "other", "--rpm", "1000", "--max-calls", "5"
    )
    assert code == 0
    assert {body["model"] for body in server.bodies} == {"m"}, "nothing failed, and enough was left"


def test_explain_limits_tells_every_limit_and_the_bound_that_follows(capsys: pytest.CaptureFixture[str]) -> None:
    main_exits(["run", "--explain-limits", "--max-tokens", "9000"])
    said = capsys.readouterr().out
    assert "budget: 9,000 tokens" in said
    assert "together at most" in said
    main_exits(["run", "--explain-limits", "--json"])
    told = json.loads(capsys.readouterr().out)
    bounds = told["bounds"]
    assert bounds["model_calls"] == (
        bounds["planning"] + bounds["rounds"] * bounds["round"] + bounds["revising"] + bounds["summary"]
    )


def main_exits(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        main(arguments)
    assert exited.value.code == 0
