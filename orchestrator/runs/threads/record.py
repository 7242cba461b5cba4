"""ThreadRecord: a thread in the list of a database. Commands that only look load it, so it loads no LangGraph."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.persistence.used_models import UsedModels

UNREADABLE = "unreadable"
DELETING = "deleting"  # a process was killed while it deleted the thread
# Threads of another status have no open review. To read their states would take long where there are many.
# "running" counts too: after a crash the record still has it.
MAY_WAIT = ("waiting", "running", "interrupted", UNREADABLE)

_LATEST = 1e12  # Unix time in seconds; whatever is later is no time


@dataclass(frozen=True)
class ThreadRecord:
    """A thread in the list.

    Args:
        id: The thread's id.
        task: The task of its last run.
        status: How its last run ended; `running` while one works, and after a crash.
        created: Unix time of the first run, in seconds.
        updated: Unix time of the last change, in seconds.
        about: Facts that a resume needs, such as the team and the model; JSON-plain.
        models: The models that the thread used, see `UsedModels.plain`; empty for threads of 0.1.0.
        usage: Tokens, calls and known dollars of its last run, when it last ended or paused.
    """

    id: str
    task: str
    status: str
    created: float
    updated: float
    about: dict[str, Any] = field(default_factory=dict)
    models: dict[str, Any] = field(default_factory=dict)
    usage: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, thread_id: str, data: object) -> "ThreadRecord":
        """Read the plain form. Keys of an older or newer version are ignored.

        A record of another shape does not hide its thread from the list: its status is `unreadable`.

        Args:
            thread_id: The key of the record.
            data: What is stored under it.
        """
        values = {"about": {}, "usage": {}, **data} if isinstance(data, Mapping) else {}
        known = {name: values.get(name) for name in ("task", "status", "about", "usage", "created", "updated")}
        sound: dict[str, Any] = {name: value for name, value in known.items() if _is_sound(name, value)}
        if len(sound) < len(known):
            sound["status"] = UNREADABLE
        sound["models"] = UsedModels.parse(values.get("models")).plain()
        return cls(**{"id": thread_id, "task": "", "created": 0.0, "updated": 0.0, **sound})


def _is_sound(name: str, value: object) -> bool:
    if name in ("about", "usage"):
        return isinstance(value, dict)
    if name in ("task", "status"):
        return isinstance(value, str)
    return isinstance(value, int | float) and abs(value) < _LATEST
