"""Witness: notes what is refused and which forms are tried, for a check of an endpoint."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

_WITNESS: ContextVar["Witness | None"] = ContextVar("_WITNESS", default=None)


@dataclass
class Witness:
    """The refusals of the requests of a block.

    Args:
        refusals: The words of each refusal.
        forms: Names of the forms of the last try after a refusal; None where nothing was refused.
    """

    refusals: list[str] = field(default_factory=list)
    forms: frozenset[str] | None = None


@contextmanager
def witnessed() -> Iterator[Witness]:
    """Note the refusals of the requests that this thread or task sends in the block."""
    witness = Witness()
    token = _WITNESS.set(witness)
    try:
        yield witness
    finally:
        _WITNESS.reset(token)


def tell_witness(words: Callable[[], str], forms: frozenset[str]) -> None:
    """Tell the witness of a refusal, if there is one.

    Args:
        words: Returns the endpoint's words.
        forms: The forms of the next try.
    """
    if (witness := _WITNESS.get()) is not None:
        witness.refusals.append(words())
        witness.forms = forms
