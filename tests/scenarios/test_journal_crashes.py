"""A journal after many kills: each fact once and in order, with a sound chain, and as the state is."""

import json
import random
import signal
from collections import Counter
from pathlib import Path

import pytest

from orchestrator import JournalRecord, OrchestratorClient
from orchestrator.budget.spend import Spend, amount_in
from orchestrator.testing import CrashAfter, EffectLog, run_until_killed
from tests.support.crash_child import SubTasks, run_or_resume

KILLED = -signal.SIGKILL
WIDE: SubTasks = (("a", ()), ("b", ()), ("c", ("a",)), ("d", ("b", "c")), ("e", ("d",)), ("f", ("c",)))


def some_point(chance: random.Random) -> CrashAfter:
    return CrashAfter(chance.choice(["put", "writes", "store"]), chance.randint(1, 6), chance.random() < 0.5)


@pytest.mark.parametrize("effect", ["none", "once"])
def test_the_journal_of_a_run_that_is_killed_over_and_over(tmp_path: Path, effect: str) -> None:
    chance, kills = random.Random(effect), 0
    while kills < 16 and run_until_killed(run_or_resume, tmp_path, WIDE, some_point(chance), "", effect) == KILLED:
        kills += 1
    assert kills > 5
    assert run_until_killed(run_or_resume, tmp_path, WIDE, None, "", effect) == 0
    assert json.loads((tmp_path / "run.json").read_text())["status"] == "done"
    check_journal(tmp_path)
    if effect == "once":
        check_effects(tmp_path)


def check_journal(folder: Path) -> None:
    with OrchestratorClient(folder / "x.db") as client:
        records, run, memory = client.journal("t"), client.show("t"), client.memory_of("t")
        assert client.verify_journal("t").problems == ()
        results = {entry.sub_task_id: entry.text for entry in memory.all()}
    assert [r.seq for r in records] == list(range(1, len(records) + 1))
    once = Counter((r.kind, r.sub_task, r.attempt) for r in records if r.kind in ONCE)
    assert set(once.values()) == {1}
    assert {kind for kind, _, _ in once} == ONCE
    for kind in ("review_asked", "review_answered"):
        ids = [r.data["id" if kind == "review_asked" else "review_id"] for r in records if r.kind == kind]
        assert len(ids) == len(set(ids))
    check_order(records)
    check_requests(records)
    ended = {r.sub_task: r.data for r in records if r.kind == "sub_task_ended"}
    assert {task: data["status"] for task, data in ended.items()} == {i: o.status for i, o in run.outcomes.items()}
    assert {task: data["text"] for task, data in ended.items()} == results
    spent = sum((amount_in(r.data) for r in records), Spend())
    total = run.spending.total
    assert (spent.tokens, spent.model_calls) == (total.tokens, total.model_calls)


ONCE = {"run_began", "plan_taken", "sub_task_started", "sub_task_ended", "answer_written", "run_ended"}


def check_order(records: list[JournalRecord]) -> None:
    place = {(r.kind, r.sub_task): at for at, r in enumerate(records) if r.kind in ONCE}
    assert place["run_began", ""] < place["plan_taken", ""] < place["answer_written", ""] < place["run_ended", ""]
    for task, needs in WIDE:
        assert place["plan_taken", ""] < place["sub_task_started", task] < place["sub_task_ended", task]
        assert all(place["sub_task_ended", need] < place["sub_task_started", task] for need in needs)


def check_requests(records: list[JournalRecord]) -> None:
    """Each request to a model was told once before its end, and has one end, also if a kill was its end."""
    asked = [r.data["call"] for r in records if r.kind == "model_asked"]
    ends = [r.data["call"] for r in records if r.kind in ("model_answered", "model_failed", "model_lost")]
    assert Counter(asked) == Counter(ends)
    assert set(Counter(ends).values()) == {1}


def check_effects(folder: Path) -> None:
    """Each effect that happened was told before it happened, and none was told that did not."""
    with OrchestratorClient(folder / "x.db") as client:
        records = client.journal("t")
    called = Counter(r.data["args"]["name"] for r in records if r.kind == "tool_called")
    answers = [str(r.data.get("answer", "")) for r in records if r.kind == "tool_returned"]
    returned = Counter(answer for answer in answers if answer.startswith("did "))
    effects = EffectLog(folder / "effects").counts()
    assert set(effects.values()) == {1}
    assert set(called.values()) == {1}
    assert set(effects) <= set(called)
    assert {name for name, count in returned.items() if count > 1} == set()
