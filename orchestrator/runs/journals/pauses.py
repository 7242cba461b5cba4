"""Telling the journal that a run pauses, or is cut off."""

from collections.abc import Sequence

from langgraph.store.base import BaseStore

from orchestrator.concurrency import AWAITING
from orchestrator.journal.fact import Fact
from orchestrator.journal.journal import Journal
from orchestrator.redaction import redact
from orchestrator.text import sound


async def tell_pause(
    store: BaseStore, thread_id: str, status: str, why: str = "", by: str = "", reviews: Sequence[str] = ()
) -> None:
    """Tell the journal that a run pauses, or is cut off.

    Args:
        store: The store of the thread.
        thread_id: The thread.
        status: `waiting`, `interrupted` or `failed`.
        why: The reason.
        by: The user who cancelled it.
        reviews: The open reviews.
    """
    data = {"status": status, "why": redact(sound(why)), "reviews": list(reviews)}
    # At once: the process may end now, and nothing else would be written.
    journal = Journal(store, thread_id)
    await journal.write(AWAITING, (), Fact("run_paused", by=by, data={n: v for n, v in data.items() if v}))
