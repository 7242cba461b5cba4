"""Reading the reviews that are rows of the store while their run goes on; see `reviews.open_reviews`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from orchestrator.concurrency import Bridge
from orchestrator.persistence.namespaces import namespace
from orchestrator.persistence.rows.pages import read_all
from orchestrator.reviews.review import Review

if TYPE_CHECKING:
    from orchestrator.persistence.rows.pages import Rows

# Stored in every database: keep it.
REVIEWS = "reviews"


async def open_reviews(bridge: Bridge, store: "Rows", thread_id: str) -> list[Review]:
    """Return the reviews in a thread's rows, oldest first."""
    items: Sequence[Any] = await read_all(bridge, store, namespace(thread_id, REVIEWS))
    reviews = [_parse(item.value) for item in sorted(items, key=lambda item: (item.created_at, item.key))]
    return [review for review in reviews if review is not None]


def _parse(value: object) -> Review | None:
    # A newer version may have added fields. A row that is no review must not hide the others.
    fields = {n: part for n, part in value.items() if n in Review.model_fields} if isinstance(value, dict) else value
    try:
        return Review.model_validate(fields)
    except ValidationError:
        return None
