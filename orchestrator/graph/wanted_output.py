"""The schema of the answer that a run wants, kept in the shared memory until the answer is written."""

import json
from collections.abc import Mapping
from typing import Any

from orchestrator.graph.invocation import Invocation
from orchestrator.memory.entry import Entry
from orchestrator.planning.output_schema import OutputSchema

# Not in the state, which every checkpoint repeats.
_KEY = "output_schema"


def output_note(schema: Mapping[str, Any]) -> Entry:
    """Return the entry that keeps the schema for `wanted_output`.

    Raises:
        ConfigError: It is no schema.
    """
    return Entry(key=_KEY, text=json.dumps(OutputSchema.parse(schema).schema), status="note")


def wanted_output(invocation: Invocation) -> OutputSchema | None:
    """Return the schema that the answer must have; None where any text will do.

    Args:
        invocation: The execution of a node; its memory is loaded.
    """
    note = invocation.memory.seen(_KEY)
    if note is None:
        return None
    schema = json.loads(note.text)
    check = invocation.check_output  # another process that resumes the run may not have the type
    return OutputSchema(schema) if check is None else OutputSchema(schema, check)
