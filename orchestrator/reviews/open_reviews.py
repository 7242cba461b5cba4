"""Open reviews of a run that goes on: rows of the store, so that any process sees and answers them at once.

LangGraph saves a review as an interrupt only when its node pauses, and a node that waits beside running ones has not
paused. Its review is a row until then. The row of a killed process stays, since a resume asks the same review again.
"""

from langgraph.store.base import BaseStore, PutOp

from orchestrator.concurrency import Bridge
from orchestrator.journal.fact import Fact
from orchestrator.journal.journal import Journal
from orchestrator.persistence.namespaces import namespace
from orchestrator.persistence.rows.pages import delete_all
from orchestrator.reviews.review import Decision, Review
from orchestrator.reviews.saved.reviews import REVIEWS


def asked(review: Review) -> Fact:
    """Return what the journal tells of a review, once, however often the run pauses for it."""
    data = review.model_dump(mode="json", exclude_defaults=True)
    return Fact("review_asked", review.sub_task_id or "", key=f"asked {review.id}", data=data)


def answered(review: Review, decision: Decision) -> Fact:
    """Return what the journal tells of a decision."""
    data = decision.model_dump(mode="json", exclude_defaults=True, exclude={"by"})
    return Fact("review_answered", review.sub_task_id or "", by=decision.by, data={**data, "kind": review.kind})


async def open_review(bridge: Bridge, store: BaseStore, review: Review) -> None:
    """Write the row of a review."""
    row = review.model_dump(mode="json", exclude_defaults=True)
    # LangGraph 1.2: a store with an embedder indexes every item for which `index` is left out.
    op = PutOp(namespace(review.thread_id, REVIEWS), review.id, row, index=False)
    await Journal(store, review.thread_id).write(bridge, [op], asked(review))


async def close_review(bridge: Bridge, store: BaseStore, review: Review) -> None:
    """Delete the row of a review that has been answered."""
    await bridge.batch(store, [PutOp(namespace(review.thread_id, REVIEWS), review.id, None)])


async def forget_open_reviews(bridge: Bridge, store: BaseStore, thread_id: str) -> None:
    """Delete all rows of a thread."""
    await delete_all(bridge, store, namespace(thread_id, REVIEWS))
