"""Record threads in many states into one database, for `scenarios/test_recorded_threads.py`.

Run it with the version whose threads are to be kept: `python -m tests.support.recorded_threads threads.db`. It uses
public names only, so that any version can run it. `scenarios/recorded` keeps them.
"""

import multiprocessing
import os
import signal
import sqlite3
import sys
from typing import Any

from langchain_core.tools import tool

from orchestrator import Budget, Supervisor, TaskOrchestrator, Team, Worker, declare, reviewer
from orchestrator.testing import ScriptedModel, TeamScript, call, say

KILLED = "killed"
PLANS: dict[str, list[dict[str, Any]]] = {
    "done": [{"id": "a", "target_agent": "worker"}, {"id": "b", "target_agent": "worker", "depends_on": ["a"]}],
    "plan": [{"id": "a", "target_agent": "worker"}, {"id": "b", "target_agent": "worker", "depends_on": ["a"]}],
    "result": [
        {"id": "a", "target_agent": "worker", "requires_approval": True},
        {"id": "b", "target_agent": "worker"},
        {"id": "c", "target_agent": "worker", "depends_on": ["a", "b"]},
    ],
    "tool": [{"id": "a", "target_agent": "worker"}, {"id": "w", "target_agent": "writer", "depends_on": ["a"]}],
    KILLED: [{"id": "a", "target_agent": "worker"}, {"id": "k", "target_agent": "reader", "depends_on": ["a"]}],
    "spent": [{"id": "a", "target_agent": "worker"}, {"id": "b", "target_agent": "worker", "depends_on": ["a"]}],
}
RESULTS: dict[str, Any] = {
    "w": [call("write", text="hello"), say("written")],
    "k": [call("look", at="first"), call("look", at="second"), say("looked twice")],
}


def open_threads(db: str, plan: list[dict[str, Any]], calls: list[str], *, kills: bool = False) -> TaskOrchestrator:
    """Open a database with the team of the recorded threads.

    Args:
        db: The database.
        plan: The plan that the scripted supervisor makes.
        calls: Receives a line for each call of a tool.
        kills: End this process with SIGKILL at the second call of `look`.
    """

    @tool
    def write(text: str) -> str:
        """Write a text down."""
        calls.append(f"write {text}")
        return f"wrote {text}"

    @tool
    def look(at: str) -> str:
        """Look at something."""
        if kills and at == "second":
            os.kill(os.getpid(), signal.SIGKILL)
        calls.append(f"look {at}")
        return f"saw {at}"

    declare(write, risk="write", effect="once")
    declare(look, risk="read", effect="none")
    workers = [
        Worker("worker", "You work."),
        Worker("writer", "You write.", tools=[write]),
        Worker("reader", "You read.", tools=[look]),
        reviewer(),
    ]
    described = [{"description": f"do {sub_task['id']}", **sub_task} for sub_task in plan]
    model = ScriptedModel(TeamScript(described, results=RESULTS))
    return TaskOrchestrator(team=Team(Supervisor(), workers, model=model), db=db)


def record(db: str, thread: str) -> None:
    """Record one thread up to the state that gives the thread its name."""
    budget = Budget(model_calls=3) if thread == "spent" else None
    with open_threads(db, PLANS[thread], [], kills=thread == KILLED) as orchestrator:
        run = orchestrator.run(f"the task of {thread}", thread_id=thread, budget=budget)
        while thread != "plan" and any(review.kind == "plan" for review in run.reviews):
            orchestrator.decide(run.reviews[0].id, "approve")
            run = orchestrator.resume(thread)


def main(db: str) -> None:
    """Record all threads, each in a process of its own."""
    for thread in PLANS:
        child = multiprocessing.get_context("spawn").Process(target=record, args=(db, thread))
        child.start()
        child.join()
        assert child.exitcode == (-signal.SIGKILL if thread == KILLED else 0), (thread, child.exitcode)
    connection = sqlite3.connect(db)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("VACUUM")
    connection.close()


if __name__ == "__main__":
    main(sys.argv[1])
