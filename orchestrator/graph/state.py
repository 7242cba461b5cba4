"""The graph's state: small and JSON-plain, since every checkpoint holds all of it. Results are in the shared memory."""

from typing import Annotated, Any, Literal

from typing_extensions import TypedDict  # of the standard one, `langgraph dev` on Python 3.11 makes no input schema

from orchestrator.text import sound

Phase = Literal["plan", "approve_plan", "work", "human_review", "summarize", "end", "raised"]
SavedStatus = Literal["running", "done", "failed", "limited", "stopped"]


def merge_by_key(left: dict[str, Any] | None, right: dict[str, Any] | None) -> dict[str, Any]:
    """Reducer: add the keys of parallel workers; remove keys that are given as None."""
    merged = {**(left or {}), **(right or {})}
    return {key: value for key, value in merged.items() if value is not None}


def add_up(left: dict[str, int] | None, right: dict[str, int] | None) -> dict[str, int]:
    """Reducer: add counters by name."""
    merged = dict(left or {})
    for name, value in (right or {}).items():
        merged[name] = merged.get(name, 0) + value
    return merged


class TaskInput(TypedDict, total=False):
    """The input of a run."""

    task: str
    auto_approve: bool
    given_plan: dict[str, Any] | None
    budget: dict[str, Any] | None


class State(TypedDict, total=False):
    """The checkpointed state. Names and shapes are stored, so they stay.

    Invariants:
    - Only the supervisor writes `plan`, `phase`, `round` and `review`. Only workers write `outcomes`, only gates write
      `decisions`; the supervisor empties both when a run begins.
    - `approved` is the digest of the accepted plan. `standing` is the accepted plan while `plan` is another one that
      waits for its approval.
    - `unattended` is the run's `auto_approve`. The supervisor moves it out of the input, so that it does not hold for
      the next run too.
    - `phase` is `raised` between runs when the budget that ended one was raised; `limited_by` is then `budget`.
    - `outcomes[id].key` tells which version of the sub-task an outcome belongs to.
    """

    task: str
    auto_approve: bool | None
    given_plan: dict[str, Any] | None
    budget: dict[str, Any] | None
    unattended: bool
    planned_task: str
    plan_feedback: list[str]
    plan: dict[str, Any] | None
    standing: dict[str, Any] | None
    approved: str
    outcomes: Annotated[dict[str, Any], merge_by_key]  # with texts, 1,000 steps of 1 KB took 518 MB of checkpoints
    review: dict[str, Any] | None
    decisions: Annotated[dict[str, Any], merge_by_key]
    phase: Phase
    round: int
    revisions: int
    more_rounds: int
    shapes: list[str]
    status: SavedStatus
    limited_by: str
    notes: list[str]
    answer: str
    references: list[dict[str, Any]]
    usage: Annotated[dict[str, int], add_up]
    memory_id: str


def cleared(state: State, memory_id: str) -> dict[str, Any]:
    """Return what to write so that no field of an earlier run on the thread counts for the run that begins."""
    task = sound(state.get("task") or "")
    empty: dict[str, Any] = {
        "task": task,
        "planned_task": task,
        "memory_id": memory_id,
        "plan": None,
        "standing": None,
        "approved": "",
        "plan_feedback": [],
        "outcomes": dict.fromkeys(state.get("outcomes") or {}),  # the reducer removes what is given as None
        "review": None,
        "decisions": dict.fromkeys(state.get("decisions") or {}),
        "round": 0,
        "revisions": 0,
        "more_rounds": 0,
        "shapes": [],
        "limited_by": "",
        "notes": [],
        "answer": "",
    }
    if state.get("references"):  # older threads have none, and threads of one run need none
        empty["references"] = []
    return {name: value for name, value in empty.items() if state.get(name) != value}
