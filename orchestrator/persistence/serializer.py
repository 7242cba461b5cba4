"""A serializer that compresses large values."""

import zlib
from typing import Any

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

COMPRESS_FROM_BYTES = 4096
_PACKED = "+zlib"


class PackedSerializer(JsonPlusSerializer):
    """LangGraph's serializer with large values compressed: every checkpoint holds the whole state again."""

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Serializes; compressed from 4 KiB on, so that small threads stay readable by any saver."""
        kind, data = super().dumps_typed(obj)
        if len(data) >= COMPRESS_FROM_BYTES:
            return kind + _PACKED, zlib.compress(data)
        return kind, data

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Reads both forms."""
        kind, blob = data
        if kind.endswith(_PACKED):
            return super().loads_typed((kind.removesuffix(_PACKED), zlib.decompress(blob)))
        return super().loads_typed(data)
