"""Resume values: what a client resumed the graph with, and the review that it is the answer to.

LangGraph 1.2 hands a bare `Command(resume=x)` to the first node that calls `interrupt()`, even to one whose question
nobody has seen. It keeps x beside the checkpoint, and hands x out again on each later invocation until the super-step
is over. So a word such as "approve" could open one gate and later another.

Invariants:
- An answer that names no review counts for the one review that was open when the answer was given, or for none.
- Such an answer is bound to its review in LangGraph's own row before it counts, so a later invocation reads it as an
  answer that names its review. A value that LangGraph has not saved yet (`durability="exit"`) counts for none.
"""

import dataclasses
from collections import deque
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import set_config_context
from langgraph.checkpoint.serde.types import ERROR, INTERRUPT, RESUME
from langgraph.config import get_config
from langgraph.runtime import get_runtime
from langgraph.types import interrupt

from orchestrator.concurrency import BLOCKING, Bridge
from orchestrator.errors import DecisionError
from orchestrator.reviews.answers import is_map, named_reviews
from orchestrator.reviews.payload import review_payload
from orchestrator.reviews.review import Review

# LangGraph 1.2 keeps these under private names; there is no public way to ask.
_SCRATCHPAD_KEY = "__pregel_scratchpad"
_CHECKPOINTER_KEY = "__pregel_checkpointer"
_RESUME_MAP_KEY = "__pregel_resume_map"
_SEND_KEY = "__pregel_send"
_NO_TASK = "00000000-0000-0000-0000-000000000000"  # LangGraph's task id for the values of a bare resume
_CONTROL = frozenset({ERROR, INTERRUPT, RESUME, "__error_source_node__"})  # a task with other writes has finished

_TRIES, _PAUSE_S = 20, 0.05

_OWNERS: deque[tuple[object, str]] = deque(maxlen=512)
"""The reviews that bare resumes answer, each with LangGraph's control object of its invocation."""


async def receive(bridge: Bridge, review: Review, problem: str = "", *, is_only: bool = False) -> Any:
    """Return the next resume value for a review; a value that names no review comes as a map by the review's id.

    Args:
        bridge: How to reach the checkpointer.
        review: The review.
        problem: Why the answer before was refused.
        is_only: True if this review has been shown and no other can be open.

    Raises:
        GraphInterrupt: There is no answer yet. The run pauses and shows the review.
        DecisionError: The value answers no review.
    """
    config = get_config()
    configurable = config["configurable"]
    scratchpad = configurable[_SCRATCHPAD_KEY]
    bare = scratchpad.get_null_resume(False)  # also where another node has taken it
    owner = review.id
    if bare is not None and not is_only:
        owner, unnamed = await _owner(bridge, configurable, review, bare)
        problem = problem or unnamed
    if owner != review.id:  # `interrupt` would take the value, and its owner could not have it
        scratchpad = dataclasses.replace(scratchpad, get_null_resume=lambda consume=False: None)
    payload, answers = review_payload(review, problem), len(scratchpad.resume)
    own = {**config, "configurable": {**configurable, _SCRATCHPAD_KEY: scratchpad}}
    with set_config_context(cast(RunnableConfig, own)) as context:
        # LangGraph 1.2: when the node runs again, `interrupt` returns its earlier answers in order, refused ones first.
        value = context.run(interrupt, payload, response_schema=payload["schema"])
    if named_reviews(value):
        return value
    was_bare = len(scratchpad.resume) > answers
    if not was_bare and not await _is_addressed(bridge, configurable, review, value):
        raise DecisionError(_unnamed(review.id))
    named = {review.id: value}
    place = max(number for number, each in enumerate(scratchpad.resume) if each is value)
    scratchpad.resume[place] = named
    configurable[_SEND_KEY]([(RESUME, scratchpad.resume[: place + 1])])  # as `interrupt` does, for LangGraph to save
    return named


async def bind_bare_resume(bridge: Bridge, review: Review) -> None:
    """Bind the value of a bare resume, if there is one, where its review is answered by another way."""
    configurable = get_config()["configurable"]
    scratchpad = configurable.get(_SCRATCHPAD_KEY)
    if scratchpad is not None and (bare := scratchpad.get_null_resume(False)) is not None:
        await _owner(bridge, configurable, review, bare)


async def _owner(bridge: Bridge, configurable: dict[str, Any], review: Review, bare: Any) -> tuple[str, str]:
    """Return the id of the review that the value of a bare resume answers, and what to tell where it answers none.

    A value that names no review is bound to the only one that was open when the value was given, or to none.
    """
    if named := named_reviews(bare):
        # A decision about another review is taken and refused, so that a human learns of the mistake.
        return ("" if is_map(bare) and review.id not in named else review.id), ""
    invocation = get_runtime().control
    for _ in range(_TRIES):
        writes = await _saved_writes(bridge, configurable)
        if bound := [owner for control, owner in tuple(_OWNERS) if control is invocation]:
            return bound[0], ""  # another node was faster
        if any(task == _NO_TASK and channel == RESUME and value == bare for task, channel, value in writes):
            break
        await bridge.sleep(_PAUSE_S)  # LangGraph saves the value while its nodes begin
    else:
        return "", _unnamed(review.id)
    open_ids = _open_reviews(writes)
    owner = open_ids[0] if len(open_ids) == 1 else ""
    _OWNERS.append((invocation, owner))
    await _rewrite(bridge, configurable, {owner: bare})
    return owner, "" if owner else _unnamed(*(open_ids or [review.id]))


async def _is_addressed(bridge: Bridge, configurable: dict[str, Any], review: Review, value: Any) -> bool:
    """True if a client has given the value just now, to an interrupt by its id, and the interrupt shows this review."""
    by_interrupt = configurable.get(_RESUME_MAP_KEY) or {}
    if not any(each is value for each in by_interrupt.values()):
        return False
    return review.id in _open_reviews(await _saved_writes(bridge, configurable))


def _unnamed(*ids: str) -> str:
    listed = ", ".join(ids)
    return (
        f"the answer names no review, and was not given while one alone was open: answer {listed} by its id, "
        f'as in {{"review_id": "{ids[0]}", "action": …}}'
    )


# -- LangGraph's rows ------------------------------------------------------------------------------------------------


async def _saved_writes(bridge: Bridge, configurable: dict[str, Any]) -> list[tuple[str, str, Any]]:
    """Return what is saved beside the checkpoint from which the outermost graph goes on."""
    saver, place = configurable.get(_CHECKPOINTER_KEY), _place(configurable)
    if saver is None or place is None:
        return []
    found = await bridge.call(saver.get_tuple if bridge is BLOCKING else saver.aget_tuple, place)
    return list(found.pending_writes or ()) if found is not None else []


async def _rewrite(bridge: Bridge, configurable: dict[str, Any], value: Any) -> None:
    saver, place = configurable[_CHECKPOINTER_KEY], _place(configurable)
    put = saver.put_writes if bridge is BLOCKING else saver.aput_writes
    await bridge.call(put, place, [(RESUME, value)], _NO_TASK)


def _place(configurable: dict[str, Any]) -> RunnableConfig | None:
    checkpoint_id = (configurable.get("checkpoint_map") or {}).get("")
    if checkpoint_id is None:
        return None
    thread_id = configurable["thread_id"]
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": "", "checkpoint_id": checkpoint_id}}


def _open_reviews(writes: list[tuple[str, str, Any]]) -> list[str]:
    """Return the ids of the reviews that unfinished nodes have shown."""
    finished = {task for task, channel, _ in writes if channel not in _CONTROL and task != _NO_TASK}
    shown = (value for task, channel, value in writes if channel == INTERRUPT and task not in finished)
    payloads = (interrupt.value for interrupts in shown for interrupt in interrupts)
    return list(dict.fromkeys(p["id"] for p in payloads if isinstance(p, dict) and "question" in p and "id" in p))
