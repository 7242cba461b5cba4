"""Reviews on the command line: those of plans, results and tool calls, of any team, each by the command it prints."""

import asyncio
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator import TaskOrchestrator
from orchestrator.cli.main import main
from orchestrator.testing import EffectLog, OpenAIServer, TeamScript, call, say
from tests.support.teams import open_team, step, writer

Cli = Callable[..., tuple[int, str, str]]
TEAM = """
from orchestrator import Supervisor, Team, Worker, declare
from langchain_core.tools import tool

@tool
def write(text: str) -> str:
    "Writes a text down."
    with open("written.txt", "a") as file:
        file.write(text)
    return "wrote it"

clerk = Worker("clerk", "You write.", tools=[declare(write, risk="write")])
team = Team(Supervisor(), [clerk, Worker("reader", "You read.")])
"""


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Types a command as it was printed, in a folder with a team of the user's own."""
    (tmp_path / "review_team.py").write_text(TEAM)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exited:
            main([*arguments, *([] if "--db" in arguments else ["--db", "runs.db"])])
        printed = capsys.readouterr()
        return int(str(exited.value.code)), printed.out, printed.err

    return run


def commands(printed: str) -> dict[str, list[str]]:
    """The commands that a text tells its reader to type, by their action."""
    found = [shlex.split(line)[1:] for line in re.findall(r"^\s*(?:then: )?(orchestrator .*)$", printed, re.M)]
    return {words[2] if words[0] == "decide" else words[0]: words for words in found}


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    plan = [step("a", agent="reader", approval=True), step("b", agent="clerk"), step("c", "a", "b", agent="reader")]
    results = {"a": "it is [42]", "b": [call("write", text="hello"), say("written")], "c": "both"}
    with OpenAIServer(TeamScript(plan, results=results, summary="done [c]")) as opened:
        yield opened


def test_every_kind_of_review_is_listed_and_answered_by_the_commands_that_are_printed(
    cli: Cli, server: OpenAIServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    start = ("run", "x", "--team", "review_team:team", "--base-url", server.base_url, "--thread", "my thread")
    code, out, _ = cli(*start)
    assert code == 3
    assert cli(*commands(out)["approve"])[0] == 0, "the plan"
    code, out, _ = cli("resume", "my thread", "--json")
    assert code == 3
    asked = {review["kind"]: review["id"] for review in json.loads(out)["reviews"]}
    assert set(asked) == {"result", "tool"}

    listed = json.loads(cli("reviews", "--json")[1])
    assert {review["id"] for review in listed} == set(asked.values())
    assert json.loads(cli("show", "my thread", "--json")[1])["status"] == "waiting"

    assert cli("decide", asked["result"], "edit", "--text", "it is 43")[0] == 0
    assert not (tmp_path / "written.txt").exists()
    code, out, _ = cli("resume", "my thread")
    assert code == 3, "the call of the tool is still open"
    printed = commands(out)
    assert cli(*printed["approve"])[0] == 0
    code, out, _ = cli(*printed["resume"])
    assert (code, out.strip()) == (0, "done")
    assert (tmp_path / "written.txt").read_text() == "hello"
    assert json.loads(cli("show", "my thread", "--json")[1])["outcomes"]["a"]["digest"] == "it is 43"
    assert not caplog.records, "nothing that a person would see between the lines"


def test_a_thread_from_python_is_looked_at_and_decided_but_not_carried_out_by_another_team(
    cli: Cli, server: OpenAIServer, tmp_path: Path
) -> None:
    script = TeamScript([step("a", agent="tooled"), step("b", "a")], results={"a": [call("write", text="x"), say("w")]})
    effects = EffectLog(tmp_path / "effects.txt")
    with open_team(script, tmp_path / "runs.db", writer(effects)) as orchestrator:
        for review in orchestrator.run("x", thread_id="t").reviews:
            orchestrator.decide(review.id, "approve")
        assert orchestrator.resume("t").reviews[0].kind == "tool"

    assert cli("decide", json.loads(cli("reviews", "--json")[1])[0]["id"], "approve")[0] == 0
    code, _, err = cli("resume", "t")
    assert code == 2
    assert "thread 't' was started from Python or Studio" in err
    assert "--team" in err
    code, _, err = cli("resume", "t", "--team", "review_team:team", "--base-url", server.base_url)
    assert code == 2
    assert "has work for tooled, worker, and this team is clerk, reader" in err

    with open_team(script, tmp_path / "runs.db", writer(effects)) as orchestrator:
        assert orchestrator.resume("t").status == "done"
    assert effects.counts() == {"x": 1}


def test_a_run_that_fails_under_json_still_prints_one_object_with_its_thread_and_what_went_wrong(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_MAX_RETRIES", "0")
    start = ("run", "x", "--base-url", "http://127.0.0.1:9/v1", "--model", "m", "--auto-approve", "--thread", "t")
    code, out, err = cli(*start, "--json")
    assert code == 1
    found = json.loads(out)
    assert (found["thread_id"], found["status"]) == ("t", "interrupted")
    assert "127.0.0.1:9" in found["errors"][-1]
    assert "resume t" in err


def test_nothing_is_deleted_unasked_where_nobody_can_be_asked(cli: Cli, server: OpenAIServer) -> None:
    cli("run", "x", "--team", "review_team:team", "--base-url", server.base_url, "--thread", "t")
    code, _, err = cli("delete", "t")
    assert code == 2
    assert "--yes" in err
    assert cli("delete", "t", "--yes")[0] == 0


def test_a_projects_own_tools_and_graphs_do_not_stand_in_for_those_that_ship(tmp_path: Path) -> None:
    for name in ("tools", "graphs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
    program = Path(sys.executable).with_name("orchestrator")
    done = subprocess.run([program, "tools", "--json"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert {row["worker"] for row in json.loads(done.stdout)} >= {"researcher", "coder"}


def test_documents_that_are_not_there_are_told_before_anything_is_asked_of_a_model(
    cli: Cli, server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestrator_graphs.research_team import team

    from orchestrator.errors import ConfigError

    monkeypatch.setenv("ORCHESTRATOR_DOCS", "/no/such/folder")
    with pytest.raises(ConfigError, match=r"/no/such/folder.*--docs"):
        team()


def test_an_orchestrator_of_another_team_sees_the_reviews_too(server: OpenAIServer, tmp_path: Path) -> None:
    script = TeamScript([step("a", approval=True)])
    with open_team(script, tmp_path / "runs.db") as orchestrator:
        orchestrator.decide(orchestrator.run("x", thread_id="t").reviews[0].id, "approve")
        (mine,) = orchestrator.resume("t").reviews
    from orchestrator import Worker

    with TaskOrchestrator(workers=[Worker("other", "You wait.")], db=str(tmp_path / "runs.db")) as other:
        assert [review.id for review in other.reviews()] == [mine.id]


def test_a_thread_that_a_server_began_is_listed_shown_and_decided_too(cli: Cli, tmp_path: Path) -> None:
    script = TeamScript([step("a", approval=True)], results={"a": "a result"}, summary="an answer")
    with open_team(script, tmp_path / "runs.db") as orchestrator:  # the graph alone, as LangGraph's server calls it
        config = {"configurable": {"thread_id": "from-studio"}}
        asyncio.run(orchestrator.graph.ainvoke({"task": "x"}, config))  # type: ignore[call-overload]
    code, out, _ = cli("threads", "--json")
    assert [(row["thread_id"], row["status"], row["task"]) for row in json.loads(out)] == [
        ("from-studio", "waiting", "x")
    ]
    (review,) = json.loads(cli("reviews", "--json")[1])
    assert cli("decide", review["id"], "approve")[0] == 0
    code, _, err = cli("resume", "from-studio")
    assert (code, "--team" in err) == (2, True)
    with open_team(script, tmp_path / "runs.db") as orchestrator:
        assert orchestrator.resume("from-studio").reviews[0].kind == "result"
    assert cli("delete", "from-studio", "--yes")[0] == 0
    assert json.loads(cli("threads", "--json")[1]) == []
