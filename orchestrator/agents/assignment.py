"""Assignment: a sub-task as it is handed to a worker. Result: the worker's answer to it."""

from dataclasses import dataclass, field

from orchestrator.agents.attempt_end import AttemptEnd
from orchestrator.budget.budget import BudgetSpentError
from orchestrator.budget.spend import Spend, Usage
from orchestrator.errors import PlanError
from orchestrator.planning.outcome import Verdict
from orchestrator.planning.output_schema import OutputSchema
from orchestrator.planning.sub_task import SubTask
from orchestrator.reviews.saved.instructions import Instruction


@dataclass(frozen=True)
class Result:
    """A worker's answer to a sub-task.

    Args:
        text: The result itself.
        sources: Names of the tools whose answers the worker used.
        tainted_by: Labels of the sources from outside that the result rests on.
        spent: Tokens and calls.
        verdict: A reviewer's judgement.
        end: The reason why the attempt ended early; None if the worker finished.
        cut_off: The reason why the model's last answer is truncated; empty for a whole one.
    """

    text: str
    sources: tuple[str, ...] = ()
    tainted_by: tuple[str, ...] = ()
    spent: Spend = field(default_factory=Spend)
    verdict: Verdict | None = None
    end: AttemptEnd | None = None
    cut_off: str = ""

    @property
    def stopped(self) -> bool:
        """True if a human stopped the run during the attempt."""
        return self.end is not None and self.end.stopped

    @property
    def limit(self) -> BudgetSpentError | None:
        """The limit of the budget that ended the attempt; None for none."""
        return self.end.limit if self.end is not None else None

    @property
    def stalled(self) -> str:
        """The repetition that ended the attempt, as a sentence; empty for none."""
        return self.end.stalled if self.end is not None else ""

    @property
    def usage(self) -> Usage:
        """Tokens and calls by name."""
        return self.spent.usage()

    def checked(self, schema: OutputSchema) -> "Result":
        """Return the result itself if its text is JSON of a schema.

        Raises:
            PlanError: It is not.
        """
        if problems := schema.text_problems(self.text):
            raise PlanError(problems)
        return self

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Assignment:
    """A sub-task as it is handed to a worker: plain data, and nothing of the process.

    Args:
        sub_task: The sub-task.
        task: The user's whole task.
        needs: Keys of the dependencies' results in the shared memory.
        key: The sub-task's own key.
        previous: Key of the previous attempt's result; empty for the first attempt.
        candidates: Ids of the sub-tasks that a reviewer may send back.
        tainted_by: Labels of the sources from outside that shaped the sub-task itself.
        instructions: What humans have told the run so far.
    """

    sub_task: SubTask
    task: str = ""
    needs: tuple[str, ...] = ()
    key: str = ""
    previous: str = ""
    candidates: tuple[str, ...] = ()
    tainted_by: tuple[str, ...] = ()
    instructions: tuple[Instruction, ...] = ()
