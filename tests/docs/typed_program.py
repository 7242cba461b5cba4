"""A user's program; `test_installed.py` checks it with `mypy --strict` against the installed package.

A `type: ignore` here is a mistake that mypy has to see: were the type `Any`, the comment would be reported as unused.
"""

from typing import assert_type

from langchain_core.tools import BaseTool
from orchestrator_graphs.research_team import team as research_team
from orchestrator_tools.documents import document_tools

import orchestrator
from orchestrator import (
    Agent,
    Budget,
    BudgetSpentError,
    ConfigError,
    Decision,
    Entry,
    Event,
    ModelSettings,
    Plan,
    Resilience,
    Result,
    Review,
    Run,
    SharedMemory,
    SubTask,
    SubTaskChanged,
    Supervisor,
    TaskOrchestrator,
    Team,
    Worker,
    chat_model,
    compile_graph,
    declare,
    reviewer,
)
from orchestrator.testing import ScriptedModel, TeamScript


def days_between(first: str, last: str) -> int:
    """Counts the days from one ISO date to another."""
    return len(first) - len(last)


@declare(risk="read")
def today() -> str:
    """Gives the date."""
    return "2024-02-01"


class Clerk(Worker):
    """A worker of the user's own."""

    def __init__(self) -> None:
        super().__init__("clerk", "You compute with dates.", tools=[days_between, today], model="openai:gpt-4.1-mini")


class Asking(TaskOrchestrator):
    """Asks on the spot."""

    def request_human_review(self, sub_task: SubTask, result: str, review: Review | None = None) -> Decision | None:
        return Decision(review_id=review.id, action="approve") if review else None


def watch(event: Event) -> None:
    """Show progress."""
    if isinstance(event, SubTaskChanged):
        assert_type(event.attempt, int)


def work() -> str:
    """Run a task."""
    clerk = Clerk()
    declare(clerk.tools[0], risk="read")
    assert_type(declare(clerk.tools[0], risk="read"), BaseTool)
    assert_type(today(), str)
    declare(clerk.tools[0], risk="none")  # type: ignore[call-overload]
    workers = [
        clerk,
        reviewer(),
        *research_team().workers.values(),
        Worker("r", "You read.", tools=document_tools(".")),
    ]
    with Asking(Supervisor(prompt="You plan."), workers, budget=Budget(tokens=1_000)) as engine:
        run = engine.run("task", on_event=watch, plan=[{"id": "a", "description": "d", "target_agent": "clerk"}])
        assert_type(run, Run)
        assert_type(run.plan, Plan | None)
        for sub_task in run.plan or ():
            assert_type(sub_task, SubTask)
            assert_type(clerk.execute(sub_task, context=engine.memory.get_recent()), Result)
        if run.plan:
            assert_type((run.plan["a"], run.plan[0], run.plan[:1]), tuple[SubTask, SubTask, tuple[SubTask, ...]])
            assert_type(list(reversed(run.plan)), list[SubTask])
        for review in run.reviews:
            assert_type(engine.decide(review, "approve"), Decision)
            engine.decide(review.id, "accept")  # type: ignore[arg-type]
        assert run.answers  # type: ignore[attr-defined]
        return run.answer


def remember() -> list[Entry]:
    """Use the memory by itself."""
    memory = SharedMemory()
    memory.store("a", Result("text"))
    memory.store("b", 3)  # type: ignore[arg-type]
    return memory.all()


Budget(token=5)  # type: ignore[call-arg]
orchestrator.Squad()  # type: ignore[attr-defined]
team = Team(Supervisor(model=chat_model(ModelSettings(model="m"))), [Clerk()], model=ScriptedModel(TeamScript([])))
graph = compile_graph(team)
agents: list[Agent] = [team.supervisor, *team.workers.values()]
assert_type(Resilience().retries, int)
assert_type(orchestrator.__version__, str)
try:
    work()
except (ConfigError, BudgetSpentError) as error:
    assert_type(error.exit_code, int)
