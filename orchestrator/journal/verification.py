"""Verification of a journal: nothing in it was changed, taken out or put in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.concurrency import Bridge
from orchestrator.journal.reading import digests_in, read_rows, record_of
from orchestrator.persistence.hash_chain import body_digest, first_hash, next_hash
from orchestrator.persistence.namespaces import BODIES, namespace
from orchestrator.persistence.rows.pages import read_keys

if TYPE_CHECKING:
    from orchestrator.persistence.rows.pages import Rows


@dataclass(frozen=True)
class JournalCheck:
    """The result of a verification.

    Args:
        thread_id: The thread.
        records: Number of records.
        head: The hash of the newest record. Kept elsewhere, it shows later if records at the end are missing.
        problems: What is wrong, as sentences; empty if nothing is.
    """

    thread_id: str
    records: int
    head: str
    problems: tuple[str, ...] = ()

    @property
    def is_sound(self) -> bool:
        """True if nothing is wrong."""
        return not self.problems


async def verify_journal(bridge: Bridge, store: "Rows", thread_id: str, head: str = "") -> JournalCheck:
    """Check the chain of hashes over a thread's records, and the long texts in them.

    Args:
        bridge: Reaches the store.
        store: The store of the thread.
        thread_id: The thread.
        head: The hash of a record that has to be there, from an earlier verification.
    """
    rows = await read_rows(bridge, store, thread_id)
    problems = _chain_problems(thread_id, rows)
    records = [record_of(thread_id, row) for row in rows]
    problems += await _body_problems(bridge, store, thread_id, records)
    if head and all(row["hash"] != head for row in rows):
        problems.append(f"no record has the hash {head}: records are missing, or the journal is another one")
    return JournalCheck(thread_id, len(rows), rows[-1]["hash"] if rows else "", tuple(problems))


def _chain_problems(thread_id: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    problems: list[str] = []
    hashes: dict[int, set[str]] = {0: {first_hash(thread_id).hex()}}
    for row in rows:
        seq = row["seq"]
        former = hashes.get(seq - 1, set())
        if not former:
            problems.append(f"record {seq - 1} is missing")
        # A foreign store may give a number twice. Then the row says which of the two records before it it follows.
        before = [row["before"]] if row.get("before") in former else sorted(former)
        if former and not any(next_hash(bytes.fromhex(each), seq, row["text"]).hex() == row["hash"] for each in before):
            problems.append(f"record {seq} or one before it was changed")
        hashes.setdefault(seq, set()).add(row["hash"])
    return problems


async def _body_problems(bridge: Bridge, store: "Rows", thread_id: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    # A text that many records name is checked once.
    named = {digest: row["seq"] for row in rows for digest in digests_in(row.get("data", {}))}
    items = await read_keys(bridge, store, namespace(thread_id, BODIES), list(named))
    problems = []
    for (digest, seq), item in zip(named.items(), items, strict=True):
        if item is None:
            problems.append(f"a text of record {seq} is missing")
        elif body_digest(item.value["body"]) != digest:
            problems.append(f"a text of record {seq} was changed")
    return problems
