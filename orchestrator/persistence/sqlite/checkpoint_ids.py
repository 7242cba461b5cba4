"""Ids of checkpoints that sort after their parents' ids, whatever the clock says.

LangGraph takes ids from the wall clock (UUID version 6) and finds the newest checkpoint by the order of ids. Where the
clock was put back, as on a virtual machine that resumes, a new checkpoint would sort before the old ones, and every
resume would start from the old state.
"""

import uuid
from typing import Any

from langgraph.checkpoint.base import id as langgraph_ids

from orchestrator.errors import PersistenceError


def start_after(checkpoint_id: str) -> None:
    """Let the ids that LangGraph makes in this process from now on sort after a saved one."""
    ids: Any = langgraph_ids  # the module keeps its last timestamp in a private name, and offers no other way
    timestamp = _timestamp(checkpoint_id)
    last = getattr(ids, "_last_v6_timestamp", None)
    if timestamp is not None and (last is None or last < timestamp):
        ids._last_v6_timestamp = timestamp


def check_order(checkpoint_id: str, parent_id: str | None, where: str) -> None:
    """Refuse a checkpoint that would sort before its parent, and so never be found again.

    Raises:
        PersistenceError: It would.
    """
    if parent_id and checkpoint_id <= parent_id:
        raise PersistenceError(
            f"the clock of this machine is behind the newest step in {where}: set it right, then resume the thread"
        )


def _timestamp(checkpoint_id: str) -> int | None:
    try:
        number = uuid.UUID(checkpoint_id).int
    except ValueError:
        return None  # another program's checkpoint
    if number >> 76 & 0xF != 6:
        return None
    return (number >> 80) << 12 | number >> 64 & 0xFFF
