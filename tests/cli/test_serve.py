"""`orchestrator serve`, as a process: its address, its errors, Ctrl-C, and two servers on one database."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from orchestrator import OrchestratorClient
from orchestrator.testing import Gate, OpenAIServer, TeamScript, say
from tests.support.page import until
from tests.support.teams import step

LIMIT_S = 60.0
END_S = 2.0


class Serve:
    """A server in a process of its own."""

    def __init__(self, db: Path, *options: str, **environment: str) -> None:
        command = [sys.executable, "-m", "orchestrator", "serve", "--port", "0", "--db", str(db), *options]
        env = {**os.environ, **environment}
        self.process = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True, start_new_session=True)
        assert self.process.stderr is not None
        self.first = self.process.stderr.readline()
        found = re.search(r"http://\S+:\d+", self.first)
        self.address = found[0] if found else ""

    def interrupt(self) -> tuple[int, str, float]:
        """Press Ctrl-C, and return the exit code, what was said, and the seconds until the end."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        said = self.process.communicate(timeout=LIMIT_S)[1]
        return self.process.returncode, said, time.monotonic() - began


@contextmanager
def serving(db: Path, *options: str, **environment: str) -> Iterator[Serve]:
    serve = Serve(db, *options, **environment)
    try:
        yield serve
    finally:
        serve.process.kill()
        serve.process.communicate()


def refused(db: Path, *options: str, **environment: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "orchestrator", "serve", "--db", str(db), *options]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=LIMIT_S)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def test_ctrl_c_ends_it_beside_a_run_and_open_streams_and_the_run_can_be_resumed(tmp_path: Path) -> None:
    db, gate = tmp_path / "x.db", Gate()
    team = [step("a", agent="researcher")]
    script = TeamScript(team, results={"a": say("seven").behind(gate)}, summary="7 [a]")
    with OpenAIServer(script) as model, serving(db, "--base-url", model.base_url, "--runs", "1") as serve:
        for name in ("works", "waits"):
            begun = httpx.post(f"{serve.address}/new", json={"task": "Count", "thread": name, "auto_approve": True})
            assert begun.status_code == 201, begun.text
        gate.entered.wait()
        reads = threading.Event()
        follow = threading.Thread(target=read_all, args=(f"{serve.address}/thread/events?id=works", reads))
        follow.start()
        reads.wait(LIMIT_S)
        code, said, seconds = serve.interrupt()
        follow.join()
        assert (code, "Traceback" not in said) == (130, True), said
        assert "the page is closed; its threads are kept" in said
        assert seconds < END_S, said
        gate.release()
        with OrchestratorClient(db) as client:
            assert {client.show(name).status for name in ("works", "waits")} == {"interrupted"}
        with serving(db, "--base-url", model.base_url) as again:
            for name in ("works", "waits"):
                httpx.post(f"{again.address}/thread?id={name}", json={"do": "resume"})
            with OrchestratorClient(db) as client:
                until(lambda: all(client.show(name).status == "done" for name in ("works", "waits")))


def read_all(address: str, reads: threading.Event) -> None:
    with suppress(httpx.TransportError), httpx.stream("GET", address, timeout=LIMIT_S) as answer:
        for _ in answer.iter_lines():
            reads.set()


def test_two_servers_on_one_database_see_each_others_runs_and_leave_them_alone(tmp_path: Path) -> None:
    db, gate = tmp_path / "x.db", Gate()
    script = TeamScript([step("a", agent="researcher")], results={"a": say("seven").behind(gate)}, summary="7 [a]")
    with OpenAIServer(script) as model, serving(db, "--base-url", model.base_url) as one, serving(db) as two:
        httpx.post(f"{one.address}/new", json={"task": "Count", "thread": "t", "auto_approve": True})
        gate.entered.wait()
        html = {"accept": "text/html"}
        assert "Another process runs it." in httpx.get(f"{two.address}/thread?id=t", headers=html).text
        busy = httpx.post(f"{two.address}/thread?id=t", json={"do": "resume"})
        assert (busy.status_code, "another process" in busy.json()["error"]) == (409, True)
        told = httpx.post(f"{two.address}/thread?id=t", json={"do": "cancel"}, timeout=LIMIT_S)
        assert told.json()["result"] == "cancelled"
        gate.release()


def test_an_address_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, said = refused(tmp_path / "x.db", "--port", str(port))
    assert (code, "another program listens there, choose one with --port" in said) == (2, True)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_others_are_let_in_with_a_token_only(tmp_path: Path, host: str) -> None:
    code, said = refused(tmp_path / "x.db", "--host", host, "--tokens", str(tmp_path / "tokens.json"))
    assert (code, "make a token with `orchestrator token new NAME`" in said) == (2, True)
    with serving(tmp_path / "x.db", "--host", host, ORCHESTRATOR_TOKEN="a-secret-of-mine") as serve:
        port = serve.first.rpartition(":")[2].split("/")[0]
        address = f"http://127.0.0.1:{port}" if host == "0.0.0.0" else f"http://[::1]:{port}"
        assert httpx.get(f"{address}/").status_code == 401
        bearer = {"authorization": "Bearer a-secret-of-mine"}
        assert httpx.get(f"{address}/new", headers=bearer).status_code == 200


def test_without_its_extra_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "uvicorn.py").write_text("raise ModuleNotFoundError('gone', name='uvicorn')")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    code, said = refused(tmp_path / "x.db", PYTHONPATH=path)
    assert (code, "the page needs uvicorn: pip install 'agent-task-orchestrator[serve]'" in said) == (2, True)
