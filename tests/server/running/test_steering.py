"""What a person does to a thread on its page."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from orchestrator import Budget, OrchestratorClient
from orchestrator.testing import Gate, ScriptedModel, TeamScript, say
from tests.support.page import page_of, submit, until
from tests.support.teams import make_team, open_team, step

HERE = "/thread?id=t"


class AnotherModel(ScriptedModel):
    """A model that threads have not run with."""


@contextmanager
def held_run(db: Path) -> Iterator[tuple[TestClient, Gate]]:
    """A run on thread `t` whose worker waits at a gate, started on the page."""
    gate = Gate()
    script = TeamScript([step("a")], results={"a": say("seven").behind(gate)}, summary="7 [a]")
    page = page_of(db, teams={"mine": lambda: make_team(script)})
    page.post("/new", json={"task": "Count", "thread": "t", "auto_approve": True})
    gate.entered.wait()
    try:
        yield page, gate
    finally:
        gate.release()
        page.app.state.runs.close()  # type: ignore[attr-defined]


def do(page: TestClient, deed: str, **fields: str) -> Any:
    return submit(page, HERE, HERE, do=deed, **fields)


def until_shown(page: TestClient, text: str) -> None:
    until(lambda: text in page.get(HERE).text)


def test_a_run_is_cancelled_and_resumed(tmp_path: Path) -> None:
    with held_run(tmp_path / "x.db") as (page, gate):
        assert "Cancel the run" in page.get(HERE).text
        assert do(page, "cancel").headers["location"] == HERE
        until_shown(page, "is-interrupted")
        gate.release()
        do(page, "resume")
        until_shown(page, "is-done")


def test_an_instruction_reaches_a_run_by_the_name_of_the_user(tmp_path: Path) -> None:
    with held_run(tmp_path / "x.db") as (page, _):
        assert do(page, "steer", text="rivers too").status_code == 303
        assert "rivers too" in page.get(HERE).text
        answer = do(page, "steer", text="x" * 4001)
        assert "at most 4,000 characters" in answer.text
        assert "x" * 4001 in answer.text
        assert "data-touched" in answer.text


def test_the_next_task_goes_on_with_the_conversation(tmp_path: Path) -> None:
    with held_run(tmp_path / "x.db") as (page, gate):
        assert "Next task" not in page.get(HERE).text
        gate.release()
        until_shown(page, "Next task")
        assert "no amount" in do(page, "task", text="And the rivers?", budget="much").text
        do(page, "task", text="And the rivers?", auto_approve="1")
        until_shown(page, "And the rivers?")
        until_shown(page, "is-done")


def test_a_run_that_its_budget_ended_goes_on_with_a_higher_one(tmp_path: Path) -> None:
    script = TeamScript([step("a"), step("b", "a")], summary="both")
    with open_team(script, tmp_path / "x.db") as team:
        run = team.run("Count", thread_id="t", budget=Budget(model_calls=2), auto_approve=True)
    assert run.limited_by == "budget"
    page = page_of(tmp_path / "x.db", teams={"mine": make_team(script)})
    give_team(tmp_path / "x.db", "mine")
    assert "Raise it and go on" in page.get(HERE).text
    assert "write the new limit" in do(page, "raise", budget="").text
    do(page, "raise", budget="90 calls")
    until_shown(page, "is-done")


def give_team(db: Path, name: str) -> None:
    """Record the name of a team with thread `t`, as the command line does."""
    from dataclasses import replace

    from orchestrator.concurrency import BLOCKING, run_blocking
    from orchestrator.runs.thread_list import ThreadList

    with OrchestratorClient(db) as client:
        threads = ThreadList(client.persistence.store)
        record = run_blocking(threads.find(BLOCKING, "t"))
        assert record is not None
        run_blocking(threads._put(BLOCKING, replace(record, about={**record.about, "team": name})))


def test_a_thread_without_a_team_says_where_it_can_go_on(tmp_path: Path) -> None:
    script = TeamScript([step("a")])
    with open_team(script, tmp_path / "x.db") as team:
        team.run("Count", thread_id="t")
    answer = do(page_of(tmp_path / "x.db"), "resume")
    assert "was started from Python or Studio" in answer.text


def test_another_model_is_asked_about_first(tmp_path: Path) -> None:
    script = TeamScript([step("a")], summary="7")
    with open_team(script, tmp_path / "x.db") as team:
        team.run("Count", thread_id="t")
        team.decide(team.reviews("t")[0], "approve")
    give_team(tmp_path / "x.db", "mine")
    other = make_team(script)
    for agent in (other.supervisor, *other.workers.values()):
        agent.model = AnotherModel(script)
    page = page_of(tmp_path / "x.db", teams={"mine": other})
    do(page, "resume")
    until_shown(page, "Resume with the other model")
    do(page, "resume", allow_other_model="1")
    until_shown(page, "is-done")


def test_a_thread_is_deleted_after_it_was_asked_about(tmp_path: Path) -> None:
    with held_run(tmp_path / "x.db") as (page, gate):
        assert "is being run" in do(page, "delete", sure="1").text
        gate.release()
        until_shown(page, "is-done")
        asked = do(page, "delete")
        assert asked.headers["location"] == "/thread/delete?id=t"
        assert "Delete this thread for good?" in page.get("/thread/delete?id=t").text
        assert submit(page, "/thread/delete?id=t", HERE, do="delete", sure="1").headers["location"] == "/"
        assert page.get(HERE).status_code == 404


def test_programs_get_json_and_people_a_page(tmp_path: Path) -> None:
    with held_run(tmp_path / "x.db") as (page, _):
        json = {"accept": "application/json"}
        busy = page.post(HERE, json={"do": "task", "text": "More"}, headers=json)
        assert (busy.status_code, "already being run" in busy.json()["error"]) == (409, True)
        assert page.post(HERE, json={"do": "cancel"}, headers=json).json() == {"thread_id": "t", "result": "cancelled"}
        assert "use one of cancel" in page.post(HERE, json={"do": "x"}, headers=json).json()["error"]
        assert page.post("/thread?id=zz", json={"do": "cancel"}, headers=json).status_code == 404


def test_a_run_of_this_page_goes_on_by_itself_after_each_answer(tmp_path: Path) -> None:
    script = TeamScript([step("a", approval=True), step("b", "a")], results={"a": "seven"}, summary="7 [a]")
    page = page_of(tmp_path / "x.db", teams={"mine": make_team(script)})
    page.post("/new", json={"task": "Count", "thread": "t"})
    with OrchestratorClient(tmp_path / "x.db") as client:
        for kind in ("plan", "result"):
            [review] = until(lambda kind=kind: [each for each in client.reviews("t") if each.kind == kind])
            assert page.post(f"/review?id={review.id}", json={"action": "approve"}).status_code == 200
        until(lambda: client.show("t").status == "done")


def test_an_answer_does_not_start_a_thread_that_this_page_never_ran(tmp_path: Path) -> None:
    with open_team(TeamScript([step("a")]), tmp_path / "x.db") as team:
        [review] = team.run("Count", thread_id="t").reviews
        page = page_of(tmp_path / "x.db")
        page.post(f"/review?id={review.id}", json={"action": "approve"})
        assert team.show("t").status != "running"
        assert "was started from Python" not in page.get(HERE).text
