"""ModelLoading: the event of an endpoint that loads its model."""

from dataclasses import dataclass

from orchestrator.events import Event


@dataclass(frozen=True)
class ModelLoading(Event, kind="loading"):
    """An endpoint loads its model, and the engine waits for it.

    Args:
        sub_task_id: The sub-task; empty for the supervisor.
        model: The model and its endpoint.
        longest_s: Seconds after which the engine gives up.
    """

    sub_task_id: str
    model: str
    longest_s: float
