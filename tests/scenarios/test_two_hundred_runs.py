"""Two hundred runs with tools that hang, exit, die and fork, in one process: each ends, and nothing is left behind."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.scenarios.test_environments import ENDS_S, environment

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for what is left in /proc")
RUNS = 200
LONGEST_S = 180.0  # each has tools with a limit of one second; the rest is the load of the machine
PROGRAM = f"""
import gc, json, os, pathlib, random, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from tests.support import bad_tools

folder = pathlib.Path(sys.argv[1])
names = [name for name in bad_tools.TOLD if name != "asks"]

def left():
    gc.collect()
    threads = sorted(thread.name for thread in threading.enumerate())
    files = sorted(path for entry in os.listdir("/proc/self/fd") if (path := _target(entry)))
    children = pathlib.Path(f"/proc/self/task/{{os.getpid()}}/children").read_text().split()
    return {{"threads": threads, "files": files, "children": children}}

def _target(entry):
    try:
        return os.readlink(f"/proc/self/fd/{{entry}}")
    except FileNotFoundError:
        return ""

def one(number):
    began = time.monotonic()
    plan = bad_tools.plan_of(random.Random(number).sample(names, 4))
    run = orchestrator.run("t", plan=plan, auto_approve=True, thread_id=f"r{{number}}")
    failed = [outcome.error for outcome in run.outcomes.values() if outcome.status != "succeeded"]
    return run.status, failed, time.monotonic() - began

orchestrator = bad_tools.open_job(str(folder / "x.db"))
one(-1)
bad_tools.NEVER.set(); time.sleep(0.5); bad_tools.NEVER.clear()
before = left()
with ThreadPoolExecutor(12) as pool:
    ended = list(pool.map(one, range({RUNS})))
bad_tools.NEVER.set()  # the tools that hang return
deadline = time.monotonic() + 20
while (after := left()) != before and time.monotonic() < deadline:
    time.sleep(0.1)
bad_tools.NEVER.clear()
plan = bad_tools.plan_of(["hangs", "hangs_async"])
orchestrator.run("t", plan=plan, auto_approve=True)
hung = sum(thread.name.startswith("orchestrator-tool") for thread in threading.enumerate())
print(json.dumps({{"ended": ended, "before": before, "after": after, "hung": hung, "time": time.time()}}))
"""


def test_each_run_ends_and_nothing_is_left(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=400, check=False)
    ended = time.time()
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert [(status, failed) for status, failed, _ in report["ended"]] == [("done", [])] * RUNS
    assert max(seconds for _, _, seconds in report["ended"]) < LONGEST_S
    assert report["after"] == report["before"]
    assert report["hung"] == 1, "the program ends with a tool that hangs"
    assert ended - report["time"] < ENDS_S
