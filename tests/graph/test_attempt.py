"""Attempt: the end that one try at a sub-task is recorded with."""

from pathlib import Path
from typing import Any

from langchain_core.tools import BaseTool, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from orchestrator import Budget, Limits, Supervisor, TaskOrchestrator, Worker, compile_graph, declare
from orchestrator.persistence.namespaces import namespace
from orchestrator.testing import ScriptedModel, TeamScript, call, say
from tests.support.teams import make_team, open_team, step

FINISH: Any = [{"reason": "that is enough", "decision": "finish", "changes": []}]


def test_an_empty_answer_is_a_failure_that_says_so(tmp_path: Path) -> None:
    with open_team(TeamScript([step("a")], results={"a": say("")}, revisions=FINISH), tmp_path / "x") as team:
        outcome = team.run("go", auto_approve=True).outcomes["a"]
    assert (outcome.status, outcome.error) == ("failed", "the agent gave an empty answer")


def test_the_error_of_a_worker_is_recorded_with_its_type_and_without_secrets() -> None:
    def work(text: str) -> str:
        raise RuntimeError("refused: Bearer abcdef123456")

    worker = Worker.of(work, name="guest", description="works", risk="read")
    model = ScriptedModel(TeamScript([step("a", agent="guest")], revisions=FINISH))
    with TaskOrchestrator(Supervisor(), [worker], db="memory://", model=model) as team:
        outcome = team.run("go", auto_approve=True).outcomes["a"]
    assert outcome.status == "failed"
    assert "RuntimeError: refused: Bearer ***" in outcome.error


def test_without_the_task_in_the_store_a_sub_task_is_still_done(tmp_path: Path) -> None:
    with open_team(TeamScript([step("a")]), tmp_path / "x") as team:
        run = team.run("go", thread_id="t")
        team.decide(run.reviews[0].id, "approve")
        team.persistence.store.delete(namespace("t", "memory"), "task")
        run = team.resume("t")
    assert (run.status, run.outcomes["a"].status) == ("done", "succeeded")


def test_a_stop_that_langgraph_resumes_with_at_a_spent_budget_is_kept_with_the_outcome() -> None:
    graph = compile_graph(make_team(TeamScript([step("a")])), checkpointer=InMemorySaver())
    thread: Any = {"configurable": {"thread_id": "t"}}
    # Of two model calls, one is for the plan and one is kept for the summary.
    graph.invoke({"task": "go", "auto_approve": False, "budget": Budget(model_calls=2).plain()}, thread)
    output = graph.invoke(Command(resume="approve"), thread)
    assert [review["kind"] for review in output["reviews"]] == ["steer"]
    assert graph.invoke(Command(resume="stop"), thread)["status"] == "stopped"
    outcome = graph.get_state(thread).values["outcomes"]["a"]
    assert (outcome["status"], outcome["stop"]) == ("failed", True)


def reading_and_saving(saved: list[str]) -> list[BaseTool]:
    """A tool that reads from outside, and one that changes something within the workspace."""

    @tool
    def look() -> str:
        """Looks at something outside."""
        return "from outside"

    @tool
    def save(text: str) -> str:
        """Saves a text in the workspace."""
        saved.append(text)
        return "saved"

    return [
        declare(look, trust="untrusted"),
        declare(save, risk="write", effect="idempotent", contained=True),
    ]


READ_IN_VAIN = [call("look"), say("")]
SAVE = [call("save", text="y"), say("done")]


def test_in_the_first_round_a_sub_task_that_failed_taints_no_other(tmp_path: Path) -> None:
    saved: list[str] = []
    plan = [step("a", agent="tooled"), step("b", agent="tooled")]
    script = TeamScript(plan, results={"a": READ_IN_VAIN, "b": SAVE}, revisions=FINISH)
    tools, limits = reading_and_saving(saved), Limits(parallel_workers=1)
    # One after the other: what `a` ended with is in the shared memory when `b` begins, and `b` is not shown it.
    with open_team(script, tmp_path / "x", *tools, limits=limits) as team:
        run = team.run("go", thread_id="t")
        team.decide(run.reviews[0].id, "approve")
        run = team.resume("t")
    assert (run.outcomes["a"].status, run.outcomes["b"].status, saved) == ("failed", "succeeded", ["y"])


def test_in_a_later_round_all_that_was_read_taints_what_was_planned_after_it(tmp_path: Path) -> None:
    saved: list[str] = []
    changes = [
        {"action": "drop", "sub_task_id": "a", "target_agent": "", "text": "", "depends_on": []},
        {"action": "add", "sub_task_id": "b", "target_agent": "tooled", "text": "save it", "depends_on": []},
    ]
    script = TeamScript(
        [step("a", agent="tooled")],
        results={"a": READ_IN_VAIN, "b": SAVE},
        revisions=[{"reason": "save it instead", "decision": "revise", "changes": changes}],
    )
    with open_team(script, tmp_path / "x", *reading_and_saving(saved)) as team:
        run = team.run("go", thread_id="t")
        while run.reviews and run.reviews[0].kind == "plan":
            team.decide(run.reviews[0].id, "approve")
            run = team.resume("t")
    # `b` is shown nothing of `a`, but the supervisor that added it had seen how `a` ended.
    [review] = run.reviews
    assert (review.kind, review.subject["tainted_by"], saved) == ("tool", ["a: look()"], [])
