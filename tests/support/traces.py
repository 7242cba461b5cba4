"""A callback handler of LangChain that keeps what it is told, as a tracer would."""

from typing import Any
from uuid import UUID

from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler


class Traces:
    """The runs that handlers were told of, in order.

    Attributes:
        rows: For each run its kind, name, parent, tags and metadata.
    """

    def __init__(self) -> None:
        self.rows: dict[UUID, tuple[str, str, UUID | None, list[str], dict[str, Any]]] = {}

    def add(self, kind: str, serialized: Any, run_id: UUID, given: dict[str, Any]) -> None:
        name = given.get("name") or (serialized or {}).get("name") or ""
        row = (kind, name, given.get("parent_run_id"), given.get("tags") or [], given.get("metadata") or {})
        self.rows[run_id] = row

    def handler(self, *, is_async: bool = False) -> BaseCallbackHandler:
        """Return a handler that tells this object."""
        return _Awaited(self) if is_async else _Blocking(self)

    def paths(self, kind: str) -> list[str]:
        """The names from the root to each run of a kind; an unknown parent is shown as `?`."""
        return [self._path(run_id) for run_id, row in self.rows.items() if row[0] == kind]

    def _path(self, run_id: UUID | None) -> str:
        if run_id is None:
            return ""
        if run_id not in self.rows:
            return "?"
        _, name, parent, _, _ = self.rows[run_id]
        return f"{self._path(parent)}/{name}"

    def metadata(self, kind: str) -> list[dict[str, Any]]:
        """The metadata of each run of a kind."""
        return [row[4] for row in self.rows.values() if row[0] == kind]


class _Blocking(BaseCallbackHandler):
    def __init__(self, traces: Traces) -> None:
        self.traces = traces

    def on_chain_start(self, serialized: Any, inputs: Any, *, run_id: UUID, **given: Any) -> None:
        self.traces.add("chain", serialized, run_id, given)

    def on_chat_model_start(self, serialized: Any, messages: Any, *, run_id: UUID, **given: Any) -> None:
        self.traces.add("model", {"name": "model"}, run_id, given)

    def on_tool_start(self, serialized: Any, input_str: str, *, run_id: UUID, **given: Any) -> None:
        self.traces.add("tool", serialized, run_id, given)


class _Awaited(AsyncCallbackHandler):
    def __init__(self, traces: Traces) -> None:
        self.traces = traces

    async def on_chain_start(self, serialized: Any, inputs: Any, *, run_id: UUID, **given: Any) -> None:
        self.traces.add("chain", serialized, run_id, given)

    async def on_chat_model_start(self, serialized: Any, messages: Any, *, run_id: UUID, **given: Any) -> None:
        self.traces.add("model", {"name": "model"}, run_id, given)

    async def on_tool_start(self, serialized: Any, input_str: str, *, run_id: UUID, **given: Any) -> None:
        self.traces.add("tool", serialized, run_id, given)
