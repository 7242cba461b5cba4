"""TraceSpan: one span of a trace, before OpenTelemetry is loaded."""

from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any


@dataclass(frozen=True)
class TraceSpan:
    """One span.

    Args:
        trace: Names the trace.
        key: Names the span in the trace.
        name: The name for people.
        began: The beginning.
        ended: The end.
        parent: The key of the parent; empty for a root.
        attributes: The attributes, by the names of the conventions.
        error: Reason of a failure; empty without one.
        is_request: True if another service does the work.
    """

    trace: str
    key: str
    name: str
    began: datetime
    ended: datetime
    parent: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    is_request: bool = False

    @property
    def trace_id(self) -> int:
        """The id of the trace. The same journal gives the same ids, so a second export adds nothing new."""
        return _number(self.trace, 16)

    @property
    def span_id(self) -> int:
        """The id of the span."""
        return _number(f"{self.trace}\0{self.key}", 8)

    @property
    def parent_id(self) -> int | None:
        """The id of the parent; None for a root."""
        return _number(f"{self.trace}\0{self.parent}", 8) if self.parent else None


def _number(name: str, size: int) -> int:
    # OpenTelemetry takes zero for no id at all.
    return int.from_bytes(sha256(name.encode(errors="replace")).digest()[:size]) or 1
