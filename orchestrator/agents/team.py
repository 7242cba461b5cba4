"""Team: a supervisor, its workers and the limits of their runs. A graph is built from it.

Invariant: a team writes only to agents of its own, which are copies of those that it was given. So an agent may work
in several teams, and a team in several orchestrators, each with another model, budget or policy.
"""

import copy
from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Self

from langchain_core.language_models import BaseChatModel
from langchain_core.tools import BaseTool

from orchestrator.agents.supervisor import Supervisor
from orchestrator.agents.worker import Worker
from orchestrator.budget.budget import Budget
from orchestrator.budget.limits import Limits
from orchestrator.errors import ConfigError
from orchestrator.model_calls.call_policy import CallPolicy
from orchestrator.models.factory import as_model, default_identity
from orchestrator.models.profile import identity_of
from orchestrator.persistence.used_models import UsedModel, UsedModels
from orchestrator.tool_calls.policy import Policy
from orchestrator.validation import expect, expect_list

# Names of the graph's other nodes.
RESERVED = frozenset({"supervisor", "approve_plan", "human_review", "summarize"})


class Team:
    """Agents that work together. A team works with copies of the agents that it is given.

    Args:
        supervisor: Plans, revises, and writes the answer.
        workers: At least one worker. Names are unique and are the names of nodes in the graph.
        model: A model for every agent that has none of its own.
        limits: Limits of a run.
        policy: Rules that allow tool calls, refuse them, or ask a human.
        budget: The budget of a run that is given no other; None for `Budget.default()`, and `Budget()` for no limit.
        calls: Settings for calls of models: retries, fallbacks, rate limits, an economy model.

    Raises:
        ConfigError: There is no worker, a name is used twice or is reserved, or the policy names an unknown worker or
            tool.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        workers: Sequence[Worker],
        *,
        model: BaseChatModel | str | None = None,
        limits: Limits | None = None,
        policy: Policy | None = None,
        budget: Budget | None = None,
        calls: CallPolicy | None = None,
    ) -> None:
        _check(supervisor, workers)
        for kind, name, value, example in (
            (Limits, "limits", limits, "Limits(rounds=5)"),
            (Policy, "policy", policy, "Policy.of(Rule(…))"),
            (Budget, "budget", budget, "Budget(tokens=50_000)"),
            (CallPolicy, "calls", calls, "CallPolicy(economy=…)"),
        ):
            expect((kind, NoneType), value, name, f"a {kind.__name__}, as in {example}")
        names = [worker.name for worker in workers]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"two workers have the name '{name}'")
            if name in RESERVED:
                raise ConfigError(f"'{name}' is the name of another node of the graph: call the worker something else")
        self.supervisor = supervisor.copy()
        self.workers = {worker.name: worker.copy() for worker in workers}
        self.limits = limits or Limits()
        self.budget = Budget.default() if budget is None else budget
        self.calls = calls or CallPolicy()
        self.use_policy(policy or Policy())
        if model is not None:
            self.use_model(model)

    def copy(self) -> Self:
        """Return the same team with agents of its own."""
        twin = copy.copy(self)
        twin.supervisor = self.supervisor.copy()
        twin.workers = {name: worker.copy() for name, worker in self.workers.items()}
        # The setter makes the new supervisor lead the new workers. As a copy it still leads the old ones.
        twin.limits = self.limits
        return twin

    @property
    def limits(self) -> Limits:
        """Bounds of a run; the supervisor plans within them."""
        return self.supervisor.limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self.supervisor.lead(self.workers, limits)

    def use_model(self, model: BaseChatModel | str) -> None:
        """Give a model, or the model of a name, to every agent that has none."""
        model = as_model(model)
        for agent in (self.supervisor, *self.workers.values()):
            if not agent.has_model:
                agent.model = model

    def used_models(self) -> UsedModels:
        """Return the models that the team would ask now. None is made for it.

        Raises:
            ConfigError: A setting of the default model is not allowed.
        """
        # A guest's own models are not known.
        agents = [self.supervisor, *(worker for worker in self.workers.values() if worker.guest is None)]
        named = {agent.name: agent.identity for agent in agents}
        if None in named.values():
            default = self.supervisor.identity or default_identity()
            named = {name: identity or default for name, identity in named.items()}
        others = (*self.calls.fallbacks, *((self.calls.economy,) if self.calls.economy is not None else ()))
        return UsedModels(
            {name: UsedModel(*identity) for name, identity in named.items() if identity is not None},
            tuple(UsedModel(*identity_of(model)) for model in others),
        )

    def add_tools(self, by_worker: Mapping[str, Sequence[BaseTool]]) -> None:
        """Give further tools to workers.

        Args:
            by_worker: Tools by the worker's name; `*` stands for every worker that has tools.

        Raises:
            ConfigError: A worker is unknown, or has a tool of the same name.
        """
        for name, tools in by_worker.items():
            if name != "*" and name not in self.workers:
                known = ", ".join(self.workers)
                raise ConfigError(f"tools are meant for '{name}', and there is no such worker: use {known} or *")
            for worker in self.workers.values():
                if worker.name == name or (name == "*" and worker.tools):
                    worker.add_tools(*tools)

    def use_policy(self, policy: Policy) -> None:
        """Set the policy. A graph that is compiled already keeps its own.

        Raises:
            ConfigError: The policy names an unknown worker or tool.
        """
        policy.check({name: worker.declared_tools for name, worker in self.workers.items()})
        self.policy = policy


def _check(supervisor: object, workers: Sequence[object]) -> None:
    """Refuse what is no supervisor and no list of workers.

    Raises:
        ConfigError: The arguments are of another type.
    """
    if isinstance(supervisor, (list, tuple)):
        raise ConfigError("the first argument is the supervisor: write workers=[…] for the workers")
    expect(Supervisor, supervisor, "supervisor", "a Supervisor, as in Supervisor()")
    expect_list(workers, "workers", "workers=[researcher(), reviewer()]")
    if not workers:
        raise ConfigError("a team needs at least one worker")
    for worker in workers:
        expect(Worker, worker, "a worker", "a Worker, as in Worker('clerk', 'You are a clerk.')")
