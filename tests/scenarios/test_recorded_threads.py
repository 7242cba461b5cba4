"""Threads that an older version recorded are listed, shown, decided and resumed; nothing finished is executed again."""

import gzip
from pathlib import Path
from typing import Any

import pytest

from tests.support.recorded_threads import KILLED, PLANS, open_threads
from tests.support.teams import model_of, statuses, worked

DATABASES = sorted((Path(__file__).parent / "recorded").glob("*.db.gz"))
ASKED = {"plan": ["plan"], "result": ["result"], "tool": ["tool"], "spent": ["steer"], "done": [], KILLED: []}
WORK_LEFT: dict[str, tuple[list[str], list[str]]] = {  # sub-tasks whose worker is asked, and calls of tools
    "done": ([], []),
    "plan": (["a", "b"], []),
    "result": (["c"], []),
    "tool": (["w"], ["write hello"]),
    KILLED: (["k"], ["look second"]),
    "spent": (["b"], []),
}


@pytest.fixture(params=DATABASES, ids=lambda path: path.name)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    path = tmp_path / "threads.db"
    path.write_bytes(gzip.decompress(request.param.read_bytes()))
    return str(path)


def test_they_are_listed_with_their_tasks(database: str) -> None:
    with open_threads(database, [], []) as orchestrator:
        assert {record.id: record.task for record in orchestrator.threads()} == {t: f"the task of {t}" for t in PLANS}


@pytest.mark.parametrize("thread", PLANS)
def test_one_is_shown_with_what_it_waits_for(database: str, thread: str) -> None:
    with open_threads(database, [], []) as orchestrator:
        run = orchestrator.show(thread)
    assert [review.kind for review in run.reviews] == ASKED[thread]
    assert run.plan is not None
    assert [s.id for s in run.plan.sub_tasks] == [s["id"] for s in PLANS[thread]]


@pytest.mark.parametrize("thread", PLANS)
def test_one_goes_on_from_where_it_was(database: str, thread: str) -> None:
    calls: list[str] = []
    raised: Any = {"model_calls": 20}
    with open_threads(database, PLANS[thread], calls) as orchestrator:
        run = orchestrator.show(thread)
        for review in run.reviews:
            orchestrator.decide(review.id, *(("edit", "", raised) if thread == "spent" else ("approve",)))
        run = run if run.status == "done" else orchestrator.resume(thread)
        asked = worked(model_of(orchestrator))
    assert run.status == "done"
    assert run.answer.startswith("the answer")
    assert set(statuses(run.outcomes).values()) == {"succeeded"}
    assert (sorted(set(asked)), calls) == WORK_LEFT[thread]


def test_the_results_of_one_are_whole_and_say_that_their_tool_calls_are_not_told(database: str) -> None:
    with open_threads(database, PLANS["done"], []) as orchestrator:
        shown, resumed = orchestrator.show("done").results, orchestrator.resume("done").results
    assert shown == resumed
    assert all(result.text for result in shown.values())
    assert [[gap.split()[:2] for gap in result.gaps] for result in shown.values()] == [[["the", "journal"]]] * len(
        shown
    )
