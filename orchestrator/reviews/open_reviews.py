"""Open reviews of a run that goes on: rows of the store, so that any process sees and answers them at once.

LangGraph saves a review as an interrupt only when its node pauses, and a node that waits beside running ones has not
paused. Its review is a row until then. The row of a killed process stays, since a resume asks the same review again.
"""

from langgraph.store.base import BaseStore, PutOp
from pydantic import ValidationError

from orchestrator.concurrency import Bridge
from orchestrator.persistence.namespaces import namespace
from orchestrator.persistence.rows.pages import delete_all, read_all
from orchestrator.reviews.review import Review

_KIND = "reviews"


async def open_review(bridge: Bridge, store: BaseStore, review: Review) -> None:
    """Write the row of a review."""
    row = review.model_dump(mode="json", exclude_defaults=True)
    # LangGraph 1.2: a store with an embedder indexes every item for which `index` is left out.
    await bridge.batch(store, [PutOp(namespace(review.thread_id, _KIND), review.id, row, index=False)])


async def close_review(bridge: Bridge, store: BaseStore, review: Review) -> None:
    """Delete the row of a review that has been answered."""
    await bridge.batch(store, [PutOp(namespace(review.thread_id, _KIND), review.id, None)])


async def open_reviews(bridge: Bridge, store: BaseStore, thread_id: str) -> list[Review]:
    """Return the reviews in a thread's rows, oldest first."""
    items = await read_all(bridge, store, namespace(thread_id, _KIND))
    reviews = [_parse(item.value) for item in sorted(items, key=lambda item: (item.created_at, item.key))]
    return [review for review in reviews if review is not None]


def _parse(value: object) -> Review | None:
    # A newer version may have added fields. A row that is no review must not hide the others.
    fields = {n: part for n, part in value.items() if n in Review.model_fields} if isinstance(value, dict) else value
    try:
        return Review.model_validate(fields)
    except ValidationError:
        return None


async def forget_open_reviews(bridge: Bridge, store: BaseStore, thread_id: str) -> None:
    """Delete all rows of a thread."""
    await delete_all(bridge, store, namespace(thread_id, _KIND))
