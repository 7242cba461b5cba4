"""Cancelling and steering from another process: real programs, and kills at the moments that matter."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator import OrchestratorClient
from orchestrator.testing import Gate, OpenAIServer, TeamScript, say
from tests.support.teams import open_team, step

PLAN = [step("a"), step("b", "a")]
TEAM = """
from orchestrator import Supervisor, Team, Worker
team = Team(Supervisor(), [Worker("worker", "You work.")])
"""


def command(folder: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "orchestrator", *words, "--db", str(folder / "x.db")]


def environment(folder: Path, server: OpenAIServer) -> dict[str, str]:
    python_path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    endpoint = {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "x", "ORCHESTRATOR_MODEL": "m"}
    return {**os.environ, **endpoint, "PYTHONPATH": python_path}


@contextmanager
def program(folder: Path, gate: Gate) -> Iterator[tuple[subprocess.Popen[str], OpenAIServer]]:
    """Run `orchestrator run` in a process of its own, up to the model call of b, which hangs at the gate."""
    (folder / "own_team.py").write_text(TEAM)
    script = TeamScript(PLAN, results={"b": say("result of b").behind(gate)})
    with OpenAIServer(script) as server:
        words = ("run", "go", "--thread", "t", "--team", "own_team:team", "--auto-approve", "--json")
        process = subprocess.Popen(
            command(folder, *words),
            env=environment(folder, server),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert gate.entered.wait(60), process.communicate()
            yield process, server
        finally:
            gate.release()
            process.kill()
            process.communicate()


def wait_until(is_true: Callable[[], object]) -> None:
    last = time.monotonic() + 20
    while not is_true():
        assert time.monotonic() < last
        time.sleep(0.01)


def test_a_program_is_cancelled_by_another_and_resumed_by_a_third(tmp_path: Path) -> None:
    gate = Gate()
    with program(tmp_path, gate) as (process, server):
        env = environment(tmp_path, server)
        cancel = subprocess.run(
            command(tmp_path, "cancel", "t", "--json"), env=env, capture_output=True, text=True, check=True
        )
        assert json.loads(cancel.stdout) == {"thread_id": "t", "result": "cancelled"}
        stdout, _ = process.communicate(timeout=10)
        run = json.loads(stdout)
        assert (process.returncode, run["status"]) == (1, "interrupted")
        assert run["errors"][0].startswith("cancelled by ")
        assert [*run["outcomes"]] == ["a"]
        gate.release()
        words = ("resume", "t", "--json")
        resumed = subprocess.run(command(tmp_path, *words), env=env, capture_output=True, text=True, check=True)
        assert json.loads(resumed.stdout)["status"] == "done"
        assert len(server.bodies) == 5  # plan, a, b twice, and the answer


def test_it_ends_within_two_seconds_of_the_order(tmp_path: Path) -> None:
    with program(tmp_path, Gate()) as (process, _), OrchestratorClient(tmp_path / "x.db") as client:
        began = time.monotonic()
        assert client.cancel("t") == "cancelled"
        assert time.monotonic() - began < 2
        assert process.wait(10) == 1


def test_a_run_that_is_killed_before_it_sees_the_order_can_be_resumed(tmp_path: Path) -> None:
    gate = Gate()
    with program(tmp_path, gate) as (process, _), OrchestratorClient(tmp_path / "x.db") as client:
        os.kill(process.pid, signal.SIGSTOP)  # it looks no more, and holds its thread
        with ThreadPoolExecutor(1) as pool:
            cancelling = pool.submit(client.cancel, "t")
            wait_until(lambda: client.persistence.store.get(("orchestrator", "cancel"), "t"))
            os.kill(process.pid, signal.SIGKILL)
            assert cancelling.result(10) == "not running"
        gate.release()
        with open_team(TeamScript(PLAN), tmp_path / "x.db") as one:
            assert one.show("t").errors == ()
            run = one.resume("t", allow_other_model=True)
            assert (run.status, run.errors) == ("done", ())


def test_an_order_whose_giver_is_killed_is_still_obeyed_and_by_that_run_only(tmp_path: Path) -> None:
    gate = Gate()
    with program(tmp_path, gate) as (process, server), OrchestratorClient(tmp_path / "x.db") as client:
        os.kill(process.pid, signal.SIGSTOP)
        giver = subprocess.Popen(command(tmp_path, "cancel", "t"), env=environment(tmp_path, server))
        wait_until(lambda: client.persistence.store.get(("orchestrator", "cancel"), "t"))
        giver.kill()
        giver.wait()
        os.kill(process.pid, signal.SIGCONT)
        assert process.wait(10) == 1
        assert client.show("t").status == "interrupted"
        gate.release()
        with open_team(TeamScript(PLAN), tmp_path / "x.db") as one:
            assert one.resume("t", allow_other_model=True).status == "done"


@pytest.mark.parametrize("ends_first", [True, False])
def test_a_cancel_in_the_moment_when_the_run_ends_tells_the_truth(tmp_path: Path, ends_first: bool) -> None:
    """The run is held in its last event, when its answer is durable or just before."""
    at_end, go_on = threading.Event(), threading.Event()
    kinds = ("answer",) if ends_first else ("summarize",)

    def hold(event: object) -> None:
        if getattr(event, "kind", "") in kinds:
            at_end.set()
            go_on.wait(20)

    with open_team(TeamScript(PLAN), tmp_path / "x.db") as one, OrchestratorClient(tmp_path / "x.db") as other:
        with ThreadPoolExecutor(2) as pool:
            # On a loop of its own, since the callback blocks the loop, and `cancel` runs on the background loop.
            running = pool.submit(lambda: asyncio.run(one.arun("go", thread_id="t", auto_approve=True, on_event=hold)))
            assert at_end.wait(20)
            cancelling: Future[str] = pool.submit(other.cancel, "t")
            wait_until(lambda: other.persistence.store.get(("orchestrator", "cancel"), "t"))
            go_on.set()
            run, result = running.result(10), cancelling.result(10)
        assert (run.status, result) in {("done", "not running"), ("interrupted", "cancelled")}
        assert other.show("t").status == run.status
        if run.status == "interrupted":
            assert one.resume("t").status == "done"


def test_an_instruction_of_another_program_outlives_a_kill(tmp_path: Path) -> None:
    gate = Gate()
    with program(tmp_path, gate) as (process, server):
        steer = subprocess.run(
            command(tmp_path, "steer", "t", "prefer Spanish sources", "--json"),
            env=environment(tmp_path, server),
            capture_output=True,
            text=True,
            check=True,
        )
        said = json.loads(steer.stdout)
        assert (said["thread_id"], said["number"], said["text"]) == ("t", 1, "prefer Spanish sources")
        assert said["running"] is True
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        gate.release()
        with open_team(TeamScript(PLAN), tmp_path / "x.db") as one:
            run = one.resume("t", allow_other_model=True)
            assert run.status == "done"
            assert [i.text for i in run.instructions] == ["prefer Spanish sources"]
            of_b, look, answer = one.supervisor.model.requests  # type: ignore[attr-defined]
            assert "Sub-task b" in of_b.text
            assert all("prefer Spanish sources" in asked.text for asked in (of_b, look, answer))
