"""SavedState: the newest state of a thread, read from a database file without LangGraph.

It is read for those who look only. Whatever is not of the simple form that the engine's own threads have raises
`UnsureError`, and LangGraph reads it then. The rules are those of LangGraph 1.2 (`Pregel.get_state`):

- A node is to run if its branch channel is newer than what the node has seen, or if the channel of sends names it.
- The writes of a node that has finished count already. A node that asked and has not finished is still asking.
"""

import sqlite3
import zlib
from typing import Any, NamedTuple

import ormsgpack

_CHECKPOINT_FORMS = (4,)
_SENDS, _BRANCH = "__pregel_tasks", "branch:to:"
_INTERRUPT, _RESUME, _ERROR = "__interrupt__", "__resume__", "__error__"
_NO_TASK = "00000000-0000-0000-0000-000000000000"
_PACKED_WRITES, _PACKED = "__writes__", "+zlib"
_GATES = frozenset({"supervisor", "approve_plan", "human_review", "summarize"})
# `JsonPlusSerializer`'s names for the forms of an object that is made from its arguments, and of one with their names.
_ARGUMENTS, _NAMED_ARGUMENTS = 1, 2


class UnsureError(Exception):
    """The state is of a form that only LangGraph reads."""


class SavedInterrupt(NamedTuple):
    """The question of a node.

    Args:
        value: The payload.
    """

    value: Any


class SavedState(NamedTuple):
    """The newest state of a thread, with the names of LangGraph's `StateSnapshot`.

    Args:
        values: The fields of the state.
        next: The nodes that have not run yet.
        tasks: The executions of nodes in the newest super-step.
        interrupts: What they ask.
    """

    values: dict[str, Any]
    next: tuple[str, ...]
    tasks: tuple[Any, ...]
    interrupts: tuple[Any, ...]


def read_state(connection: sqlite3.Connection, thread_id: str) -> SavedState:
    """Read the newest state of a thread.

    Args:
        connection: Of a database of the engine's.
        thread_id: The thread.

    Raises:
        UnsureError: It is of another form.
        sqlite3.Error: The file cannot be read.
    """
    query = (
        "SELECT checkpoint_id, type, checkpoint, metadata FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = ''"
        " ORDER BY checkpoint_id DESC LIMIT 1"
    )
    row = connection.execute(query, (thread_id,)).fetchone()
    if row is None:
        return SavedState({}, (), (), ())
    checkpoint_id, kind, blob, metadata = row
    query = (
        "SELECT task_id, channel, type, value FROM writes WHERE thread_id = ? AND checkpoint_ns = ''"
        " AND checkpoint_id = ? ORDER BY task_id, idx"
    )
    written = connection.execute(query, (thread_id, checkpoint_id)).fetchall()
    try:
        # LangGraph reads the step too, and tells of a thread that has none.
        if b'"step"' not in (metadata.encode() if isinstance(metadata, str) else metadata):
            raise UnsureError
        writes = [(task, channel, _loaded(form, value)) for task, channel, form, value in written]
        return _state_of(_loaded(kind, blob), _unpacked(writes))
    except (LookupError, TypeError, ValueError, AttributeError, zlib.error) as error:
        raise UnsureError from error


def _loaded(kind: str, blob: bytes) -> Any:
    if kind.endswith(_PACKED):
        kind, blob = kind.removesuffix(_PACKED), zlib.decompress(blob)
    if kind == "null":
        return None
    if kind != "msgpack":
        raise UnsureError
    return ormsgpack.unpackb(blob, ext_hook=_object_of, option=ormsgpack.OPT_NON_STR_KEYS)


def _object_of(code: int, data: bytes) -> Any:
    """Return the node of a send, or what an interrupt asks."""
    parts = ormsgpack.unpackb(data, ext_hook=_object_of, option=ormsgpack.OPT_NON_STR_KEYS)
    if code == _ARGUMENTS and parts[:2] == ["langgraph.types", "Send"]:
        return str(parts[2][0])
    if code == _NAMED_ARGUMENTS and parts[:2] == ["langgraph.types", "Interrupt"]:
        return SavedInterrupt(parts[2]["value"])
    raise UnsureError


def _unpacked(writes: list[tuple[str, str, Any]]) -> list[tuple[str, str, Any]]:
    """Return the writes with those taken apart that the engine's `Saver` has put into one row."""
    return [
        (task, name, part)
        for task, channel, value in writes
        for name, part in (value if channel == _PACKED_WRITES else [(channel, value)])
    ]


def _state_of(checkpoint: dict[str, Any], writes: list[tuple[str, str, Any]]) -> SavedState:
    if checkpoint["v"] not in _CHECKPOINT_FORMS:
        raise UnsureError
    channels, versions, seen = (checkpoint[name] for name in ("channel_values", "channel_versions", "versions_seen"))
    values = {name: value for name, value in channels.items() if not name.startswith(("__", _BRANCH))}
    # The names of channels that hold no field of the state begin so.
    if "__start__" in channels:  # an input that no node has taken yet
        raise UnsureError
    branches = [name for name in channels if name.startswith(_BRANCH)]
    pulled = tuple(
        sorted(
            name.removeprefix(_BRANCH)
            for name in branches
            if versions[name] > seen.get(name.removeprefix(_BRANCH), {}).get(name, "")
        )
    )
    sent = tuple(channels.get(_SENDS) or ())
    known = {str(task["target_agent"]) for task in (values.get("plan") or {}).get("sub_tasks", ())}
    if not (set(pulled) <= _GATES and set(sent) <= known):
        raise UnsureError
    return _with_writes(values, pulled, sent, writes)


def _with_writes(
    values: dict[str, Any], pulled: tuple[str, ...], sent: tuple[str, ...], writes: list[tuple[str, str, Any]]
) -> SavedState:
    """Return the state with what the nodes of the newest super-step have written so far."""
    finished: dict[str, dict[str, Any]] = {}
    asked: dict[str, list[SavedInterrupt]] = {}
    for task, channel, value in writes:
        if channel == _RESUME:
            continue
        # Of the input to a step, and of a node that has failed, the meaning is LangGraph's own.
        if task == _NO_TASK or channel == _ERROR:
            raise UnsureError
        if channel == _INTERRUPT:
            asked[task] = list(value) if isinstance(value, list | tuple) else [value]
        else:
            finished.setdefault(task, {})[channel] = value
    if finished:
        # Only workers return beside others, and only what they have brought about. A gate or the supervisor may have
        # written anything, and their next node is not known here.
        if pulled or any(set(each) > {"outcomes", f"{_BRANCH}supervisor"} for each in finished.values()):
            raise UnsureError
        outcomes = dict(values.get("outcomes") or {})
        for each in finished.values():
            outcomes |= each.get("outcomes") or {}
        values = {**values, "outcomes": outcomes}
    interrupts = tuple(each for task, parts in asked.items() if task not in finished for each in parts)
    # Sends to one worker differ in their payload only, and nobody asks which of them is left.
    waiting = (*pulled, *sent[: max(0, len(sent) - len(finished))])
    return SavedState(values, waiting, (*pulled, *sent), interrupts)
