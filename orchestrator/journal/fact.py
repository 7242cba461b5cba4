"""Fact: what is to be told in a journal, before the store has numbered it."""

import json
import os
import socket
import time
from dataclasses import dataclass, field
from typing import Any

import orjson
from langgraph.store.base import PutOp

from orchestrator.journal.record import BODY, Kind
from orchestrator.persistence.hash_chain import body_digest
from orchestrator.redaction import hide_known
from orchestrator.text import sound, sound_json

LONG_CHARS = 500
"""A longer text is stored once, compressed, since prompts and results come again in other records."""
_PLAIN = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, default=str)


@dataclass(slots=True)  # a frozen one takes three times as long to make
class Fact:
    """One thing to be told in a journal.

    Args:
        kind: What happened.
        sub_task: The sub-task that it concerns; empty for the run.
        attempt: The number of the attempt.
        by: The user who did it; empty for the engine.
        key: Makes the store tell it once, whatever is done again after a crash; empty to tell it each time.
        data: What is told of it, JSON-plain. Long texts are stored once, and named by their digest.
        at: Unix time in seconds.
    """

    kind: Kind
    sub_task: str = ""
    attempt: int = 0
    by: str = ""
    key: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    at: float = field(default_factory=time.time)

    def ops(self, place: tuple[str, ...], bodies_place: tuple[str, ...]) -> list[PutOp]:
        """Return the writes to the store: long texts first, then the record.

        Args:
            place: The namespace of the thread's records.
            bodies_place: The namespace of its long texts.
        """
        bodies: dict[str, str] = {}
        record: dict[str, Any] = {"at": round(self.at * 1e6) / 1e6, "kind": self.kind}
        if self.sub_task:
            record["sub_task"] = self.sub_task
        if self.attempt:
            record["attempt"] = self.attempt
        if self.by:
            record["by"] = self.by
        if self.data:
            # Long texts are mostly at the top. Data without others need not be walked through.
            record["data"] = {
                name: _shortened(value, bodies) if isinstance(value, str) and len(value) > LONG_CHARS else value
                for name, value in self.data.items()
            }
        text = _as_text(record)
        if len(text) > LONG_CHARS and _may_hold_long_text(text):
            record = json.loads(text)
            record["data"] = _with_digests(record.get("data", {}), bodies)
            text = _as_text(record)
        told = PutOp(place, self.key, {"text": text}, False)
        if not bodies:
            return [told]
        return [*(PutOp(bodies_place, digest, {"body": body}, False) for digest, body in bodies.items()), told]


def _as_text(record: dict[str, Any]) -> str:
    """Return a record as it is stored and hashed, without secrets and broken characters."""
    try:
        text = orjson.dumps(record, default=str, option=_PLAIN).decode()
    except (
        TypeError
    ):  # orjson takes no halves of surrogate pairs, integers of more than 64 bits and keys that are no texts
        text = json.dumps(sound_json(json.loads(_ENCODER.encode(record))), separators=(",", ":"), ensure_ascii=False)
    hidden: str = hide_known(text)
    return hidden


def _may_hold_long_text(text: str) -> bool:
    """True if JSON may hold a text of more than `LONG_CHARS` characters. Parsing it would take ten times as long."""
    if "\\" in text:
        text = text.replace("\\\\", "--").replace('\\"', "--")
    # Every second piece between quotes is a string. The others are marks and numbers, and rarely long.
    return max(map(len, text.split('"'))) > LONG_CHARS


def process_facts() -> dict[str, Any]:
    """Return what tells one process from another."""
    return {"host": socket.gethostname(), "pid": os.getpid()}


def _shortened(value: str, bodies: dict[str, str]) -> dict[str, Any]:
    """Return a digest in the place of a long text, which is added to `bodies`."""
    body = hide_known(sound(value))
    digest = body_digest(body)
    bodies[digest] = body
    return {BODY: digest, "chars": len(body)}


def _with_digests(value: Any, bodies: dict[str, str]) -> Any:
    """Return data with digests in the place of its long texts, which are added to `bodies`."""
    if isinstance(value, dict):
        return {key: _with_digests(part, bodies) for key, part in value.items()}
    if isinstance(value, list):
        return [_with_digests(part, bodies) for part in value]
    return _shortened(value, bodies) if isinstance(value, str) and len(value) > LONG_CHARS else value
