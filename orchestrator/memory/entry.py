"""Entry: one result or note in the shared memory."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from orchestrator.text import shorten, sound_json
from orchestrator.validation import expect

DIGEST_CHARS = 60

EntryStatus = Literal["draft", "final", "retracted", "note"]


@dataclass(frozen=True)
class Entry:
    """One piece of shared memory.

    Args:
        key: Unique in the thread; for a result, the key of its sub-task.
        text: The content.
        sub_task_id: The sub-task that the text came from; empty for notes.
        agent: Name of the agent that wrote the text.
        sources: Names of the documents and tools that the text was made from.
        trusted: False if the text, or anything that it was derived from, came from outside.
        tainted_by: The sources from outside, as `orchestrator.trust` names them.
        status: `draft` until a human or the engine accepts the result, then `final`; `retracted` if another plan does
            not need it; `note` for an entry that is no result.
        created: Unix time in seconds.
        outcome: The sub-task's outcome in plain form; empty for notes.
        turn: Number of the earlier task that the entry belongs to; 0 for the thread's newest task.
    """

    key: str
    text: str
    sub_task_id: str = ""
    agent: str = ""
    sources: tuple[str, ...] = ()
    trusted: bool = True
    tainted_by: tuple[str, ...] = ()
    status: EntryStatus = "final"
    created: float = 0.0
    outcome: dict[str, Any] = field(default_factory=dict)
    turn: int = 0

    def plain(self) -> dict[str, Any]:
        """Return the JSON-plain form, without the key, defaults, and fields of the outcome that the entry has too."""
        # Each run stores an entry for every sub-task: what `parse` can fill in would only make databases larger.
        kept = {name: value for name, value in self.__dict__.items() if name != "key" and value != _DEFAULTS.get(name)}
        if self.outcome:
            twice = {
                "id": self.sub_task_id,
                "key": self.key,
                "agent": self.agent,
                "digest": digest(self.text),
            }
            kept["outcome"] = {n: v for n, v in self.outcome.items() if n not in twice or v != twice[n]}
        return kept

    @property
    def taint(self) -> tuple[str, ...]:
        """The sources from outside; empty for a trusted entry."""
        if self.trusted:
            return ()
        # An untrusted entry may name no sources, for example one that a caller stored.
        return self.tainted_by or (f"{self.sub_task_id or 'memory'}: {', '.join(self.sources) or self.agent}",)

    @property
    def data(self) -> Any:
        """The text as JSON data, for the result of a sub-task with an `output_schema`.

        Raises:
            ValueError: The text is no JSON.
        """
        return json.loads(self.text)

    @property
    def is_result(self) -> bool:
        """True if this is an accepted result: neither a note, nor a draft, nor retracted."""
        return self.status == "final" and bool(self.sub_task_id)

    @property
    def has_failed(self) -> bool:
        """True if the entry's sub-task failed."""
        return bool(self.outcome.get("status") == "failed")

    def stamped(self, now: float) -> "Entry":
        """Return a copy created at a time, in Unix seconds."""
        return replace(self, created=now)

    def sound(self) -> "Entry":
        """Return an entry that every store takes; itself, if nothing has to be replaced."""
        replaced = {name: part for name, value in self.__dict__.items() if (part := sound_json(value)) is not value}
        return replace(self, **replaced) if replaced else self

    def with_status(self, status: EntryStatus) -> "Entry":
        """Return a copy with another status."""
        return replace(self, status=status)

    @classmethod
    def parse(cls, key: str, value: dict[str, Any]) -> "Entry":
        """Read an entry from its plain form. Fields of other versions are left out.

        Raises:
            TypeError: It is no entry.
        """
        if not isinstance(value, Mapping) or not isinstance(value.get("text", ""), str):
            raise TypeError(f"no entry of a shared memory: {shorten(str(value), 60)}")
        known = {name: value[name] for name in cls.__dataclass_fields__ if name in value and name != "key"}
        for name in ("sources", "tainted_by"):
            known[name] = tuple(known.get(name, ()))
        if "outcome" in known and known.get("sub_task_id"):
            twice = {"id": known["sub_task_id"], "key": key, "agent": known.get("agent", "")}
            known["outcome"] = {**twice, "digest": digest(known.get("text", "")), **known["outcome"]}
        return cls(key=key, **{"text": "", **known})


def digest(text: str) -> str:
    """Return the beginning of a text on one line, short enough for the state."""
    return " ".join(text[: 4 * DIGEST_CHARS].split())[:DIGEST_CHARS]


def checked_entries(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries as a list.

    Raises:
        ConfigError: They are none.
    """
    listed = list(entries) if isinstance(entries, Iterable) else [entries]
    for entry in listed:
        expect(Entry, entry, "an entry", "an entry of a shared memory, as memory.get_recent() gives them")
    return listed


_DEFAULTS: dict[str, Any] = {
    "text": "",
    "sub_task_id": "",
    "agent": "",
    "sources": (),
    "trusted": True,
    "tainted_by": (),
    "status": "final",
    "created": 0.0,
    "outcome": {},
    "turn": 0,
}
