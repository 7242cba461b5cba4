"""Reading the decisions that humans have recorded; see `reviews.decisions`."""

from typing import TYPE_CHECKING

from pydantic import ValidationError

from orchestrator.concurrency import Bridge
from orchestrator.errors import PersistenceError
from orchestrator.persistence.namespaces import namespace
from orchestrator.persistence.rows.pages import read_keys
from orchestrator.reviews.review import Decision, Review, check_decision

if TYPE_CHECKING:
    from langgraph.store.base import Item

    from orchestrator.persistence.rows.pages import Rows
    from orchestrator.persistence.rows.stored import StoredItem

DECISIONS = "decisions"
RESUMED = {"via": "resume"}
"""Marks a row whose decision came as LangGraph's resume value."""


def is_resumed(row: "Item | StoredItem") -> bool:
    """True if the decision in a row came as LangGraph's resume value."""
    return isinstance(row.value, dict) and row.value.get("via") == RESUMED["via"]


def parse_decision(review: Review, value: object) -> Decision:
    """Read the decision in a row.

    Raises:
        PersistenceError: The row holds no decision.
    """
    # A row holds more than the decision, and a newer version may have added to it.
    fields = {n: part for n, part in value.items() if n in Decision.model_fields} if isinstance(value, dict) else value
    try:
        decision = Decision.model_validate(fields)
    except ValidationError as error:
        raise PersistenceError(
            f"the decision of review {review.id} cannot be read ({error.error_count()} fields are wrong): "
            "it was written by another program or version"
        ) from error
    return check_decision(review, decision)


async def recorded_decision(bridge: Bridge, store: "Rows", review: Review) -> Decision | None:
    """Return the decision that was recorded for this review, or None."""
    place = namespace(review.thread_id, DECISIONS)
    decided, stopped = await read_keys(bridge, store, place, [review.id, stop_key(review)])
    # In a foreign store another process may overwrite a stop. The stop's own row is written by stops only.
    standing = stopped or decided
    # A resume value belongs to one branch of the history. LangGraph hands it to that branch again by itself.
    if standing is None or is_resumed(standing):
        return None
    return parse_decision(review, standing.value)


def stop_key(review: Review) -> str:
    """Return the key of the row that a stop has besides."""
    return f"{review.id}#stop"
