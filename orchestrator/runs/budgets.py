"""Budgets of runs: prices checked before they count, and limits raised after a run has begun."""

from collections.abc import Mapping
from typing import Any

from langgraph.types import StateSnapshot

from orchestrator.agents.team import Team
from orchestrator.budget.budget import Budget
from orchestrator.budget.ledger import Ledger
from orchestrator.budget.prices import check_prices
from orchestrator.concurrency import AWAITING
from orchestrator.daemon_threads import in_own_thread
from orchestrator.errors import ConfigError
from orchestrator.persistence.database import Persistence
from orchestrator.runs.thread_states import Graph, ThreadStates

Limits = Mapping[str, Any] | Budget


async def check_prices_of(team: Team, budget: Budget) -> None:
    """Check that the price of every model of a team is known, if cost is limited.

    Raises:
        ConfigError: A price is not known.
    """
    if budget.cost_usd is None:
        return

    def check() -> None:
        # A guest's own models cannot be known before they are called.
        agents = (team.supervisor, *(worker for worker in team.workers.values() if worker.guest is None))
        others = {f"fallback {number}": model for number, model in enumerate(team.calls.fallbacks, 1)}
        if team.calls.economy is not None:
            others["economy"] = team.calls.economy
        check_prices({agent.name: agent.model for agent in agents} | others, budget.prices)

    # The first look-up of a published price takes a while, and the loop serves other runs.
    await in_own_thread(check)


async def raised_budget(team: Team, budget: Budget | Mapping[str, Any] | None, limits: Limits) -> Budget:
    """Return a budget, or its plain form, with other limits.

    Raises:
        ConfigError: A limit is wrong, or a price is not known.
    """
    raised = (budget if isinstance(budget, Budget) else Budget.parse(budget)).raised(limits)
    await check_prices_of(team, raised)
    return raised


async def raise_limits(
    team: Team, graph: Graph, persistence: Persistence, states: ThreadStates, snapshot: StateSnapshot, limits: Limits
) -> None:
    """Set other limits of a thread's run, and reopen a run that the budget had ended. The caller holds the lease.

    Args:
        team: The team.
        graph: Its graph.
        persistence: The database.
        states: Its threads.
        snapshot: The thread's newest state.
        limits: The new limits.

    Raises:
        ConfigError: No budget ended the run, or a limit is wrong.
    """
    config = snapshot.config["configurable"]
    thread_id, has_ended = config["thread_id"], not snapshot.tasks
    if has_ended and snapshot.values.get("limited_by") != "budget":
        status = (await states.run_of(thread_id)).status
        raise ConfigError(f"thread '{thread_id}' is {status}, and no budget ended it: there is nothing to raise")
    ledger = Ledger(Budget(), persistence.store, thread_id, AWAITING.lock())
    await ledger.load(AWAITING)
    await ledger.set_budget(AWAITING, await raised_budget(team, ledger.budget, limits))
    if has_ended:
        # As if a gate had written it: after `approve_plan` the graph goes on with the supervisor.
        reopened = {"phase": "raised", "status": "running"}
        await graph.aupdate_state(states.config(thread_id), reopened, as_node="approve_plan")
