"""SubTask: one node of a plan."""

from typing import Any, ClassVar, Self

from pydantic import ConfigDict, Field, ModelWrapValidatorHandler, ValidationError, field_validator, model_validator

from orchestrator.errors import ConfigError, OrchestratorError, PlanError
from orchestrator.planning.output_schema import schema_of
from orchestrator.text import sound, sound_json
from orchestrator.validation import Checked


class SubTask(Checked):
    """One node of the plan.

    Args:
        id: Short and unique in the plan; letters, digits, `_`, `-`.
        description: The work, in words that the worker understands without seeing the plan.
        target_agent: Name of the worker that executes it.
        depends_on: Ids of the sub-tasks whose results it needs.
        requires_approval: True if a human must accept the result before anything is built on it.
        output_schema: JSON schema of its result, which is then JSON text. A type, such as a pydantic model, becomes its
            schema.
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
    output_schema: Any = None
    attempt: int = Field(default=1, ge=1, le=10_000)
    feedback: tuple[str, ...] = ()

    @field_validator("output_schema", mode="before")
    @classmethod
    def _schema(cls, kind: Any) -> Any:
        if kind is None:
            return None
        try:
            return schema_of(kind, "output_schema")
        except ConfigError as error:
            raise ValueError(str(error)) from None

    @field_validator("depends_on", "feedback")
    @classmethod
    def _sound_parts(cls, parts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(sound, parts))  # pydantic takes half a character where a text has no length to keep to

    @model_validator(mode="wrap")
    @classmethod
    def _sound(cls, data: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        # The data is looked through only where something is broken: this is a hot path.
        try:
            sub_task = read(data)
        except ValidationError as error:
            if all(problem["type"] != "string_unicode" for problem in error.errors()):
                raise
            return read(sound_json(data))
        return read(sound_json(data)) if "\0" in sub_task.description else sub_task

    def retry(self, feedback: str) -> Self:
        """Return the same sub-task as a new attempt that is given `feedback`."""
        return self.model_copy(update={"attempt": self.attempt + 1, "feedback": (*self.feedback, sound(feedback))})

    def again(self) -> Self:
        """Return the same sub-task as a new attempt without feedback, after one that was cut off."""
        return self.model_copy(update={"attempt": self.attempt + 1})
