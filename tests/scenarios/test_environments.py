"""Bad tools in every environment that people run programs in: each tool's fault is told in its own words, the runs end,
and the process ends in time with hung tools in it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import nbformat
import pytest
from langgraph.graph import END, START, StateGraph
from nbclient import NotebookClient
from typing_extensions import TypedDict

from tests.support import bad_tools
from tests.support.studio import END_S, Studio, free_port

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
ROOT = Path(__file__).resolve().parents[2]
START_S = 120.0
ENDS_S = 3.0  # a program ends so soon after its last line, whatever hangs in it

SCRIPT = """
import json, sys, time
from tests.support import bad_tools
with bad_tools.open_job(sys.argv[1]) as orchestrator:
    wrong = bad_tools.check(orchestrator)
print(json.dumps(wrong), time.time(), sep="\\n")
"""
FORKS = """
import json, multiprocessing, sys, time
from concurrent.futures import ProcessPoolExecutor
from tests.support import bad_tools

def work(number):
    "A worker of a pool: it uses what the parent has opened, and opens its own."
    own = bad_tools.open_job(sys.argv[1])
    return bad_tools.check(orchestrator, f"child{number}") + bad_tools.check(own, f"own{number}")

orchestrator = bad_tools.open_job(sys.argv[1])
wrong = bad_tools.check(orchestrator, "parent")
# Not multiprocessing's own pool, whose daemonic workers may start no processes: one of the tools does.
with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
    wrong += [line for lines in pool.map(work, range(2)) for line in lines]
print(json.dumps(wrong), time.time(), sep="\\n")
"""
THREADS = """
import json, sys, time
from concurrent.futures import ThreadPoolExecutor
from tests.support import bad_tools
with bad_tools.open_job(sys.argv[1]) as orchestrator, ThreadPoolExecutor(6) as pool:
    wrong = [line for lines in pool.map(lambda n: bad_tools.check(orchestrator, f"t{n}"), range(6)) for line in lines]
print(json.dumps(wrong), time.time(), sep="\\n")
"""
WEB = """
import os
from fastapi import FastAPI
from tests.support import bad_tools

orchestrator = bad_tools.open_job(os.environ["JOB_DB"])
app = FastAPI()

@app.get("/blocking/{name}")
def blocking(name: str) -> dict:
    return {"wrong": bad_tools.check(orchestrator, name), "pid": os.getpid()}

@app.get("/async/{name}")
async def asynchronous(name: str) -> dict:
    return {"wrong": await bad_tools.acheck(orchestrator, name), "pid": os.getpid()}
"""
PRELOADED = """
import json, os
from tests.support import bad_tools

# --preload: the program has used its orchestrator before the server forks its workers.
orchestrator = bad_tools.open_job(os.environ["JOB_DB"])
assert bad_tools.check(orchestrator, "before") == []

def app(environ, start_response):
    name = environ["PATH_INFO"].rpartition("/")[2]
    wrong = [] if name == "openapi.json" else bad_tools.check(orchestrator, name)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"wrong": wrong, "pid": os.getpid()}).encode()]
"""


def environment(**more: str) -> dict[str, str]:
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": paths, "PYTHONWARNINGS": "ignore", **more}


@pytest.mark.parametrize("program", [SCRIPT, FORKS, THREADS], ids=["script", "forked workers", "thread pool"])
def test_a_program_hears_every_fault_and_ends_in_time(program: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", program, str(tmp_path / "x.db")]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=240, check=False)
    ended = time.time()
    assert done.returncode == 0, done.stdout + done.stderr
    wrong, last_line = done.stdout.splitlines()[-2:]
    assert json.loads(wrong) == []
    assert ended - float(last_line) < ENDS_S


def test_a_notebook(tmp_path: Path) -> None:
    cells = [
        f"from tests.support import bad_tools\norchestrator = bad_tools.open_job({str(tmp_path / 'x.db')!r})",
        "assert bad_tools.check(orchestrator, 'blocking') == []",
        "assert await bad_tools.acheck(orchestrator, 'awaited') == []",
        "run = orchestrator.show('awaited'); run",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=240, kernel_name="python3").execute(env=environment())
    shown = notebook.cells[-1].outputs[0]["data"]
    assert "forks done" in shown["text/html"]


@contextmanager
def serving(command: list[str], port: int, **more: str) -> Iterator[str]:
    """A web server in a process of its own, which must end in time when it is asked to."""
    process = subprocess.Popen(command, env=environment(**more), start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + START_S
        while not _answers(f"{url}/openapi.json"):
            assert process.poll() is None, "the server has ended"
            assert time.monotonic() < deadline, "the server did not come up"
            time.sleep(0.1)
        yield url
        process.terminate()
        process.wait(timeout=END_S)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def web_command(kind: str, tmp_path: Path, port: int) -> list[str]:
    (tmp_path / "web_app.py").write_text(WEB if kind == "uvicorn" else PRELOADED)
    if kind == "uvicorn":
        return [sys.executable, "-m", "uvicorn", "web_app:app", "--app-dir", str(tmp_path), "--port", str(port)]
    options = ["--preload", "-w", "2", "-k", "gthread", "--threads", "2", "--chdir", str(tmp_path)]
    return [sys.executable, "-m", "gunicorn", "web_app:app", *options, "-b", f"127.0.0.1:{port}", "-t", "240"]


@pytest.mark.parametrize("kind", ["uvicorn", "gunicorn"])
def test_a_web_server(kind: str, tmp_path: Path) -> None:
    port = free_port()
    command = web_command(kind, tmp_path, port)
    with serving(command, port, JOB_DB=str(tmp_path / "x.db")) as url:
        asked = [f"{url}/{way}/{way}{number}" for number in range(2) for way in ("blocking", "async")]
        answers = _get_all(asked)
    assert [answer["wrong"] for answer in answers] == [[]] * 4


def _get_all(urls: list[str]) -> list[dict[str, object]]:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(len(urls)) as pool:
        # A connection for each, so that several workers share them.
        return list(pool.map(lambda url: httpx.get(url, timeout=240).json(), urls))


class Outer(TypedDict, total=False):
    """The state of a graph of the user's own."""

    wrong: list[str]


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
async def test_a_node_of_another_graph(way: str, tmp_path: Path) -> None:
    orchestrator = bad_tools.open_job(str(tmp_path / "x.db"))

    def blocking(state: Outer) -> Outer:
        return {"wrong": bad_tools.check(orchestrator)}

    async def awaited(state: Outer) -> Outer:
        return {"wrong": await bad_tools.acheck(orchestrator)}

    builder = StateGraph(Outer)
    builder.add_node("job", blocking if way == "invoke" else awaited)
    builder.add_edge(START, "job")
    builder.add_edge("job", END)
    graph = builder.compile()
    with orchestrator:
        state = graph.invoke({}) if way == "invoke" else await graph.ainvoke({})
    assert state["wrong"] == []


def test_langgraphs_server(tmp_path: Path) -> None:
    (tmp_path / "bad_graph.py").write_text(
        "from orchestrator import compile_graph\nfrom tests.support import bad_tools\n"
        "team = bad_tools.team()\nteam.use_model(bad_tools.model())\ngraph = compile_graph(team)\n"
    )
    config = {"dependencies": ["."], "graphs": {"bad": "./bad_graph.py:graph"}}
    (tmp_path / "langgraph.json").write_text(json.dumps(config))
    studio = Studio(tmp_path, "http://127.0.0.1:9", config=tmp_path / "langgraph.json")
    studio.start()
    try:
        thread = studio.client.threads.create()["thread_id"]
        values = studio.client.runs.wait(thread, "bad", input={"task": "try all", "auto_approve": True})
        (asked,) = values["__interrupt__"]
        answered = studio.client.runs.wait(thread, "bad", command={"resume": {asked["id"]: "Oslo"}})
        assert answered["status"] == "done"
        assert {i: result["text"] for i, result in answered["results"].items()} == {
            i: f"{i} done" for i in bad_tools.TOLD
        }
    finally:
        studio.end()
