"""Reading the run of a thread from its saved state and the rows of its store, whichever way both are read."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.budget.saved.ledger_rows import BUDGET_ROW, read_rows
from orchestrator.budget.spending import Spending
from orchestrator.concurrency import AWAITING
from orchestrator.errors import PlanError, UnknownThreadError
from orchestrator.graph.saved.plain_state import SavedState
from orchestrator.graph.saved.rework_notes import note_key, reworked, reworks_in
from orchestrator.memory.entry import Entry
from orchestrator.memory.turns import read_turns
from orchestrator.persistence.damage import UNREADABLE_ERRORS, unreadable_thread
from orchestrator.persistence.namespaces import namespace
from orchestrator.persistence.rows.pages import read_keys
from orchestrator.persistence.used_models import UsedModels
from orchestrator.persistence.workspace import artifacts_in
from orchestrator.planning.plan import Plan
from orchestrator.reports.results import read_results
from orchestrator.reviews.review import Review
from orchestrator.reviews.saved.cancel_orders import CancelOrder, last_cancelled
from orchestrator.reviews.saved.decisions import recorded_decision
from orchestrator.reviews.saved.instructions import instructions_of
from orchestrator.reviews.saved.reviews import open_reviews
from orchestrator.runs.run import Run, Snapshot
from orchestrator.runs.threads.record import ThreadRecord
from orchestrator.text import sound

if TYPE_CHECKING:
    from orchestrator.persistence.rows.pages import Rows


@contextmanager
def reading_thread(thread_id: str) -> Iterator[None]:
    """Tell of rows of another shape in one line that names their thread, so that it can be deleted.

    Raises:
        PersistenceError: What is stored of the thread cannot be read.
    """
    try:
        yield
    except (PlanError, *UNREADABLE_ERRORS) as error:
        raise unreadable_thread(thread_id, error) from error


async def run_of(store: "Rows", thread_id: str, newest: Callable[[], Awaitable[Snapshot]], workspace: Path) -> Run:
    """Return a thread's state as a person sees it, without its results.

    Args:
        store: The store of the thread.
        thread_id: The thread.
        newest: Reads the newest state.
        workspace: The folder of the thread's files.
    """
    # A run that pauses saves its reviews with the state and then deletes their rows: read the other way round, a review
    # could be missed in both places.
    waiting = await open_reviews(AWAITING, store, thread_id)
    snapshot = await newest()
    rows = await read_rows(AWAITING, store, thread_id)
    begun = rows.pop(BUDGET_ROW, {})  # it holds the limits and no amounts
    former = snapshot.values.get("turn", 1) - 1
    if snapshot.tasks:
        values = await _with_round_progress(store, snapshot.values)
        snapshot = SavedState(values, snapshot.next, snapshot.tasks, snapshot.interrupts)
    turns = await read_turns(AWAITING, store, thread_id, former) if former else ()
    artifacts = artifacts_in(workspace)
    run = Run.from_snapshot(thread_id, snapshot, artifacts, Spending.of_rows(rows), turns, waiting)
    instructions = await instructions_of(AWAITING, store, thread_id)
    return replace(run, instructions=instructions, models=UsedModels.parse(begun.get("models")).plain())


async def with_results(store: "Rows", run: Run) -> Run:
    """Return the run with the whole results of its sub-tasks.

    They take a look at the journal, which most readers of a run do without.

    Args:
        store: The store of the thread.
        run: The run.
    """
    if not run.outcomes:
        return run
    return replace(run, results=await read_results(AWAITING, store, run.thread_id, run.outcomes))


async def shown_run(
    store: "Rows",
    thread_id: str,
    newest: Callable[[], Awaitable[Snapshot]],
    workspace: Path,
    *,
    results: bool = True,
) -> Run:
    """Return a thread's state with its results, and say so if an order ended its last run.

    Args:
        store: The store of the thread.
        thread_id: The thread.
        newest: Reads the newest state.
        workspace: The folder of the thread's files.
        results: False to leave the results out.

    Raises:
        PersistenceError: What is stored of the thread cannot be read.
    """
    with reading_thread(thread_id):
        run = await run_of(store, thread_id, newest, workspace)
        run = await with_results(store, run) if results else run
    order = await last_cancelled(AWAITING, store, thread_id)
    return run if order is None else as_cancelled(run, order)


async def unanswered(store: "Rows", reviews: Iterable[Review]) -> list[Review]:
    """Return the reviews for which no decision is recorded."""
    return [review for review in reviews if await recorded_decision(AWAITING, store, review) is None]


def as_told(run: Run, record: ThreadRecord, *, is_running: bool) -> Run:
    """Return the run with what its state cannot tell.

    Args:
        run: The run.
        record: The record of its thread.
        is_running: A process holds the thread.
    """
    if not run.task:  # nothing of the state is saved before the first step
        run = replace(run, task=record.task)
    # The saved state of a run at work is that of an interrupted one. Only its lease tells them apart.
    return replace(run, status="running", errors=()) if is_running else run


def unknown_thread(thread_id: str, where: str) -> UnknownThreadError:
    """Return the error of a thread that is not there."""
    return UnknownThreadError(f"there is no thread '{sound(thread_id)}' in {where}: `orchestrator threads` lists them")


def half_deleted(thread_id: str) -> UnknownThreadError:
    """Return the error of a thread that a killed process has deleted in part."""
    return UnknownThreadError(
        f"thread '{thread_id}' was being deleted when its process ended: delete it again, or use its name anew"
    )


def as_cancelled(run: Run, order: CancelOrder) -> Run:
    """Return the run as an order left it; a run that had ended before stays as it is."""
    return replace(run, status="interrupted", errors=(str(order), *run.errors)) if run.is_resumable else run


async def _with_round_progress(store: "Rows", values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a thread's state with the plan and the outcomes of a round that has not ended.

    A node whose sub-task may still be sent back has not returned, so its finished outcome is in the shared memory only.
    Neither does the plan in the state have the attempts that a verdict has led to within the round.

    Args:
        store: Holds the shared memory.
        values: The values of the state.
    """
    if values.get("phase") != "work" or not values.get("plan"):
        return values
    memory_id = values["memory_id"]
    [note] = await _entries(store, memory_id, [note_key(values.get("round", 0))])
    reworks, outcomes = reworks_in(note), values.get("outcomes") or {}
    plan = reworked(Plan.parse(values["plan"]), reworks)
    keys = [key for task_id, key in plan.keys.items() if outcomes.get(task_id, {}).get("key") != key]
    entries = [entry for entry in await _entries(store, memory_id, keys) if entry is not None]
    finished = {e.sub_task_id: e.outcome for e in entries if e.outcome and e.status in ("final", "note")}
    if not reworks and not finished:
        return values
    return {**values, "plan": plan.plain(), "outcomes": {**outcomes, **finished}}


async def _entries(store: "Rows", memory_id: str, keys: list[str]) -> list[Entry | None]:
    rows = await read_keys(AWAITING, store, namespace(memory_id, "memory"), keys)
    return [None if row is None else Entry.parse(row.key, row.value) for row in rows]
