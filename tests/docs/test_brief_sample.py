"""The sample program of the brief that the project was made from runs with our classes, word for word.

`brief_sample.md` is the brief's text. Added are the imports, the method that the sample calls and does not define,
and the team.
"""

import re
import threading
from pathlib import Path
from typing import Any

import pytest

from orchestrator import (
    Decision,
    Result,
    Review,
    SubTask,
    Supervisor,
    TaskOrchestrator,
    Team,
    Worker,
    reviewer,
)
from orchestrator.errors import ConfigError
from orchestrator.testing import Request, ScriptedModel, TeamScript
from tests.support.teams import statuses, step

BRIEF = (Path(__file__).parent / "brief_sample.md").read_text()
(SAMPLE,) = re.findall(r"```python\n(.*?)```", BRIEF, re.DOTALL)
IMPORTS = "from typing import List\n\nfrom orchestrator import Agent, SharedMemory\n\n"
PLAN = [
    step("join", "facts", "sums", agent="coder", approval=True),
    step("facts", agent="researcher", approval=True),
    step("sums", agent="coder"),
    step("check", "join", agent="reviewer"),
]
RESULTS = {"facts": "Iceland has 360,872 people.", "sums": "It is 42.", "join": "42 of 360,872."}


def sample_class() -> Any:
    """The brief's class, with the review that it asks for noted in `asked`."""
    names: dict[str, Any] = {}
    exec(compile(IMPORTS + SAMPLE, "brief_sample.md", "exec"), names)

    class Asking(names["TaskOrchestrator"]):  # type: ignore[misc]
        def request_human_review(self, sub_task: SubTask, result: Result) -> None:
            assert isinstance(result, Result)
            self.asked = [*getattr(self, "asked", ()), (sub_task.id, str(result))]

    return Asking


def make_team(model: ScriptedModel) -> Team:
    workers = [Worker("researcher", "You find facts."), Worker("coder", "You compute."), reviewer()]
    return Team(Supervisor(), workers, model=model)


def run_sample(task: str) -> tuple[Any, ScriptedModel, str]:
    model = ScriptedModel(TeamScript(PLAN, results=RESULTS, summary="42 of 360,872 [join]."))
    team = make_team(model)
    orchestrator = sample_class()(supervisor=team.supervisor, workers=list(team.workers.values()))
    return orchestrator, model, orchestrator.run(task)


def work_of(model: ScriptedModel) -> list[Request]:
    return [r for r in model.requests if not r.schema and re.search(r"^Sub-task ", r.last_user, re.M)]


def test_the_sample_runs_as_it_stands() -> None:
    orchestrator, model, answer = run_sample("How many?")
    assert answer == "42 of 360,872."
    stored = {entry.key: entry.text for entry in orchestrator.memory.all()}
    assert stored == {**RESULTS, "check": "accepted: it is right"}
    assert orchestrator.asked == [(i, RESULTS[i]) for i in ("facts", "join")]
    facts, sums, join = work_of(model)
    assert RESULTS["facts"] not in facts.text
    assert all(RESULTS[i] in join.text for i in ("facts", "sums")), "dependencies come first, however they are listed"
    assert "360,872" in sums.text, "it is shown what is recent"


def test_the_samples_answer_is_one_to_the_task_although_it_does_not_name_it_again() -> None:
    _, model, _ = run_sample("How many people live in Iceland?")
    assert "How many people live in Iceland?" in model.requests[-1].last_user


def test_supervisors_that_are_called_in_several_threads_keep_their_tasks_apart() -> None:
    model = ScriptedModel(TeamScript([step("a", agent="coder")]))
    boss, both = make_team(model).supervisor, threading.Barrier(2)

    def work(task: str) -> None:
        boss.decompose(task)
        both.wait()
        boss.summarize([])

    threads = [threading.Thread(target=work, args=(f"task {number}",)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answers = [r.last_user for r in model.requests if "final answer" in r.last_user]
    assert sorted(re.findall(r"task \d", "".join(answers))) == ["task 0", "task 1"]
    Supervisor(model=model).summarize([])
    assert "task 0" not in model.requests[-1].last_user


def test_the_same_team_and_plan_run_on_a_thread_and_wait_for_each_approval(tmp_path: Path) -> None:
    model = ScriptedModel(TeamScript(PLAN, results=RESULTS, summary="42 of 360,872 [join]."))
    team = make_team(model)
    with TaskOrchestrator(team.supervisor, list(team.workers.values()), db=str(tmp_path / "runs.db")) as orchestrator:
        run, asked = orchestrator.run("How many?", thread_id="t"), []
        while run.reviews:
            asked.append([review.sub_task_id for review in run.reviews])
            for review in run.reviews:
                orchestrator.decide(review.id, "approve")
            run = orchestrator.resume("t")
    assert asked == [[""], ["facts"], ["join"]]
    assert run.answer == "42 of 360,872."
    assert set(statuses(run.outcomes).values()) == {"succeeded"}


def test_a_request_for_review_is_given_the_sub_task_as_the_plan_has_it(tmp_path: Path) -> None:
    given: list[tuple[SubTask, str]] = []

    class Asking(TaskOrchestrator):
        def request_human_review(self, sub_task: SubTask, result: str, review: Review | None = None) -> Decision | None:
            given.append((sub_task, result))
            assert review is not None
            return Decision(review_id=review.id, action="approve")

    model = ScriptedModel(TeamScript(PLAN, results=RESULTS))
    with Asking(team=make_team(model), db=str(tmp_path / "runs.db")) as orchestrator:
        run = orchestrator.run("How many?")
        orchestrator.decide(run.reviews[0].id, "approve")
        run = orchestrator.resume(run.thread_id)
    assert run.status == "done"
    assert given == [(SubTask.model_validate(s), RESULTS[s["id"]]) for s in (PLAN[1], PLAN[0])]
    assert all(sub_task.requires_approval for sub_task, _ in given)


def test_a_supervisor_without_a_team_says_so_instead_of_planning_for_nobody() -> None:
    with pytest.raises(ConfigError, match="no workers to plan for: give it to a Team"):
        Supervisor().decompose("How many?")
