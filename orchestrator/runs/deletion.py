"""Deleting a thread with everything that belongs to it."""

from orchestrator.budget.ledger_store import forget_ledger
from orchestrator.budget.past_spend import forget_past
from orchestrator.concurrency import BLOCKING, Bridge
from orchestrator.errors import PersistenceError
from orchestrator.journal.reading import forget_journal
from orchestrator.persistence.database import Persistence
from orchestrator.persistence.workspace import delete_workspace, uploads_of, workspace_of
from orchestrator.runs.interventions.cancellation import forget_orders
from orchestrator.runs.thread_list import ThreadList


async def delete_thread(bridge: Bridge, persistence: Persistence, thread_id: str) -> None:
    """Delete the files, the state, the ledger, the memory and the decisions of a thread, and its record last.

    The record is marked first. A process that is killed in between leaves the mark, so the thread can be deleted
    again, and a new thread of this name begins by finishing the deletion.

    Args:
        bridge: Reaches the store.
        persistence: The database.
        thread_id: The thread. Its lease is held, except on a LangGraph server.

    Raises:
        PersistenceError: Something could not be deleted. The thread can be deleted again.
    """
    threads = ThreadList(persistence.store)
    await threads.mark_deleting(bridge, thread_id)
    for folder in (workspace_of(persistence.path, thread_id), uploads_of(persistence.path, thread_id)):
        try:
            delete_workspace(folder)
        except OSError as error:
            raise PersistenceError(
                f"cannot delete {folder} ({error.strerror or error}): mend that, and delete thread '{thread_id}' again"
            ) from error
    saver = persistence.checkpointer
    await bridge.call(saver.delete_thread if bridge is BLOCKING else saver.adelete_thread, thread_id)
    await forget_ledger(bridge, persistence.store, thread_id)
    await forget_past(bridge, persistence.store, thread_id)
    await forget_orders(bridge, persistence.store, thread_id)
    await forget_journal(bridge, persistence.store, thread_id)
    await threads.delete(bridge, thread_id)
