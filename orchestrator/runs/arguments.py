"""Checks of what a program gives to `TaskOrchestrator`, before any of it is used."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from types import NoneType
from typing import Any

from langchain_core.runnables import RunnableConfig

from orchestrator.agents.team import Team
from orchestrator.budget.budget import Budget
from orchestrator.budget.limits import Limits
from orchestrator.errors import ConfigError
from orchestrator.events import Event
from orchestrator.planning.plan import Plan
from orchestrator.reviews.review import Decision, Review
from orchestrator.runs.output_type import OutputType
from orchestrator.runs.run import Run
from orchestrator.runs.user_config import checked_config
from orchestrator.text import sound
from orchestrator.tool_calls.worker_context import Held
from orchestrator.validation import described, expect

OnEvent = Callable[[Event], None]
OnReview = Callable[[Review], Decision | Awaitable[Decision | None] | None]

_BUDGET = "a Budget, as in Budget(tokens=50_000)"


@dataclass(frozen=True)
class Caller:
    """The things that the caller of `run` or `resume` brings for this one call. Nothing of them is stored.

    Args:
        on_event: Called with each event.
        on_review: Called with each open review.
        config: Callbacks, tags and the like, checked.
        context: Anything, for the caller's own tools.
        output_type: The type that the answer must have; None for a text.

    Raises:
        ConfigError: A callback is no function, or `config` is none.
    """

    on_event: OnEvent | None = None
    on_review: OnReview | None = None
    config: RunnableConfig | None = None
    context: Any = None
    output_type: Any = None

    def __post_init__(self) -> None:
        for name, callback in (("on_event", self.on_event), ("on_review", self.on_review)):
            if callback is not None and not callable(callback):
                raise ConfigError(f"{name} has to be a function of one argument, not {described(callback)}")
        object.__setattr__(self, "config", checked_config(self.config))
        if self.output_type is not None and not isinstance(self.output_type, OutputType):
            object.__setattr__(self, "output_type", OutputType(self.output_type))

    @property
    def held(self) -> Held:
        """The part of it that the nodes of the graph may use."""
        return Held(self.context, self.output_type.schema.check if self.output_type is not None else None)

    def graph_input(
        self, task: str, budget: Budget, plan: Plan | None, *, auto_approve: bool, afresh: bool
    ) -> dict[str, Any]:
        """Return the input of the graph, JSON-plain and without fields that have their default."""
        optional = {
            "afresh": afresh,
            "output_schema": self.output_type.plain if self.output_type is not None else None,
            "given_plan": plan.plain() if plan is not None else None,
        }
        needed = {"task": task, "auto_approve": auto_approve, "budget": budget.plain()}
        return needed | {name: value for name, value in optional.items() if value not in (None, False)}

    def typed(self, run: Run) -> Run:
        """Return a run with its output as an instance of the output type.

        Raises:
            ConfigError: The output is not of the type: the run was started with another one.
        """
        if self.output_type is None or run.output is None:
            return run
        return replace(run, output=self.output_type.of(run.output))


def check_team(supervisor: object, workers: object, team: object, limits: object, budget: object) -> None:
    """Check the arguments that make a team. `Team` checks the supervisor and the workers.

    Raises:
        ConfigError: An argument is of another type, or two exclude each other.
    """
    if team is not None and (supervisor is not None or workers):
        raise ConfigError("a team has its supervisor and workers already: give either team=, or the two")
    expect((Team, NoneType), team, "team", "a Team, as in Team(Supervisor(), [researcher()])")
    expect((Limits, NoneType), limits, "limits", "a Limits, as in Limits(rounds=5)")
    expect((Budget, NoneType), budget, "budget", _BUDGET)


def checked_task(task: str, budget: object) -> str:
    """Check the arguments of `run`, and return the task as every database takes it.

    Raises:
        ConfigError: An argument is of another type, or the task is empty.
    """
    expect(str, task, "the task", "a text that says what to do")
    if not task.strip():
        raise ConfigError("the task is empty: say what to do")
    expect((Budget, NoneType), budget, "budget", _BUDGET)
    return sound(task)


def check_resume(budget: object) -> None:
    """Check the arguments of `resume`.

    Raises:
        ConfigError: An argument is of another type.
    """
    expect((Mapping, Budget, NoneType), budget, "budget", _BUDGET)


def json_plain(about: dict[str, Any]) -> dict[str, Any]:
    """Return the facts about threads, if they can be stored.

    Raises:
        ConfigError: They are not JSON-plain.
    """
    try:
        json.dumps(about)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"about has to be JSON-plain, since it is stored with each thread: {error}") from None
    return about


def recorded_about(about: dict[str, Any] | None, team: Team) -> dict[str, Any]:
    """Return the facts that are recorded with each thread: those of the caller, and what others must know of the team.

    Args:
        about: The facts of the caller.
        team: The team.

    Raises:
        ConfigError: The facts are not JSON-plain.
    """
    # A server without the team answers reviews whose time is over, too.
    expires = {"review_expires": team.policy.review_expires} if team.policy.review_expires else {}
    return {**json_plain(about or {}), **expires}
