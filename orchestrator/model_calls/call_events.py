"""Events of requests to models: asked, returned, another model instead, a model that has to be loaded first."""

from dataclasses import dataclass, field

from orchestrator.events import Event


@dataclass(frozen=True)
class ModelAsked(Event, kind="model_asked"):
    """A request is sent to a model. A request that is repeated is told each time.

    Args:
        sub_task_id: The sub-task; empty for the supervisor.
        agent: The agent that asks.
        model: The model.
        call_id: Names the request. `ModelReturned` has the same.
    """

    sub_task_id: str
    agent: str
    model: str
    call_id: str = ""


@dataclass(frozen=True)
class PromptRead(Event, kind="prompt_read"):
    """A model has read more of its prompt. Only the embedded model tells.

    Args:
        sub_task_id: As in `ModelAsked`.
        agent: As in `ModelAsked`.
        model: As in `ModelAsked`.
        call_id: As in `ModelAsked`.
        tokens: The tokens that it has read.
        total: The tokens of the prompt.
    """

    sub_task_id: str
    agent: str
    model: str
    call_id: str = ""
    tokens: int = 0
    total: int = 0


@dataclass(frozen=True)
class ModelReturned(Event, kind="model_returned"):
    """A model has answered, or the request has failed. What a cancelled request would have answered is not told.

    Args:
        sub_task_id: As in `ModelAsked`.
        agent: As in `ModelAsked`.
        model: As in `ModelAsked`.
        call_id: As in `ModelAsked`.
        error: Reason of a failure, after which the request may be repeated; empty for an answer.
        seconds: Duration of the request.
    """

    sub_task_id: str
    agent: str
    model: str
    call_id: str = ""
    error: str = ""
    seconds: float = 0.0


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


@dataclass(frozen=True)
class FellBack(Event, kind="fallback"):
    """A model could not be reached, and another is asked instead.

    Args:
        sub_task_id: The sub-task; empty for the supervisor.
        model: The model that failed.
        instead: The model that is asked instead.
        error: Reason of the failure.
    """

    sub_task_id: str
    # The plain form is older than this class. Its key cannot name the field: `from` is a keyword.
    model: str = field(metadata={"key": "from"})
    instead: str = field(metadata={"key": "to"})
    error: str
