"""SubTask: one node of a plan."""

from typing import ClassVar, Self

from pydantic import ConfigDict, Field, field_validator

from orchestrator.errors import OrchestratorError, PlanError
from orchestrator.text import sound
from orchestrator.validation import Checked


class SubTask(Checked):
    """One node of the plan.

    Args:
        id: Short and unique in the plan; letters, digits, `_`, `-`.
        description: The work, in words that the worker understands without seeing the plan.
        target_agent: Name of the worker that executes it.
        depends_on: Ids of the sub-tasks whose results it needs.
        requires_approval: True if a human must accept the result before anything is built on it.
        attempt: 1 for the first try; set by the engine.
        feedback: Feedback on earlier attempts, oldest first; set by the engine.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    _error: ClassVar[type[OrchestratorError]] = PlanError

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")
    description: str = Field(min_length=1)
    target_agent: str = Field(min_length=1)
    depends_on: tuple[str, ...] = ()
    requires_approval: bool = False
    attempt: int = Field(default=1, ge=1, le=10_000)
    feedback: tuple[str, ...] = ()

    @field_validator("feedback")
    @classmethod
    def _sound(cls, feedback: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(sound, feedback))  # half of a surrogate pair in it could be written to no database

    def retry(self, feedback: str) -> Self:
        """Return the same sub-task as a new attempt that is given `feedback`."""
        return self.model_copy(update={"attempt": self.attempt + 1, "feedback": (*self.feedback, feedback)})

    def again(self) -> Self:
        """Return the same sub-task as a new attempt without feedback, after one that was cut off."""
        return self.model_copy(update={"attempt": self.attempt + 1})
