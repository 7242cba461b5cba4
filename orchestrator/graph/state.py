"""The graph's state: small and JSON-plain, since every checkpoint holds all of it. Results are in the shared memory."""

from typing import Annotated, Any, Literal

from langgraph.channels import UntrackedValue
from typing_extensions import TypedDict  # of the standard one, `langgraph dev` on Python 3.11 makes no input schema

from orchestrator.text import sound

Phase = Literal["plan", "approve_plan", "work", "human_review", "summarize", "end", "raised"]
SavedStatus = Literal["running", "waiting", "done", "failed", "limited", "stopped"]


INPUTS_OF_ONE_RUN = ("given_plan", "auto_approve", "afresh", "output_schema")
"""Fields of the input that the supervisor removes from the state, so that they do not hold for the next run too."""


def merge_by_key(left: dict[str, Any] | None, right: dict[str, Any] | None) -> dict[str, Any]:
    """Reducer: add the keys of parallel workers; remove keys that are given as None."""
    merged = {**(left or {}), **(right or {})}
    return {key: value for key, value in merged.items() if value is not None}


# A node's update replaces `status`, `reviews` and `usage`. A worker that pauses reports its part of them in a type of
# its own, and the reports of all are merged. LangGraph saves none of them, so the type is never lost.


class ReportedStatus(str):
    """The status that a paused worker reports."""

    # A text, not a tuple: LangGraph 1.2 takes the first value of a channel without asking its reducer.


def newest_status(left: str, right: str) -> str:
    """Reducer: take the new status; an open review outweighs the failures that other paused workers report."""
    return left if isinstance(right, ReportedStatus) and left == "waiting" else right


def open_reviews(left: list[Any], right: list[Any] | tuple[Any, ...]) -> list[Any]:
    """Reducer: take the new list, or add the reviews of a paused worker that are not in it yet."""
    if isinstance(right, tuple):
        return list({review["id"]: review for review in (*left, *right)}.values())
    return right


def newest_usage(left: dict[str, int], right: dict[str, int] | tuple[dict[str, int]]) -> dict[str, int]:
    """Reducer: take the new totals; of the totals that paused workers report, the largest count."""
    if isinstance(right, tuple):
        return {name: max(count, left.get(name, 0)) for name, count in right[0].items()}
    return right


class TaskInput(TypedDict, total=False):
    """The input of a run."""

    task: str
    auto_approve: bool
    given_plan: dict[str, Any] | None
    budget: dict[str, Any] | None
    afresh: bool
    output_schema: dict[str, Any] | None


class ResultOutput(TypedDict, total=False):
    """The result of a sub-task in the graph's output.

    Args:
        text: The whole text.
        status: `succeeded`, `failed` or `skipped`.
        agent: Name of the worker.
        sources: Names of the documents and tools that the text was made from.
        error: Why the sub-task failed, or why its result is not whole.
        verdict: A reviewer's judgement.
        tainted_by: The sources from outside that the text rests on.
    """

    text: str
    status: str
    agent: str
    sources: list[str]
    error: str
    verdict: dict[str, Any]
    tainted_by: list[str]


class Output(TypedDict, total=False):
    """The output of the graph, when it ends and when it stops for a human.

    Args:
        task: The task.
        status: `done`, `failed`, `limited` or `stopped`; `waiting` while a review is open.
        answer: The answer.
        references: The results that the answer refers to.
        output: The answer as data of the input's `output_schema`; missing or null where there is none.
        results: The results by sub-task id, when the run has ended or stands at a gate. No checkpoint holds them.
        reviews: The open reviews.
        usage: Tokens and calls of the whole run.
    """

    task: str
    status: SavedStatus
    answer: str
    references: list[dict[str, Any]]
    output: Any
    results: dict[str, ResultOutput]
    reviews: list[dict[str, Any]]
    usage: dict[str, int]


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
    - `turn` is the number of the task among those of the thread's conversation; a missing one stands for 1.
    - `heard` is the number of the last instruction that the supervisor's model was asked with; a missing one stands for
      0. Numbers on a thread only go up, so it stays when another task begins.
    - `outcomes[id].key` tells which version of the sub-task an outcome belongs to.
    - `status` is `waiting` and `reviews` has a review as long as a gate is closed. The gate itself resets both.
    - `usage` counts all calls of the run, as the ledger does.
    """

    task: str
    auto_approve: bool | None
    given_plan: dict[str, Any] | None
    budget: dict[str, Any] | None
    afresh: bool | None
    output_schema: dict[str, Any] | None
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
    heard: int
    shapes: list[str]
    status: Annotated[SavedStatus, newest_status]
    limited_by: str
    notes: list[str]
    answer: str
    references: list[dict[str, Any]]
    output: Any
    results: Annotated[dict[str, ResultOutput], UntrackedValue]
    reviews: Annotated[list[dict[str, Any]], open_reviews]
    usage: Annotated[dict[str, int], newest_usage]
    memory_id: str
    turn: int
    task_number: int


def cleared(state: State, memory_id: str, turn: int, task_number: int) -> dict[str, Any]:
    """Return what to write so that no field of an earlier run on the thread counts for the run that begins.

    Args:
        state: The state.
        memory_id: Names the thread's memory.
        turn: The number of the run's task in the thread's conversation.
        task_number: The number of the run's task on the thread, for the ids of its reviews.
    """
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
    if turn != state.get("turn", 1):
        empty["turn"] = turn
    if task_number != state.get("task_number", 1):
        empty["task_number"] = task_number
    if state.get("output") is not None:
        empty["output"] = None
    if state.get("references"):  # older threads have none, and threads of one run need none
        empty["references"] = []
    return {name: value for name, value in empty.items() if state.get(name) != value}
