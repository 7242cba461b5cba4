"""Parking: how a question waits for its answer while other work of the run goes on, before it pauses the run."""

import contextlib
from contextlib import AbstractAsyncContextManager

from orchestrator.reviews.answering.expiry import NEVER, Expiry
from orchestrator.reviews.review import Review


class Parking:
    """The place of a question beside which nothing runs, such as one of a gate. Branches of a round override it."""

    expiry: Expiry = NEVER
    """The rule for questions that nobody answers."""

    # No Protocol: pydantic checks the arguments of tools against this class, and a structural check is slow.

    async def park(self, review: Review) -> bool:
        """Wait for a decision while other work goes on. Return True to look for the decision again.

        False means that nothing else goes on, or that nothing can wait here: the question must pause the run.

        Args:
            review: The question.
        """
        return False

    def call(self) -> AbstractAsyncContextManager[None]:
        """Count a tool call in for the length of the block. A sub-task may wait in several calls at once."""
        return contextlib.nullcontext()


NO_PARKING = Parking()
