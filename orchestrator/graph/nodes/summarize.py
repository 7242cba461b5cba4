"""summarize: writes the answer from the shared memory."""

from collections.abc import Callable
from typing import Any

from langchain_core.runnables import RunnableConfig

from orchestrator.agents.answer import Answer, assembled
from orchestrator.agents.forecast import history_key
from orchestrator.agents.team import Team
from orchestrator.budget.accounts import SUPERVISOR, Account
from orchestrator.budget.budget import BudgetSpentError
from orchestrator.budget.past_spend import add_past, uses_of
from orchestrator.concurrency import Bridge
from orchestrator.events import Answered, Summarizing
from orchestrator.graph.invocation import Invocation, cancellable, described_config
from orchestrator.graph.nodes.bridged_node import BridgedNode
from orchestrator.graph.output import results_of
from orchestrator.graph.state import State
from orchestrator.graph.supervision.telling import ended_fact
from orchestrator.graph.wanted_output import wanted_output
from orchestrator.journal.fact import Fact
from orchestrator.memory.conversation import Conversation
from orchestrator.memory.entry import Entry
from orchestrator.memory.reference import references_to
from orchestrator.memory.shared_memory import SharedMemory
from orchestrator.model_calls.calls import ModelCalls
from orchestrator.models.error_texts import explaining
from orchestrator.planning.plan import Plan


def summarize(team: Team) -> BridgedNode:
    """Return the node for the supervisor of a team."""

    async def write(bridge: Bridge, state: State, config: RunnableConfig) -> dict[str, Any]:
        config = described_config(config, agent=SUPERVISOR)
        invocation = Invocation.of(bridge, config, state["memory_id"], state.get("task_number", 1))
        async with cancellable(invocation):
            return await _write(team, invocation, state, config)

    return BridgedNode("summarize", write)


async def _write(team: Team, invocation: Invocation, state: State, config: RunnableConfig) -> dict[str, Any]:
    """Return what to write to the state."""
    invocation.emit(Summarizing())
    await invocation.memory.load(invocation.bridge)
    await invocation.ledger.load(invocation.bridge)
    plan = Plan.parse(state["plan"])
    accepted = _entries(invocation.memory, _keys(plan, state, is_accepted))
    entries = accepted + _entries(invocation.memory, _keys(plan, state, is_unfinished))
    titles = {sub_task.id: sub_task.description for sub_task in plan.sub_tasks}
    notes = [*(state.get("notes") or []), *_cut_off(plan, state)]
    allowance = invocation.allowance(Account(SUPERVISOR, is_summary=True))
    calls = ModelCalls(invocation.bridge, allowance, team.calls, invocation.emit)
    schema = wanted_output(invocation)
    update: dict[str, Any] = {"phase": "end", "status": _status(plan, state, accepted)}
    try:
        with explaining():
            answer = await team.supervisor.answer(
                calls,
                state["task"],
                entries,
                notes,
                config,
                titles,
                Conversation.of(invocation.memory),
                await invocation.instructions(),
                schema,
            )
    except BudgetSpentError:  # the share kept back for the answer does not suffice either
        untyped = "there is no answer of the output type: the budget did not suffice"
        answer = Answer(assembled(entries, notes, titles=titles), references_to(entries), untyped=untyped)
        update |= {"status": "limited", "limited_by": "budget"}
    answer_notes = list(answer.notes)
    if answer.typed is not None:
        update["output"] = answer.typed.value
    elif schema is not None:
        answer_notes.append(answer.untyped)
        update["status"] = "limited" if update["status"] == "done" else update["status"]
    await invocation.ledger.flush(invocation.bridge)
    await _keep_spend(team, invocation, plan, state)
    invocation.emit(Answered(answer.text, update["status"]))
    references = [reference.plain() for reference in answer.references]
    update |= {"answer": answer.text, "references": references, "notes": [*notes, *answer_notes]}
    update["results"] = results_of(invocation.memory, _outcomes(plan, state))
    told = {"answer": answer.text, "references": references, "notes": update["notes"], "status": update["status"]}
    await invocation.tell(Fact("answer_written", data=told), ended_fact(update))
    return update | {"usage": invocation.ledger.spent.counters()}


async def _keep_spend(team: Team, invocation: Invocation, plan: Plan, state: State) -> None:
    """Keep what the finished sub-tasks of each worker used, for later forecasts."""
    number = state.get("task_number", 1)
    finished: dict[str, dict[str, str]] = {}
    for outcome in filter(is_accepted, _outcomes(plan, state)):
        finished.setdefault(outcome["agent"], {})[outcome["id"]] = f"{number} {outcome['key']}"
    accounts = invocation.ledger.accounts
    # A thread of an older team may name workers that this one lacks.
    known = {name: worker for name, worker in team.workers.items() if name in finished}
    uses = {
        history_key(worker): uses_of(accounts, name, invocation.memory_id, finished[name])
        for name, worker in known.items()
    }
    await add_past(invocation.bridge, invocation.store, uses)


def is_accepted(outcome: dict[str, Any]) -> bool:
    """True if the result stands."""
    return bool(outcome["status"] == "succeeded")


def is_unfinished(outcome: dict[str, Any]) -> bool:
    """True if a limit ended the attempt. Its result so far was paid for, and is used."""
    return bool(outcome.get("limit"))


def _cut_off(plan: Plan, state: State) -> list[str]:
    """Return the accepted results that are not whole, as sentences."""
    incomplete = [outcome for outcome in _outcomes(plan, state) if is_accepted(outcome) and outcome.get("error")]
    return [f"{o['id']} ({plan.by_id[o['id']].description}): {o['error']}" for o in incomplete]


def _keys(plan: Plan, state: State, counts: Callable[[dict[str, Any]], bool]) -> list[str]:
    """Return the keys of the results that count, in the plan's order."""
    return [outcome["key"] for outcome in _outcomes(plan, state) if counts(outcome)]


def _outcomes(plan: Plan, state: State) -> list[dict[str, Any]]:
    """Return the outcomes that belong to the plan as it is now, in its order."""
    saved = state.get("outcomes") or {}
    outcomes = (saved.get(task.id) for task in plan.sub_tasks)
    return [outcome for outcome in outcomes if outcome is not None and outcome["key"] == plan.keys[outcome["id"]]]


def _entries(memory: SharedMemory, keys: list[str]) -> list[Entry]:
    return [entry for key in keys if (entry := memory.seen(key)) is not None and entry.text]


def _status(plan: Plan, state: State, entries: list[Entry]) -> str:
    decided = state.get("status", "running")
    if decided != "running":
        return decided
    return "done" if len(entries) == len(plan.sub_tasks) else "failed"
