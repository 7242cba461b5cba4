"""Reading all of a namespace, also while other threads write to a store without a lock."""

from collections.abc import Iterable

import pytest
from langgraph.store.base import Op, Result
from langgraph.store.memory import InMemoryStore

from orchestrator.concurrency import BLOCKING, run_blocking
from orchestrator.persistence.rows.pages import read_all


class Busy(InMemoryStore):
    """A store in which another thread writes during the first searches."""

    def __init__(self, error: str, times: int) -> None:
        super().__init__()
        self.error, self.times = error, times

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        self.times -= 1
        if self.times >= 0:
            raise RuntimeError(self.error)
        return super().batch(ops)


def test_a_search_that_another_thread_breaks_is_made_again() -> None:
    store = Busy("dictionary changed size during iteration", times=3)
    assert run_blocking(read_all(BLOCKING, store, ("a",))) == []


@pytest.mark.parametrize(("error", "times"), [("dictionary changed size during iteration", 99), ("no loop", 1)])
def test_what_stays_broken_is_raised(error: str, times: int) -> None:
    with pytest.raises(RuntimeError, match=error):
        run_blocking(read_all(BLOCKING, Busy(error, times), ("a",)))
