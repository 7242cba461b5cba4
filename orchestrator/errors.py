"""Errors for people: each says what happened and what to do, and carries the exit code of the command line."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError  # takes 70 ms to load, and every module imports this one

# Scripts rely on these numbers.
EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2  # a wrong option, setting or decision
EXIT_WAITING = 3  # for a human
EXIT_LIMITED = 4  # ended by the budget or another limit


class OrchestratorError(Exception):
    """Base of all errors that a person reads."""

    exit_code = EXIT_FAILED


class ConfigError(OrchestratorError):
    """A setting, an option or a team is wrong."""

    exit_code = EXIT_USAGE


class PlanError(OrchestratorError):
    """A plan breaks a rule.

    Args:
        problems: One sentence for each broken rule, each naming its culprit.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class WorkerError(OrchestratorError):
    """A worker that is a graph or a function of the user's failed, or was refused."""


class CallbackError(OrchestratorError):
    """A callback of the caller ended by `SystemExit` or the like. The thread can be resumed."""


class DecisionError(OrchestratorError):
    """A decision names no open review, or is not one of the review's allowed decisions."""

    exit_code = EXIT_USAGE


class UnknownThreadError(OrchestratorError):
    """The database has no thread of this name."""

    exit_code = EXIT_USAGE


class ModelChangedError(ConfigError):
    """A thread ran with another model, and nobody has agreed that it goes on with this one.

    Args:
        difference: The former models and those of now, in words.
        obstacles: Reasons why a former model cannot be used here.
    """

    def __init__(self, difference: str, obstacles: Sequence[str] = ()) -> None:
        advice = "give the team its former model, or agree with allow_other_model=True"
        super().__init__("; ".join([difference, *obstacles, advice]))
        self.difference = difference
        self.obstacles = tuple(obstacles)


class ThreadBusyError(OrchestratorError):
    """The thread is being run right now, here or in another process."""


class PersistenceError(OrchestratorError):
    """The database cannot be opened, read or written."""


class ModelError(OrchestratorError):
    """A model's endpoint refused, failed or cannot be reached."""


class MissingModelError(ModelError):
    """No model is configured, or the embedded model's weights or engine are missing."""


class CircuitOpenError(ModelError):
    """An endpoint failed too often and gets no requests for a while; nothing was sent.

    Args:
        endpoint: Name of the endpoint.
        last_failure: Text of the last failure.
        retry_in_s: Seconds until the next trial; 0 while a trial is under way.
    """

    def __init__(self, endpoint: str, last_failure: str, retry_in_s: float) -> None:
        when = f"is tried again in {retry_in_s:.0f} s" if retry_in_s > 0 else "is being tried again just now"
        super().__init__(f"{endpoint} keeps failing (last: {last_failure}) and {when}: resume then")
        self.endpoint = endpoint
        self.last_failure = last_failure
        self.retry_in_s = retry_in_s


class WrongHashError(ModelError):
    """Downloaded weights do not have the expected SHA-256."""


def shape_problems(
    error: "ValidationError",
    whole: str,
    *,
    note: Callable[[tuple[int | str, ...]], str] = lambda _: "",
    show_input: bool = False,
) -> list[str]:
    """Return what is wrong with the shape of some data, one sentence for each place.

    Args:
        error: Pydantic's error.
        whole: Name of the data, for a problem that lies in no place of it.
        note: Returns what to add to the path of a place.
        show_input: True to show the wrong value.
    """
    sentences = []
    for problem in error.errors():
        path = problem["loc"]
        instead = f", not {problem['input']!r}" if show_input else ""
        sentences.append(
            f"{'.'.join(map(str, path)) or whole}{note(path)}: {problem['msg'].removeprefix('Value error, ')}{instead}"
        )
    return sentences
