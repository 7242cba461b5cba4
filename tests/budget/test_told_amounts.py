"""The ledger knows after a kill what its rows lack: the journal tells of each call, and rows are written later."""

import sqlite3
from pathlib import Path

import pytest
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore

from orchestrator.budget.accounts import Account, Reservation
from orchestrator.budget.budget import Budget
from orchestrator.budget.ledger import Ledger
from orchestrator.budget.ledger_store import begin_ledger
from orchestrator.budget.spend import Spend
from orchestrator.concurrency import BLOCKING, run_blocking
from orchestrator.errors import PersistenceError
from orchestrator.journal.fact import Fact
from orchestrator.journal.reading import read_journal
from orchestrator.persistence.database import Persistence

CODER = Account("coder", "a")


def begin(store: BaseStore, budget: Budget, run: str = "run") -> None:
    began = Fact("run_began", key=f"run {run}")
    run_blocking(begin_ledger(BLOCKING, store, "t", budget, run, facts=[began]))


def opened(store: BaseStore) -> Ledger:
    ledger = Ledger(Budget(), store, "t", BLOCKING.lock())
    run_blocking(ledger.load(BLOCKING))
    return ledger


def reserved(ledger: Ledger) -> Reservation:
    worst = Spend(100, 50, 1)
    return run_blocking(ledger.reserve(BLOCKING, CODER, "m", worst, worst))


def settle(ledger: Ledger, reservation: Reservation, actual: Spend) -> None:
    data = {"agent": "coder", "model": "m", "call": reservation.id}
    fact = Fact("model_answered", "a", 1, data=data)
    run_blocking(ledger.settle(BLOCKING, reservation, actual, fact))


def test_what_only_the_journal_has_is_booked() -> None:
    store = InMemoryStore()
    begin(store, Budget())
    ledger = opened(store)
    settle(ledger, reserved(ledger), Spend(10, 5, 1))
    assert opened(store).spent == Spend(), "neither is written yet"
    run_blocking(ledger.journal.flush(BLOCKING))
    assert opened(store).spent == Spend(10, 5, 1)


def test_what_both_have_is_booked_once() -> None:
    store = InMemoryStore()
    begin(store, Budget())
    ledger = opened(store)
    for _ in range(2):
        settle(ledger, reserved(ledger), Spend(10, 5, 1))
        run_blocking(ledger.flush(BLOCKING))
    settle(ledger, reserved(ledger), Spend(1, 1, 1))
    run_blocking(ledger.journal.flush(BLOCKING))
    assert opened(store).spent == Spend(21, 11, 3)
    again = opened(store)
    run_blocking(again.flush(BLOCKING))
    assert opened(store).spent == Spend(21, 11, 3)


def test_a_call_that_was_under_way_counts_in_full_and_is_told_once() -> None:
    store = InMemoryStore()
    begin(store, Budget(tokens=10_000))
    reserved(opened(store))
    for _ in range(2):
        ledger = opened(store)
        assert ledger.spent == Spend(100, 50, 1)
        run_blocking(ledger.journal.flush(BLOCKING))
    told = [r for r in run_blocking(read_journal(BLOCKING, store, "t")) if r.kind == "model_lost"]
    assert [(r.sub_task, r.data["spent"]["input_tokens"]) for r in told] == [("a", 100)]


def test_a_call_whose_answer_was_told_is_not_lost_though_its_row_still_has_the_reservation() -> None:
    store = InMemoryStore()
    begin(store, Budget(tokens=10_000))
    ledger = opened(store)
    reservation = reserved(ledger)
    data = {"agent": "coder", "model": "m", "call": reservation.id, "spent": {"input_tokens": 7, "model_calls": 1}}
    run_blocking(ledger.journal.write(BLOCKING, (), Fact("model_answered", "a", 1, data=data)))
    assert opened(store).spent == Spend(7, 0, 1)


def test_a_call_that_only_the_journal_tells_of_is_lost_and_counts_as_one_call() -> None:
    store = InMemoryStore()
    begin(store, Budget())
    asked = {"agent": "coder", "model": "m", "booked": "m here", "call": "of-a-killed-process-1"}
    run_blocking(opened(store).journal.write(BLOCKING, (), Fact("model_asked", "a", 1, data=asked)))
    for _ in range(2):
        ledger = opened(store)
        assert ledger.accounts.rows["coder"].spent == {"m here": {"a": Spend(model_calls=1)}}
        run_blocking(ledger.journal.flush(BLOCKING))
    told = [r for r in run_blocking(read_journal(BLOCKING, store, "t")) if r.kind == "model_lost"]
    assert [(r.sub_task, r.data["call"], r.data["spent"]) for r in told] == [
        ("a", "of-a-killed-process-1", {"model_calls": 1})
    ]


def test_a_call_that_is_still_under_way_in_this_process_is_not_lost() -> None:
    store = InMemoryStore()
    begin(store, Budget())
    ledger = opened(store)
    reservation = reserved(ledger)
    asked = {"agent": "coder", "model": "m", "call": reservation.id}
    run_blocking(ledger.journal.write(BLOCKING, (), Fact("model_asked", "a", 1, data=asked)))
    assert opened(store).spent == Spend(), "its end will be told"
    settle(ledger, reservation, Spend(10, 5, 1))
    run_blocking(ledger.journal.flush(BLOCKING))
    assert opened(store).spent == Spend(10, 5, 1)


def test_another_task_begins_with_nothing_spent() -> None:
    store = InMemoryStore()
    begin(store, Budget())
    ledger = opened(store)
    settle(ledger, reserved(ledger), Spend(10, 5, 1))
    run_blocking(ledger.flush(BLOCKING))
    begin(store, Budget(), "the next run")
    assert opened(store).spent == Spend()


def test_only_the_records_that_tell_of_amounts_are_read(tmp_path: Path) -> None:
    with Persistence(tmp_path / "x.db") as db:
        begin(db.store, Budget())
        ledger = opened(db.store)
        settle(ledger, reserved(ledger), Spend(10, 5, 1))
        # Its text is like a record of another kind, but not where the kind stands.
        other = Fact("sub_task_waits", "a", data={"names": ['x","kind":"model_answered"' * 10]})
        run_blocking(ledger.journal.write(BLOCKING, (), other))
        with sqlite3.connect(tmp_path / "x.db") as file:
            file.execute("DROP TRIGGER journal_is_append_only")
            damaged = file.execute("UPDATE journal SET record = record || '?' WHERE record LIKE '%sub_task_waits%'")
            assert damaged.rowcount == 1
        assert opened(db.store).spent == Spend(10, 5, 1)
        with pytest.raises(PersistenceError):
            run_blocking(read_journal(BLOCKING, db.store, "t"))
