"""PackedSerializer: large values are compressed, small ones are not, and strict deserialisation stays strict."""

import logging
from dataclasses import dataclass

import pytest

from orchestrator.persistence.database import Persistence
from orchestrator.persistence.serializer import COMPRESS_FROM_BYTES, PackedSerializer


@dataclass
class Foreign:
    text: str


@pytest.mark.parametrize("size", [1, COMPRESS_FROM_BYTES * 4])
def test_what_is_packed_comes_back(size: int) -> None:
    serializer, value = PackedSerializer(), {"text": "x" * size}
    kind, data = serializer.dumps_typed(value)
    assert serializer.loads_typed((kind, data)) == value
    assert len(data) < COMPRESS_FROM_BYTES


@pytest.mark.parametrize("size", [1, COMPRESS_FROM_BYTES * 4])
def test_foreign_types_are_revived_only_when_a_graph_names_them(size: int, caplog: pytest.LogCaptureFixture) -> None:
    value = Foreign("x" * size)
    with Persistence("memory://") as persistence, caplog.at_level(logging.WARNING):
        saver = persistence.checkpointer
        allowing = saver.with_allowlist([(Foreign.__module__, Foreign.__name__)])
        assert not caplog.records  # LangGraph says so when it cannot hold a serializer to its list
        assert type(allowing.serde) is PackedSerializer
        packed = saver.serde.dumps_typed(value)
        assert allowing.serde.loads_typed(packed) == value
        assert saver.serde.loads_typed(packed) != value
