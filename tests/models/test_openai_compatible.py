"""The true HTTP path, over loopback: structured output, tools, usage, and every kind of failure."""

import json
import socket
import struct
import threading
from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import tool

from orchestrator import Supervisor, TaskOrchestrator, Worker, chat_model, declare, reviewer
from orchestrator.errors import MissingModelError, ModelError, PlanError
from orchestrator.models.profile import ModelProfile
from orchestrator.models.settings import ModelSettings
from orchestrator.testing import Fault, Gate, OpenAIServer, Reply, TeamScript, call, say
from tests.support.teams import statuses, step

PLAN = [step("a", agent="tooled"), step("b", "a", agent="plain"), step("r", "b", agent="reviewer")]
RESULTS: Any = {"a": [call("look", what="x"), say("found x")]}


def settings(server: OpenAIServer, **more: Any) -> ModelSettings:
    given: dict[str, Any] = {"base_url": server.base_url, "timeout_s": 20, "max_retries": 0, **more}
    return ModelSettings(**given)


def team_on(server: OpenAIServer, db: Path, **more: Any) -> TaskOrchestrator:
    @tool
    def look(what: str) -> str:
        """Looks something up."""
        return f"{what} is 42"

    workers = [Worker("tooled", "You look.", tools=[declare(look)]), Worker("plain", "You work."), reviewer()]
    return TaskOrchestrator(Supervisor(), workers, model=chat_model(settings(server, **more)), db=str(db))


def test_a_whole_run_over_http_by_url_alone(tmp_path: Path) -> None:
    with (
        OpenAIServer(TeamScript(PLAN, results=RESULTS), models=["served"]) as server,
        team_on(server, tmp_path / "x") as o,
    ):
        run = o.run("task", auto_approve=True)
        assert run.status == "done"
        assert run.usage["input_tokens"] > 0
        assert run.usage["tool_calls"] == 1
        assert run.usage["model_calls"] == len(server.bodies)
        assert {body["model"] for body in server.bodies} == {"served"}
        assert any("x is 42" in str(body["messages"]) for body in server.bodies)


def test_the_planner_asks_for_a_strict_schema_and_the_worker_for_its_tools(tmp_path: Path) -> None:
    with OpenAIServer(TeamScript(PLAN, results=RESULTS)) as server, team_on(server, tmp_path / "x") as o:
        o.run("task", auto_approve=True)
    assert server.bodies[0]["response_format"]["json_schema"]["name"] == "Plan"
    assert server.bodies[0]["response_format"]["json_schema"]["strict"] is True
    assert [t["function"]["name"] for t in server.bodies[1]["tools"]] == ["look"]


def test_the_blocking_path_speaks_the_same(tmp_path: Path) -> None:
    with OpenAIServer(TeamScript(PLAN, results=RESULTS)) as server, team_on(server, tmp_path / "x") as o:
        state = o.graph.invoke({"task": "go", "auto_approve": True}, {"configurable": {"thread_id": "t"}})
        assert state["status"] == "done"


def test_an_endpoint_without_tools_and_schemas_is_found_out_and_served_in_words(tmp_path: Path) -> None:
    def no_tools_no_schema(body: dict[str, Any]) -> Fault | None:
        if body.get("tools"):
            return Fault(400, "tools are not supported by this model")
        if body.get("response_format"):
            return Fault(400, "unknown field response_format")
        return None

    plan = json.dumps({"sub_tasks": [step("a", agent="tooled")]})

    def script(request: Any) -> Any:
        if "Write the final answer" in request.last_user:
            return say("the answer [a]")
        if "Sub-task a" in request.text:
            return say(
                '{"tool": "answer", "text": "x is 42"}'
                if request.step
                else 'So:\n{"tool": "look", "args": {"what": "x"}}'
            )
        return say(f"Here is the plan:\n```json\n{plan}\n```")

    with OpenAIServer(script, faults=no_tools_no_schema) as server, team_on(server, tmp_path / "x") as o:
        run = o.run("task", auto_approve=True)
        assert run.status == "done"
        assert run.usage["tool_calls"] == 1
        assert [e.text for e in o.memory.all()] == ["x is 42"]


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault(401, "Incorrect API key provided"), "wants a key"),
        (Fault(403, "not yours"), "does not allow"),
        (Fault(404, "no such model"), "--model"),
        (Fault(429, "slow down", (("Retry-After", "0"),)), "refuses more requests"),
        (Fault(500, "oops"), "failed with 500"),
        (Fault(503, "busy"), "failed with 503"),
        (Fault(0), "cannot reach"),
        (Fault(200, raw="<html>hello</html>"), "no chat completion"),
        (Fault(200, raw='{"choices": []}'), "no chat completion"),
    ],
    ids=["401", "403", "404", "429", "500", "503", "cut", "html", "no choices"],
)
def test_a_failing_endpoint_is_one_clear_line_and_the_thread_goes_on_once_it_is_mended(
    tmp_path: Path, fault: Fault, told: str
) -> None:
    with (
        OpenAIServer(TeamScript(PLAN, results=RESULTS), faults=[fault]) as server,
        team_on(server, tmp_path / "x") as o,
    ):
        with pytest.raises(ModelError, match=told) as raised:
            o.run("task", thread_id="t", auto_approve=True)
        assert "\n" not in str(raised.value)
        assert o.resume("t").status == "done"


def test_a_worker_whose_endpoint_fails_pauses_and_only_its_branch(tmp_path: Path) -> None:
    plan = [step("a", agent="plain"), step("after_a", "a", agent="plain"), step("b", agent="plain")]
    broken = [True]

    def faults(body: dict[str, Any]) -> Fault | None:
        return Fault(401, "bad key") if broken[0] and "Sub-task a:" in str(body["messages"]) else None

    with OpenAIServer(TeamScript(plan), faults=faults) as server, team_on(server, tmp_path / "x") as o:
        run = o.run("task", thread_id="t", auto_approve=True)
        assert run.status == "failed"
        assert run.is_resumable
        assert "wants a key" in run.errors[0]
        assert statuses(run.outcomes) == {"b": "succeeded"}
        broken[0] = False
        assert o.resume("t").status == "done"
        asked = [body for body in server.bodies if "Sub-task b:" in str(body["messages"][-1])]
        assert len(asked) == 1


def test_passing_failures_are_retried(tmp_path: Path) -> None:
    faults = [Fault(500), Fault(429, "wait", (("Retry-After", "0"),))]
    with (
        OpenAIServer(TeamScript(PLAN, results=RESULTS), faults=faults) as server,
        team_on(server, tmp_path / "x", max_retries=3) as o,
    ):
        assert o.run("task", auto_approve=True).status == "done"


def test_a_refused_key_is_not_tried_again(tmp_path: Path) -> None:
    with (
        OpenAIServer(TeamScript(PLAN), key="right") as server,
        team_on(server, tmp_path / "x", max_retries=3, model="m", api_key="wrong") as o,
    ):
        with pytest.raises(ModelError, match="refuses the key"):
            o.run("task", auto_approve=True)
        assert len(server.bodies) == 1


def test_a_hanging_endpoint_is_given_up_after_the_time_limit(tmp_path: Path) -> None:
    gate = Gate()
    with (
        OpenAIServer(lambda _: say("late").behind(gate)) as server,
        team_on(server, tmp_path / "x", timeout_s=0.3) as o,
    ):
        with pytest.raises(ModelError, match="ORCHESTRATOR_TIMEOUT_S"):
            o.run("task", auto_approve=True)
        gate.release()


def test_a_host_that_is_not_there(tmp_path: Path) -> None:
    with OpenAIServer([]) as gone:
        pass
    with pytest.raises(ModelError, match="cannot reach"):
        chat_model(settings(gone))


def test_an_endpoint_that_lists_no_models_must_be_told_one() -> None:
    with OpenAIServer([], models=[]) as server, pytest.raises(MissingModelError, match="--model"):
        chat_model(settings(server))


def test_prose_instead_of_a_plan_ends_with_a_clear_failure(tmp_path: Path) -> None:
    with (
        OpenAIServer(lambda _: say("I would rather not.")) as server,
        team_on(server, tmp_path / "x") as o,
        pytest.raises(PlanError, match="asked 3 times"),
    ):
        o.run("task", auto_approve=True)


def test_what_a_reasoning_model_thought_stays_out_of_plans_results_and_the_answer(tmp_path: Path) -> None:
    from dataclasses import replace

    draft = json.dumps({"sub_tasks": [step(name, agent="plain") for name in "xyz"]})
    script = TeamScript([step("a", agent="plain")], summary="the answer [a]")

    def aloud(request: Any) -> Reply:
        reply = script(request)
        return replace(reply, text=f"<think>\nFirst {draft}, no.\n</think>\n\n{reply.text}")

    with OpenAIServer(aloud) as server, team_on(server, tmp_path / "x") as o:
        run = o.run("task", auto_approve=True)
        assert (run.status, run.answer) == ("done", "the answer")
        assert [entry.text for entry in o.memory.all()] == ["result of a"]
        assert len(server.bodies) == 3, "nothing had to be asked again"


def test_no_usage_is_no_error(tmp_path: Path) -> None:
    from dataclasses import replace

    script = TeamScript([step("a", agent="plain")])
    with OpenAIServer(lambda r: replace(script(r), usage=False)) as server, team_on(server, tmp_path / "x") as o:
        run = o.run("task", auto_approve=True)
        assert run.status == "done"
        assert run.usage["model_calls"] == 3
        assert run.usage["input_tokens"] > 0, "estimated, so that a loop that reports none ends too"


def test_the_description_and_the_window_of_a_model() -> None:
    with OpenAIServer([]) as server:
        model = chat_model(settings(server, window=2048))
        assert ModelProfile.of(model).description == f"scripted ({server.base_url})"
        assert ModelProfile.of(model).window == 2048


def test_a_client_that_is_gone_before_its_answer_is_no_error_of_the_server(capsys: pytest.CaptureFixture[str]) -> None:
    gate, before = Gate(), set(threading.enumerate())
    with OpenAIServer([Reply("Too late. " * 100_000, gate=gate)]) as server:
        host, _, port = server.base_url.removeprefix("http://").removesuffix("/v1").partition(":")
        body = json.dumps({"model": "scripted", "messages": []}).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        with socket.create_connection((host, int(port))) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.sendall(head + body)
            assert gate.entered.wait(30)
        answering = [t for t in threading.enumerate() if "process_request" in t.name and t not in before]
        assert answering
        gate.release()
        for thread in answering:
            thread.join()
    assert capsys.readouterr() == ("", "")


def test_without_any_model_it_is_said_what_to_do() -> None:
    with pytest.raises(MissingModelError, match="orchestrator model fetch"):
        chat_model(ModelSettings())
