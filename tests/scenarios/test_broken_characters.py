"""Half a surrogate pair and NUL, at every entrance: replaced, so that no database or endpoint refuses them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore
from langgraph.types import Command

from orchestrator import Decision, Plan, TaskOrchestrator, Worker, declare
from orchestrator.errors import ConfigError, DecisionError, UnknownThreadError
from orchestrator.graph.build import compile_graph
from orchestrator.testing import OpenAIServer, TeamScript, call, say
from orchestrator.text import sound, sound_json
from tests.support.teams import make_team, model_of, open_team, step, writer

BROKEN = ["caf\udce9", "\ud83d end", "a\x00b", "\udc00\ud800"]
CLEAN = {"caf\udce9": "caf\ufffd", "\ud83d end": "\ufffd end", "a\x00b": "a\ufffdb", "\udc00\ud800": "\ufffd\ufffd"}


def assert_sound_on_disk(db: Path) -> None:
    """Nothing of the database has half a character or NUL in it; another object reads it all."""
    with open_team(TeamScript([]), db) as other:
        for record in other.threads():
            run = other.show(record.id)
            text = json.dumps(run.to_dict(), ensure_ascii=False)
            text.encode()
            assert "\\u0000" not in text
            other.reviews(record.id)
            for entry in other.memory_of(record.id).all():
                assert sound_json(entry.plain()) == entry.plain()
        for (value,) in other.persistence._conn.execute("SELECT value FROM store"):
            assert b"\\u0000" not in (value if isinstance(value, bytes) else value.encode())


def half_step(text: str) -> dict[str, Any]:
    return {**step("a", agent="tooled"), "description": text}


@tool
def look(where: str) -> str:
    """Looks."""
    return f"seen {where}"


@tool
def broken_tool(where: str) -> str:
    """Fails."""
    raise ValueError("no \ud83d here\x00")


declare(look, risk="read")
declare(broken_tool, risk="read")


def scripts(text: str) -> dict[str, tuple[TeamScript, dict[str, Any]]]:
    """By entrance: the script and the options of `run`."""
    plan = [step("a", agent="tooled")]
    return {
        "a task": (TeamScript(plan), {"original_task": text}),
        "a given plan": (TeamScript(plan), {"plan": Plan.parse([half_step(text)])}),
        "a model's plan": (TeamScript([half_step(text)]), {}),
        "a worker's answer": (TeamScript(plan, results={"a": text}), {}),
        "a tool call's arguments": (TeamScript(plan, results={"a": [call("look", where=text), say("x")]}), {}),
        "a tool call's name": (TeamScript(plan, results={"a": [call(f"look{text}", where="x"), say("x")]}), {}),
        "a tool's answer": (TeamScript(plan, results={"a": [call("look", where=text), say(text)]}), {}),
        "a tool's error": (TeamScript(plan, results={"a": [call("broken_tool", where=text), say("x")]}), {}),
        "the answer": (TeamScript(plan, summary=text), {}),
    }


@pytest.mark.parametrize("text", BROKEN, ids=ascii)
@pytest.mark.parametrize("entrance", scripts("x"))
def test_a_run_ends_well_whatever_comes_in_broken(tmp_path: Path, entrance: str, text: str) -> None:
    script, options = scripts(text)[entrance]
    with open_team(script, tmp_path / "x.db", look, broken_tool) as team:
        run = team.run(**{"original_task": "task", **options}, thread_id="t", auto_approve=True)
        assert run.status == "done", run.errors
        if entrance == "a task":
            assert run.task == CLEAN[text]
        for request in model_of(team).requests:
            json.dumps(request.last_user, ensure_ascii=False).encode()
    assert_sound_on_disk(tmp_path / "x.db")


@pytest.mark.parametrize("text", BROKEN, ids=ascii)
def test_over_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    plan = [half_step(f"look {text}")]
    script = TeamScript(plan, results={"a": [call("look", where=text), say(text)]}, summary=f"answer {text}")
    with OpenAIServer(script) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        with TaskOrchestrator(None, [Worker("tooled", "You look.", tools=[look])], db=str(tmp_path / "x.db")) as team:
            run = team.run(f"task {text}", thread_id="t", auto_approve=True)
    assert run.status == "done"
    assert run.answer.startswith(f"answer {CLEAN[text]}")
    assert_sound_on_disk(tmp_path / "x.db")


@pytest.mark.parametrize("text", BROKEN, ids=ascii)
def test_decisions(tmp_path: Path, text: str) -> None:
    effects: list[str] = []
    script = TeamScript(
        [[step("z")], [step("a", agent="tooled", approval=True)]],
        results={"a": [call("write", text="x"), say("done")]},
    )
    with open_team(script, tmp_path / "x.db", writer(effects)) as team:
        (review,) = team.run("task", thread_id="t").reviews
        assert team.decide(review.id, "reject", text).text == CLEAN[text]
        (review,) = team.resume("t").reviews
        team.decide(review.id, "edit", data=[{**step("a", agent="tooled", approval=True), "description": text}])
        (review,) = team.resume("t").reviews
        team.decide(review.id, "edit", data={"text": text})
        (review,) = team.resume("t").reviews
        assert effects == [CLEAN[text]]
        team.decide(review.id, "edit", f"edited {text}")
        assert team.resume("t").status == "done"
        assert [entry.text for entry in team.memory_of("t").all()] == [f"edited {CLEAN[text]}"]
    assert_sound_on_disk(tmp_path / "x.db")
    assert Decision(review_id="r", action="reject", text=text).text == CLEAN[text]


@pytest.mark.parametrize("text", BROKEN, ids=ascii)
def test_a_decision_as_langgraphs_resume_value(tmp_path: Path, text: str) -> None:
    with open_team(TeamScript([[step("z")], [step("a")]]), tmp_path / "x.db") as team:
        (review,) = team.run("task", thread_id="t").reviews
        config = team._states.config("t")
        team.graph.invoke(Command(resume={"review_id": review.id, "action": "reject", "text": text}), config)
        assert CLEAN[text] in model_of(team).requests[-1].last_user
    assert_sound_on_disk(tmp_path / "x.db")


@pytest.mark.parametrize("text", BROKEN, ids=ascii)
def test_names_of_threads_and_reviews(tmp_path: Path, text: str) -> None:
    with open_team(TeamScript([step("a")]), tmp_path / "x.db") as team:
        with pytest.raises(ConfigError, match="printable"):
            team.run("task", thread_id=text)
        for look_at in (team.show, team.resume, team.reviews, team.delete):
            with pytest.raises(UnknownThreadError) as error:
                look_at(text)
            str(error.value).encode()
        with pytest.raises(DecisionError) as refused:
            team.decide(f"{text}/plan-1", "approve")
        str(refused.value).encode()


@pytest.mark.parametrize("text", BROKEN, ids=ascii)
def test_the_shared_memory(tmp_path: Path, text: str) -> None:
    with open_team(TeamScript([step("a")]), tmp_path / "x.db") as team:
        memory = team.memory_of("t")
        memory.store("a", text, agent=text, sources=(text,))
        assert [entry.text for entry in team.memory_of("t").all()] == [CLEAN[text]]
        assert [entry.text for entry in memory.all()] == [CLEAN[text]]


@pytest.mark.parametrize("text", BROKEN, ids=ascii)
def test_the_raw_graph_with_a_saver_and_a_store_of_the_users_own(text: str) -> None:
    team = make_team(TeamScript([{**step("a"), "description": text}], results={"a": text}, summary=text))
    graph = compile_graph(team, checkpointer=InMemorySaver(), store=InMemoryStore())
    state = graph.invoke({"task": f"task {text}", "auto_approve": True}, {"configurable": {"thread_id": "t"}})
    assert state["status"] == "done"
    assert sound_json(state["answer"]) == state["answer"]


def test_the_command_line(tmp_path: Path) -> None:
    code = "from orchestrator.cli.main import main; main()"
    with OpenAIServer(TeamScript([step("a", agent="researcher")], summary="x\ud83d")) as server:
        place = ["--db", str(tmp_path / "x.db"), "--base-url", server.base_url, "--auto-approve"]
        made = subprocess.run(
            [sys.executable, "-c", code, "run", b"caf\xe9 au lait", *place], capture_output=True, check=False
        )
    assert made.returncode == 0, made.stderr
    assert b"Traceback" not in made.stderr
    assert b"x\xef\xbf\xbd" in made.stdout
    for command in ("show", "resume", "reviews", "delete"):
        told = subprocess.run(
            [sys.executable, "-c", code, command, b"caf\xe9", "--db", str(tmp_path / "x.db")],
            capture_output=True,
            check=False,
        )
        assert told.returncode == 2
        assert b"Traceback" not in told.stderr
        assert b"there is no thread" in told.stderr


def test_whole_pairs_stay() -> None:
    assert sound("\ud83d\ude00") == "\U0001f600"
    assert sound("plain") == "plain"
    data = {"a": ["x", ("y", 1)], "b": None}
    assert sound_json(data) is data
    assert sound_json({"\ud83d": ["\x00", ("z\udc00",)]}) == {"\ufffd": ["\ufffd", ("z\ufffd",)]}
