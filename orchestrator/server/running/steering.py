"""Steering: what a person can do to a thread right now."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.runs.run import Run
from orchestrator.server.running.runs import RunState


@dataclass(frozen=True)
class Refused:
    """A thing that a person wanted to do, and why it was not done.

    Args:
        do: The deed.
        problem: Why it was not done.
        other_model: The difference that the person has to agree to first.
        values: What was typed.
    """

    do: str = ""
    problem: str = ""
    other_model: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Steering:
    """The things that a person can do to a thread.

    Args:
        run: The thread.
        here: The state of its run in this process.
        is_leased: A process runs it.
        refused: What the person wanted to do just now, and why it was not done.
    """

    run: Run
    here: RunState
    is_leased: bool
    refused: Refused = field(default_factory=Refused)

    @property
    def status(self) -> str:
        """The status of the thread, with `queued` for a run that waits for a slot here."""
        return "queued" if self.here.state == "queued" and not self.is_leased else self.run.status

    @property
    def is_busy(self) -> bool:
        """True if a run is on the thread, or waits for a slot here."""
        return self.is_leased or bool(self.here.state)

    @property
    def can_resume(self) -> bool:
        """True if a run would go on."""
        return not self.is_busy and self.run.is_resumable

    @property
    def can_raise(self) -> bool:
        """True if a budget ended the run, so that a higher one lets it go on."""
        return not self.is_busy and self.run.limited_by == "budget" and not self.run.is_resumable

    @property
    def can_instruct(self) -> bool:
        """True if a step is left that would see an instruction."""
        return self.is_busy or self.run.is_resumable or self.run.limited_by == "budget"

    @property
    def can_ask_next(self) -> bool:
        """True if the thread takes another task."""
        return not self.is_busy and not self.run.is_resumable

    def typed(self, do: str, name: str) -> str:
        """Return what was typed into a field of a form whose deed was refused."""
        return self.refused.values.get(name, "") if self.refused.do == do else ""
