"""A serializer that compresses large values."""

import zlib
from typing import Any

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

COMPRESS_FROM_BYTES = 4096
_PACKED = "+zlib"


# A subclass and no wrapper: LangGraph cannot hold a wrapper to a graph's list of types, and copies a subclass.
class PackedSerializer(JsonPlusSerializer):
    """LangGraph's serializer, with large values compressed: every checkpoint repeats the whole state."""

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Serialize a value, and compress it from 4 KiB on. Any saver can still read smaller values."""
        kind, data = super().dumps_typed(obj)
        if len(data) >= COMPRESS_FROM_BYTES:
            return kind + _PACKED, zlib.compress(data)
        return kind, data

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Deserialize a value of either form."""
        kind, blob = data
        if kind.endswith(_PACKED):
            return super().loads_typed((kind.removesuffix(_PACKED), zlib.decompress(blob)))
        return super().loads_typed(data)
