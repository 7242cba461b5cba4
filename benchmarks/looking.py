"""CPU of the commands that only look, beside that of Python itself and of importing LangGraph."""

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from orchestrator.cli.main import main
from orchestrator.testing import OpenAIServer, TeamScript

_REPETITIONS = 7
_PLAN = [{"id": "a", "description": "look", "target_agent": "researcher"}]


def cpu(*words: str) -> float:
    """Return the median seconds of CPU of a Python process, user and system."""
    seconds = []
    for _ in range(_REPETITIONS + 1):
        before = os.times()
        subprocess.run([sys.executable, *words], capture_output=True, check=True)
        after = os.times()
        used = after.children_user + after.children_system - before.children_user - before.children_system
        seconds.append(used)
    return statistics.median(seconds[1:])  # the first one may have compiled


def make_threads(db: str) -> None:
    """Make one thread that is done and one that waits."""
    for thread, options in (("done", ["--auto-approve"]), ("waits", [])):
        with OpenAIServer(TeamScript(_PLAN)) as server, contextlib.suppress(SystemExit):
            main(["run", "x", "--base-url", server.base_url, "--db", db, "--thread", thread, "--json", *options])


def measure() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        db = str(Path(folder) / "runs.db")
        make_threads(db)
        commands = {
            "--help": ["--help"],
            "run --help": ["run", "--help"],
            "threads": ["threads", "--db", db],
            "model list": ["model", "list"],
            "show": ["show", "done", "--db", db],
            "reviews": ["reviews", "--db", db],
            "tools": ["tools"],
            "graph": ["graph"],
        }
        print(f"{'python -c pass':20}{cpu('-c', 'pass'):6.2f} s")
        print(f"{'import langgraph':20}{cpu('-c', 'import langgraph.graph'):6.2f} s")
        for name, words in commands.items():
            print(f"{name:20}{cpu('-m', 'orchestrator', *words):6.2f} s")


if __name__ == "__main__":
    measure()
