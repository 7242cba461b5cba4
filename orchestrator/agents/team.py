"""Team: a supervisor, its workers and the limits of their runs. A graph is built from it.

Invariant: a team writes only to agents of its own, which are copies of those that it was given. So an agent may work
in several teams, and a team in several orchestrators, each with another model, budget or policy.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Self

from langchain_core.language_models import BaseChatModel
from langchain_core.tools import BaseTool

from orchestrator.agents.supervisor import Supervisor
from orchestrator.agents.worker import Worker
from orchestrator.budget.budget import Budget
from orchestrator.budget.limits import Limits
from orchestrator.errors import ConfigError
from orchestrator.model_calls.call_policy import CallPolicy
from orchestrator.tool_calls.policy import Policy

RESERVED = frozenset({"supervisor", "approve_plan", "human_review", "summarize"})


class Team:
    """Who works together. The agents of a team are copies of those that it is given.

    Args:
        supervisor: Plans, revises, and writes the answer.
        workers: At least one; names are unique and are the names of nodes in the graph.
        model: For every agent that has no model of its own.
        limits: Bounds of a run.
        policy: Which tool calls are allowed, asked about or refused.
        budget: What a run may spend, where the run itself is not given another.
        calls: How models are called: retries, fallbacks, rate limits, a model for when little is left.

    Raises:
        ConfigError: There is no worker, a name is taken twice or is reserved, or the policy names what is not there.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        workers: Sequence[Worker],
        *,
        model: BaseChatModel | None = None,
        limits: Limits | None = None,
        policy: Policy | None = None,
        budget: Budget | None = None,
        calls: CallPolicy | None = None,
    ) -> None:
        if not workers:
            raise ConfigError("a team needs at least one worker")
        names = [worker.name for worker in workers]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"two workers have the name '{name}'")
            if name in RESERVED:
                raise ConfigError(f"'{name}' is the name of another node of the graph: call the worker something else")
        self.supervisor = supervisor.copy()
        self.workers = {worker.name: worker.copy() for worker in workers}
        self.limits = limits or Limits()
        self.budget = budget or Budget()
        self.calls = calls or CallPolicy()
        self.use_policy(policy or Policy())
        if model is not None:
            self.use_model(model)

    def copy(self) -> Self:
        """Return the same team with agents of its own."""
        twin = copy.copy(self)
        twin.supervisor = self.supervisor.copy()
        twin.workers = {name: worker.copy() for name, worker in self.workers.items()}
        twin.limits = self.limits
        return twin

    @property
    def limits(self) -> Limits:
        """Bounds of a run; the supervisor plans within them."""
        return self.supervisor.limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self.supervisor.lead(self.workers, limits)

    def use_model(self, model: BaseChatModel) -> None:
        """Gives the model to every agent that has none."""
        for agent in (self.supervisor, *self.workers.values()):
            if not agent.has_model:
                agent.model = model

    def add_tools(self, by_worker: Mapping[str, Sequence[BaseTool]]) -> None:
        """Gives workers more tools.

        Args:
            by_worker: Tools by the worker's name; those under `*` are for every worker that has tools.

        Raises:
            ConfigError: There is no such worker, or it has a tool of that name.
        """
        for name, tools in by_worker.items():
            if name != "*" and name not in self.workers:
                known = ", ".join(self.workers)
                raise ConfigError(f"tools are meant for '{name}', and there is no such worker: use {known} or *")
            for worker in self.workers.values():
                if worker.name == name or (name == "*" and worker.tools):
                    worker.add_tools(*tools)

    def use_policy(self, policy: Policy) -> None:
        """Sets the policy; a graph that is compiled already keeps its own.

        Raises:
            ConfigError: It names a worker or a tool that the team has not.
        """
        policy.check({name: worker.tools for name, worker in self.workers.items()})
        self.policy = policy
