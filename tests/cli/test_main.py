"""The command line: what it prints, where, and what it exits with."""

import json
import multiprocessing
import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.main import main
from orchestrator.testing import Gate, OpenAIServer, TeamScript, call, say
from tests.support.teams import step

PLAN = [
    step("a", agent="researcher"),
    step("b", agent="researcher"),
    step("c", "a", "b", agent="coder"),
]
ANSWER = "It is 42."
Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Cli:
    """Calls a command on this test's database; gives the exit code, stdout and stderr."""

    def run(*arguments: str, db: bool = True) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exited:
            main([*arguments, *(["--db", str(tmp_path / "runs.db")] if db else [])])
        printed = capsys.readouterr()
        return int(str(exited.value.code)), printed.out, printed.err

    return run


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    script = TeamScript(
        PLAN, results={"c": [call("calculate", expression="6 * 7"), say("42")]}, summary="It is 42 [c]."
    )
    with OpenAIServer(script) as opened:
        yield opened


def commands(printed: str) -> list[list[str]]:
    """The orchestrator commands that a text tells its reader to type."""
    return [shlex.split(found)[1:] for found in re.findall(r"^\s*(?:then: )?(orchestrator .*)$", printed, re.M)]


def typed(cli: Cli, command: list[str]) -> tuple[int, str, str]:
    return cli(*command, db=False)  # it names the database itself


def test_a_run_ends_with_the_answer_on_stdout_and_the_progress_on_stderr(cli: Cli, server: OpenAIServer) -> None:
    code, out, err = cli("run", "What is it?", "--base-url", server.base_url, "--auto-approve")
    assert (code, out.strip()) == (0, ANSWER)
    assert f"model: scripted ({server.base_url}" in err
    assert re.search(r"^thread: what-is-it-\w+$", err, re.M)
    assert "plan of 3 sub-tasks" in err
    assert 'c calls calculate(expression="6 * 7")' in err
    assert re.search(r"c succeeded in \d+\.\d s, \d+ tokens", err)
    assert re.search(r"done · 6 model calls · 1 tool calls · [\d,]+ tokens · thread what-is-it-\w+", err)


def test_json_is_one_object_on_stdout_and_nothing_else(cli: Cli, server: OpenAIServer) -> None:
    code, out, _ = cli("run", "What is it?", "--base-url", server.base_url, "--auto-approve", "--json")
    found = json.loads(out)
    assert code == 0
    assert {"thread_id", "status", "answer", "plan", "outcomes", "reviews", "usage"} <= set(found)
    assert (found["status"], found["answer"], found["reviews"]) == ("done", ANSWER, [])
    assert [task["id"] for task in found["plan"]] == ["a", "b", "c"]
    assert {i: o["status"] for i, o in found["outcomes"].items()} == dict.fromkeys("abc", "succeeded")
    assert found["usage"]["model_calls"] == 6


def test_the_task_can_come_from_standard_input(cli: Cli, server: OpenAIServer, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("What is it, from a pipe?"))
    code, out, _ = cli("run", "-", "--base-url", server.base_url, "--auto-approve", "--json")
    assert (code, json.loads(out)["task"]) == (0, "What is it, from a pipe?")


def test_where_nobody_can_answer_it_stops_and_prints_the_commands_that_go_on(cli: Cli, server: OpenAIServer) -> None:
    code, out, _ = cli("run", "What is it?", "--base-url", server.base_url, "--thread", "t")
    assert code == 3
    printed = commands(out)
    assert [command[2] for command in printed if command[0] == "decide"] == ["approve", "edit", "reject", "stop"]
    assert len(server.bodies) == 1, "nothing but the plan was asked for"

    _, listed, _ = cli("reviews")
    assert [c for c in commands(listed) if c[0] == "decide"] == [c for c in printed if c[0] == "decide"]

    approve, resume = next(c for c in printed if "approve" in c), next(c for c in printed if c[0] == "resume")
    code, out, _ = typed(cli, approve)
    assert code == 0
    assert resume in commands(out.replace("go on with: ", ""))
    code, out, _ = typed(cli, resume)
    assert (code, out.strip()) == (0, ANSWER)
    assert cli("reviews")[1].strip() == "nothing waits for a human"


def test_resume_before_a_decision_asks_again_and_exits_with_3(cli: Cli, server: OpenAIServer) -> None:
    cli("run", "What is it?", "--base-url", server.base_url, "--thread", "t")
    code, out, _ = cli("resume", "t")
    assert code == 3
    assert any(command[:1] == ["decide"] for command in commands(out))
    assert len(server.bodies) == 1


def test_decide_can_go_on_at_once(cli: Cli, server: OpenAIServer) -> None:
    _, out, _ = cli("run", "What is it?", "--base-url", server.base_url, "--thread", "t", "--json")
    review = json.loads(out)["reviews"][0]["id"]
    code, out, _ = cli("decide", review, "approve", "--resume", "--json")
    assert (code, json.loads(out)["status"]) == (0, "done")


def test_a_plan_is_edited_from_a_file(cli: Cli, server: OpenAIServer, tmp_path: Path) -> None:
    _, out, _ = cli("run", "What is it?", "--base-url", server.base_url, "--thread", "t", "--json")
    review = json.loads(out)["reviews"][0]["id"]
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({"sub_tasks": [step("only", agent="researcher")]}))
    assert cli("decide", review, "edit", "--file", str(file))[0] == 0
    code, out, _ = cli("resume", "t", "--json")
    assert code == 0
    assert list(json.loads(out)["outcomes"]) == ["only"]


def test_a_human_who_stops_the_run_ends_it_with_1(cli: Cli, server: OpenAIServer) -> None:
    _, out, _ = cli("run", "What is it?", "--base-url", server.base_url, "--thread", "t", "--json")
    cli("decide", json.loads(out)["reviews"][0]["id"], "stop")
    code, out, _ = cli("resume", "t", "--json")
    assert (code, json.loads(out)["status"]) == (1, "stopped")


def test_a_plan_of_the_users_own_is_carried_out_as_it_is(cli: Cli, server: OpenAIServer, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text(json.dumps([step("mine", agent="researcher")]))
    code, out, _ = cli("run", "x", "--plan", str(file), "--base-url", server.base_url, "--auto-approve", "--json")
    assert (code, list(json.loads(out)["outcomes"])) == (0, ["mine"])


def test_threads_are_listed_shown_and_deleted(cli: Cli, server: OpenAIServer) -> None:
    assert cli("threads")[1].strip() == "no threads yet"
    cli("run", "What is it?", "--base-url", server.base_url, "--thread", "t", "--auto-approve")
    listed = cli("threads")[1].split()
    assert (listed[:2], listed[-3:]) == (["t", "done"], ["What", "is", "it?"])
    assert json.loads(cli("threads", "--json")[1])[0]["thread_id"] == "t"
    code, out, _ = cli("show", "t")
    assert code == 0
    assert "task: What is it?" in out
    assert ANSWER in out
    assert json.loads(cli("show", "t", "--json")[1])["answer"] == ANSWER
    assert cli("delete", "t", "--yes") == (0, "deleted t\n", "")
    assert json.loads(cli("threads", "--json")[1]) == []


def test_an_instruction_is_recorded_shown_and_followed_by_the_command_that_goes_on(
    cli: Cli, server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("run", "go", "--thread", "t", "--base-url", server.base_url)
    code, out, _ = cli("steer", "t", "be brief\x1b[2J")
    assert code == 0
    assert re.match(r"recorded: t sees it when it goes on, with: .*orchestrator resume t --db ", out)
    assert "\x1b" not in cli("show", "t")[1]
    monkeypatch.setattr("sys.stdin.read", lambda: "in French\n")
    assert cli("steer", "t", "-", "--json")[0] == 0
    shown = json.loads(cli("show", "t", "--json")[1])["instructions"]
    assert [each["text"][:8] for each in shown] == ["be brief", "in Frenc"]
    assert "in French" in cli("show", "t")[1]
    code, _, err = cli("steer", "t", "  ")
    assert (code, err) == (2, "error: the instruction is empty: say what to do\n")


def test_a_thread_that_is_not_running_cannot_be_cancelled(cli: Cli, server: OpenAIServer) -> None:
    cli("run", "go", "--thread", "t", "--base-url", server.base_url)
    assert cli("cancel", "t")[:2] == (0, "t is not running\n")
    assert json.loads(cli("cancel", "t", "--json")[1]) == {"thread_id": "t", "result": "not running"}
    assert cli("cancel", "unknown")[0] == 2


def test_a_finished_thread_says_its_answer_again_without_asking_the_model(cli: Cli, server: OpenAIServer) -> None:
    cli("run", "What is it?", "--base-url", server.base_url, "--thread", "t", "--auto-approve")
    asked = len(server.bodies)
    assert cli("resume", "t")[:2] == (0, ANSWER + "\n")
    assert len(server.bodies) == asked


def test_the_graph_is_printed_as_mermaid(cli: Cli) -> None:
    code, out, _ = cli("graph", db=False)
    assert code == 0
    for node in ("supervisor", "researcher", "coder", "reviewer", "approve_plan", "human_review", "summarize"):
        assert node in out


def test_a_team_of_the_users_own_comes_from_a_module(
    cli: Cli, server: OpenAIServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "team_of_clerks.py").write_text(
        "from orchestrator import Supervisor, Team, Worker\n"
        "team = Team(Supervisor(), [Worker('clerk', 'You are a clerk.')])\n"
    )
    monkeypatch.chdir(tmp_path)
    code, out, _ = cli("graph", "--team", "team_of_clerks:team", db=False)
    assert code == 0
    assert "clerk" in out


WRONG: dict[str, tuple[list[str], str]] = {
    "an empty task": (["run", "  "], "the task is empty"),
    "an unknown command": (["dance"], "No such command 'dance'"),
    "an unknown option": (["run", "x", "--fast"], "No such option"),
    "an unknown team": (["run", "x", "--team", "nobody"], "no team 'nobody'"),
    "a team that is none": (["run", "x", "--team", "json:dumps"], "'json:dumps' does not make a team"),
    "a folder that is not there": (["run", "x", "--docs", "/no/such/folder"], "/no/such/folder"),
    "a plan that is not there": (["run", "x", "--plan", "/no/such.json"], "cannot read /no/such.json"),
    "a thread that is not there": (["resume", "nobody"], "there is no thread 'nobody'"),
    "showing what is not there": (["show", "nobody"], "there is no thread 'nobody'"),
    "its reviews": (["reviews", "nobody"], "there is no thread 'nobody'"),
    "deleting it": (["delete", "nobody"], "there is no thread 'nobody'"),
    "a review that is not there": (["decide", "nobody/plan-1", "approve"], "there is no review 'nobody/plan-1'"),
    "an action that is none": (["decide", "t/plan-1", "maybe"], "'maybe' is no action"),
    "two texts": (["decide", "t/plan-1", "reject", "--text", "x", "--file", "y"], "either --text or --file"),
    "a thread's name": (["run", "x", "--thread", "a\nb"], "'a\\nb'"),
    "a long name in another alphabet": (["run", "x", "--thread", "名" * 100], "too long for that"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_use_exits_with_2_and_says_what_is_wrong(cli: Cli, server: OpenAIServer, case: str) -> None:
    arguments, said = WRONG[case]
    extra = ["--base-url", server.base_url] if arguments[0] == "run" else []
    code, out, err = cli(*arguments, *extra, db=arguments[0] != "dance")
    assert (code, out) == (2, "")
    assert said in " ".join(err.split())
    assert "Traceback" not in err
    assert not server.bodies


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ("[", "is not JSON"),
        ("[]", "the plan is empty"),
        (json.dumps([step("a", "a", agent="coder")]), "'a' depends on itself"),
        (json.dumps([step("a", agent="cook")]), "unknown agent 'cook'"),
        (json.dumps([step("a", "b", agent="coder"), step("b", "a", agent="coder")]), "cycle"),
        (json.dumps([step("a", "z", agent="coder")]), "'z'"),
        (json.dumps([{"id": "a"}]), "description"),
        ('"rubbish"', "plan"),
    ],
)
def test_a_plan_that_is_not_sound_is_refused_before_anything_is_done(
    cli: Cli, server: OpenAIServer, tmp_path: Path, plan: str, said: str
) -> None:
    file = tmp_path / "plan.json"
    file.write_text(plan)
    code, out, err = cli("run", "x", "--plan", str(file), "--base-url", server.base_url)
    assert code in (1, 2)
    assert out == ""
    assert said in " ".join(err.split())
    assert "Traceback" not in err
    assert not server.bodies


def test_a_decision_that_says_too_little_changes_nothing(cli: Cli, server: OpenAIServer) -> None:
    _, out, _ = cli("run", "x", "--base-url", server.base_url, "--thread", "t", "--json")
    review = json.loads(out)["reviews"][0]["id"]
    for wrong, said in (
        (["reject"], "a rejection needs a text"),
        (["edit", "--text", "not JSON"], "needs JSON"),
        (["edit", "--text", "[]"], "the plan is empty"),
        (["approve", "--file", "/no/such/file"], "cannot read /no/such/file"),
    ):
        code, _, err = cli("decide", review, *wrong)
        assert code in (1, 2)
        assert said in " ".join(err.split())
    assert [r["id"] for r in json.loads(cli("reviews", "--json")[1])] == [review]


def test_without_any_model_it_says_how_to_get_one(cli: Cli) -> None:
    code, out, err = cli("run", "x")
    assert (code, out) == (1, "")
    for way in ("OPENAI_API_KEY", "--base-url", "orchestrator model fetch"):
        assert way in err


def test_a_wrong_key_is_one_line_and_the_thread_goes_on_once_it_is_mended(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    with OpenAIServer(TeamScript(PLAN, results={"c": "42"}, summary="It is 42 [c]."), key="right") as server:
        monkeypatch.setenv("OPENAI_API_KEY", "wrong")
        code, out, err = cli("run", "x", "--base-url", server.base_url, "--thread", "t", "--auto-approve")
        assert (code, out) == (1, "")
        assert "error: " in err
        assert "key" in err
        assert "orchestrator resume t" in err
        assert "Traceback" not in err
        monkeypatch.setenv("OPENAI_API_KEY", "right")
        code, out, _ = cli("resume", "t")
        assert (code, out.strip()) == (0, ANSWER)


def test_a_host_that_is_not_there_is_one_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATOR_MAX_RETRIES", "0")
    code, out, err = cli("run", "x", "--base-url", "http://127.0.0.1:9/v1", "--model", "m", "--auto-approve")
    assert (code, out) == (1, "")
    assert "127.0.0.1:9" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("kind", ["rubbish", "folder", "another table"])
def test_a_file_that_is_no_database_of_ours_is_one_line(cli: Cli, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "runs.db"
    if kind == "rubbish":
        place.write_bytes(b"this is not SQLite " * 400)
    elif kind == "folder":
        place.mkdir()
    else:
        place.write_bytes(b"SQLite format 3\0" + b"\1" * 4000)
    code, out, err = cli("threads")
    assert (code, out) == (1, "")
    assert str(place) in err
    assert "Traceback" not in err


def test_a_locked_database_is_one_line(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.persistence.database.BUSY_TIMEOUT_S", 0.05)
    assert cli("threads")[0] == 0
    holder = sqlite3.connect(tmp_path / "runs.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        with OpenAIServer(TeamScript(PLAN)) as server:
            code, _, err = cli("run", "x", "--base-url", server.base_url)
    finally:
        holder.execute("ROLLBACK")
        holder.close()
    assert code == 1
    assert "locked" in err
    assert "Traceback" not in err


def run_command(arguments: list[str]) -> None:
    main(arguments)


def test_ctrl_c_leaves_a_thread_that_goes_on_where_it_was(cli: Cli, tmp_path: Path) -> None:
    gate = Gate()
    script = TeamScript(PLAN, results={"c": say("42").behind(gate)}, summary="It is 42 [c].")
    with OpenAIServer(script) as server:
        start = ["run", "x", "--base-url", server.base_url, "--thread", "t", "--auto-approve"]
        context: Any = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["orchestrator.runs.task_orchestrator", "orchestrator.testing"])
        child = context.Process(target=run_command, args=([*start, "--db", str(tmp_path / "runs.db")],))
        child.start()
        assert gate.entered.wait(120)
        os.kill(child.pid, signal.SIGINT)
        child.join(60)
        assert child.exitcode == 130
        asked = len(server.bodies)
        gate.release()
        assert json.loads(cli("threads", "--json")[1])[0]["status"] == "interrupted"
        code, out, _ = cli("resume", "t")
        assert (code, out.strip()) == (0, ANSWER)
        assert len(server.bodies) == asked + 2, "only the sub-task that was cut off, and the answer"


def test_help_names_every_command_and_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from orchestrator.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as done: assert not done.code\n"
        "print([m for m in ('langgraph', 'langchain_core', 'openai', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for name in ("run", "resume", "reviews", "decide", "threads", "show", "graph", "model", "delete"):
        assert f" {name} " in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_says_what_happens_without_an_option(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    shown = " ".join(cli("run", "--help")[1].split())
    for default in ("research_team", "a file in your data folder", "from the task's first words"):
        assert default in shown
