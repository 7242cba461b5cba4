"""The graph's output at its stops: the open reviews, the status, the results and what the run has used."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from langgraph.errors import GraphInterrupt

from orchestrator.graph.invocation import Invocation
from orchestrator.graph.state import ReportedStatus, ResultOutput
from orchestrator.graph.supervision.turn import Turn, Update
from orchestrator.memory.shared_memory import SharedMemory
from orchestrator.planning.assessment import current
from orchestrator.reviews.open_reviews import asked
from orchestrator.reviews.payload import review_payload
from orchestrator.reviews.review import Review

HELD = "held"
"""The kind of the interrupt of a node that asks nothing."""

# LangGraph 1.2 keeps the function that writes to channels under this key of the config; there is no public way to ask.
_SEND_KEY = "__pregel_send"


def results_of(memory: SharedMemory, outcomes: Iterable[dict[str, Any]]) -> dict[str, ResultOutput]:
    """Return the results by sub-task id.

    Args:
        memory: The shared memory; loaded.
        outcomes: The outcomes in plain form.
    """
    results: dict[str, ResultOutput] = {}
    for outcome in outcomes:
        entry = memory.seen(outcome["key"])
        result = ResultOutput(
            text=entry.text if entry is not None else "",
            status=outcome["status"],
            agent=outcome.get("agent", ""),
            sources=list(entry.sources) if entry is not None else [],
        )
        if outcome.get("error"):
            result["error"] = outcome["error"]
        if outcome.get("verdict"):
            result["verdict"] = dict(outcome["verdict"])
        if entry is not None and entry.taint:
            result["tainted_by"] = list(entry.taint)
        results[outcome["id"]] = result
    return results


async def report_stop(turn: Turn, update: Update) -> Update:
    """Return what a turn of the supervisor adds to the output: open reviews and results where the run stops."""
    phase = update.get("phase")
    is_gate = phase in ("approve_plan", "human_review")
    report: Update = {}
    plan, outcomes = turn.accepted_plan, turn.outcomes
    if is_gate:
        report = {
            "status": "waiting",
            "reviews": [review_payload(Review.model_validate(update.get("review") or turn.state["review"]))],
        }
    elif turn.state.get("status") == "waiting" or turn.state.get("reviews"):  # begun again, without the gate's answer
        report = {"status": update.get("status", "running"), "reviews": []}
    if is_gate or phase == "end":
        report["results"] = {}
    if "results" in report and plan is not None and outcomes:
        await turn.memory.load(turn.invocation.bridge)
        report["results"] = results_of(turn.memory, (o.plain() for o in current(plan, outcomes).values()))
    return report


@contextmanager
def reporting_pauses(invocation: Invocation) -> Iterator[None]:
    """Add the reviews with which the node pauses inside the block to the graph's output."""
    try:
        yield
    except GraphInterrupt as pause:
        _report_pause(invocation, pause)
        raise


def _report_pause(invocation: Invocation, pause: GraphInterrupt) -> None:
    payloads = [interrupt.value for interrupt in (pause.args[0] if pause.args else ())]
    reviews = tuple(payload for payload in payloads if _is_review(payload))
    if all(_is_held(payload) for payload in payloads):
        return  # it waits for the review of another node
    # LangGraph 1.2 applies what an interrupted node has written to the output of this invocation and saves none of it.
    # So the node may run again and write anew.
    report: dict[str, Any] = {"status": ReportedStatus("waiting" if reviews else "failed"), "reviews": reviews}
    if spent := invocation.ledger.spent.counters():
        report["usage"] = (spent,)
    for payload in reviews:
        invocation.journal.note(asked(Review.of_payload(payload)))
    send = invocation.config.get("configurable", {}).get(_SEND_KEY)
    if send is not None:
        send(list(report.items()))


def _is_held(payload: object) -> bool:
    return isinstance(payload, dict) and payload.get("kind") == HELD


def _is_review(payload: object) -> bool:
    return isinstance(payload, dict) and "id" in payload and "question" in payload
