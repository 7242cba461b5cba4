"""Programs that fork after they have used the engine, as gunicorn --preload, Celery and multiprocessing do."""

import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.testing import OpenAIServer, TeamScript
from tests.support.teams import step

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
PROGRAM = """
import asyncio, multiprocessing, os, sys, threading
from orchestrator import Supervisor, TaskOrchestrator, Worker, declare
from orchestrator.testing import ScriptedModel, TeamScript, call

plan = [{"id": "a", "description": "look", "target_agent": "clerk", "depends_on": []}]

def scripted(results=None):
    return ScriptedModel(lambda request: TeamScript(plan, results=results)(request))

def made(db=sys.argv[1], tools=(), model=None):
    return TaskOrchestrator(Supervisor(), [Worker("clerk", "You look.", tools=tools)], db=db, model=model or scripted())

def run(orchestrator, name):
    return orchestrator.run("t", auto_approve=True, thread_id=name).status

def child(work):
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if work() == "done" else 4)
        except BaseException as error:
            print(type(error).__name__, error, flush=True)
            os._exit(3)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""


def program(tmp_path: Path, body: str, **environment: str) -> list[str]:
    """Run a program within two minutes and return the lines that it prints."""
    import os

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM + body, str(tmp_path / "x.db")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("db", ["", ", db='memory://'"], ids=["file", "memory"])
def test_an_orchestrator_that_the_parent_has_used_works_in_the_child_and_again_in_the_parent(
    tmp_path: Path, db: str
) -> None:
    body = (
        f"o = made({db.removeprefix(', ')})\n"
        "print(run(o, 'p1'))\nprint(child(lambda: run(o, 'c')))\nprint(run(o, 'p2'))\n"
        "print(sorted(t.id for t in o.threads()))"
    )
    threads = "['p1', 'p2']" if db else "['c', 'p1', 'p2']"
    assert program(tmp_path, body) == ["done", "0", "done", threads]


def test_children_may_use_any_of_the_interfaces(tmp_path: Path) -> None:
    body = (
        "o = made()\nrun(o, 'p')\n"
        "print(child(lambda: asyncio.run(o.arun('t', auto_approve=True, thread_id='c1')).status))\n"
        "state = {'task': 't', 'auto_approve': True}\n"
        "print(child(lambda: o.graph.invoke(state, {'configurable': {'thread_id': 'c2'}})['status']))\n"
        "with multiprocessing.get_context('fork').Pool(2) as pool:\n"
        "    print(pool.starmap(run, [], 1), [pool.apply(run_one, (n,)) for n in range(3)])\n"
    )
    body = "def run_one(number): return run(made(), f'pool{number}')\n" + body
    assert program(tmp_path, body) == ["0", "0", "[] ['done', 'done', 'done']"]


def test_a_fork_while_other_threads_run_tasks(tmp_path: Path) -> None:
    body = (
        "from orchestrator.testing import Gate\nimport tempfile\n"
        "inside, go = threading.Event(), threading.Event()\n"
        "def look(x: str) -> str:\n    'Looks.'\n    inside.set(); go.wait(60); return 'seen'\n"
        "o = made(tools=[look], model=scripted({'a': [call('look', x='1'), 'done']}))\n"
        "ended = []\n"
        "busy = threading.Thread(target=lambda: ended.append(run(o, 'p')))\n"
        "busy.start(); assert inside.wait(60)\n"
        "print(child(lambda: run(made(), 'c')))\n"
        "go.set(); busy.join(60); print(ended)"
    )
    assert program(tmp_path, body) == ["0", "['done']"]


def test_the_childs_end_takes_nothing_from_the_parent(tmp_path: Path) -> None:
    """Neither the lock of the thread that the parent runs nor the session of its Python tool."""
    body = (
        "from orchestrator_tools.python import python_tool\n"
        "tool = python_tool(backend='monty')\nconfig = {'configurable': {'sub_task_key': 'k'}}\n"
        # Flushed, or the child prints it again when it ends.
        "print(tool.invoke({'code': 'x = 7'}, config).strip() or 'nothing', flush=True)\n"
        "o = made()\n"
        "with o.persistence.lease('p'):\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n        sys.exit(0)\n"
        "    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
        "    print(made().persistence.is_leased('p'))\n"
        "print(tool.invoke({'code': 'x + 1'}, config).strip())\n"
    )
    lines = program(tmp_path, body)
    assert lines[1:3] == ["0", "True"]
    assert "8" in lines[-1]


def test_children_send_requests_over_connections_of_their_own(tmp_path: Path) -> None:
    plan = [step("a", agent="clerk")]
    with OpenAIServer(lambda request: TeamScript(plan)(request)) as server:
        body = (
            "from orchestrator import chat_model\nmodel = chat_model()\no = made(model=model)\n"
            "state = {'task': 't', 'auto_approve': True}\n"
            "def invoke(name): return o.graph.invoke(state, {'configurable': {'thread_id': name}})['status']\n"
            "print(invoke('p1'), run(o, 'p2'))\n"
            "pids = [os.fork() for _ in range(1)]\n"
            "if pids[0] == 0:\n    os._exit(0 if (invoke('c1'), run(o, 'c2')) == ('done', 'done') else 1)\n"
            "print(invoke('p3'), run(o, 'p4'))\n"
            "print(os.waitstatus_to_exitcode(os.waitpid(pids[0], 0)[1]))\n"
        )
        lines = program(tmp_path, body, OPENAI_BASE_URL=server.base_url)
    assert lines == ["done done", "done done", "0"]
