"""Verdicts and plans for tests of work that is sent back."""

from collections.abc import Callable
from typing import Any

from orchestrator.testing import Gate, Reply, Request
from tests.support.running import planned
from tests.support.teams import step

ACCEPT = {"verdict": "accept", "sub_task_id": "", "reason": "right"}
SLOW = planned(step("a"), step("judge", "a", agent="reviewer"), step("last", "judge"), step("slow"))


def again(reason: str = "count again", task_id: str = "a") -> dict[str, Any]:
    """Return the verdict that sends a sub-task back."""
    return {"verdict": "changes_requested", "sub_task_id": task_id, "reason": reason}


def behind(gate: Gate, verdict_of: str, script: Callable[[Request], Reply]) -> Callable[[Request], Reply]:
    """Return a script in which the first verdict of a reviewer is held back."""
    gates = [gate]

    def answer(request: Request) -> Reply:
        is_verdict = request.title == "Verdict" and f"Sub-task {verdict_of}: " in request.text
        reply = script(request)
        return reply.behind(gates.pop()) if is_verdict and gates else reply

    return answer
