"""Server-sent events out of the bytes of a body, however an endpoint ends its lines."""

import codecs
import json

_FIELDS = (b":", b"event:", b"id:", b"retry:")


class EventReader:
    """Cuts a body into the data of its events.

    Lines end as they may, with or without empty lines between the events. Chunks that stand as JSON on lines of their
    own, without `data:`, are events too.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._is_first = True
        self._event: list[bytes] = []
        self._other: list[bytes] = []

    @property
    def other(self) -> bytes:
        """The lines that belong to no event, and the line that has not ended yet."""
        return b"\n".join([*self._other, self._rest])

    @property
    def is_inside(self) -> bool:
        """True inside an event."""
        return bool(self._event)

    def feed(self, data: bytes) -> list[bytes]:
        """Return the events that the next bytes complete."""
        data = self._rest + data
        if self._is_first and len(data) >= len(codecs.BOM_UTF8):
            data, self._is_first = data.removeprefix(codecs.BOM_UTF8), False
        if b"\r" in data:
            cut = len(data) - data.endswith(b"\r")  # a line feed may follow
            data = data[:cut].replace(b"\r\n", b"\n").replace(b"\r", b"\n") + data[cut:]
        # Split as bytes: the lines of `httpx` end at U+2028 too, which may stand inside a JSON text.
        *lines, self._rest = data.split(b"\n")
        return self._read(lines)

    def end(self) -> list[bytes]:
        """Return the events that the end of the body completes."""
        rest, self._rest = self._rest.rstrip(b"\r"), b""
        return self._read([rest, b""])

    def _read(self, lines: list[bytes]) -> list[bytes]:
        events: list[bytes] = []
        for line in lines:
            if line.startswith(b"data:"):
                if self._event and _is_whole(b"\n".join(self._event)):  # no empty line came between
                    self._close(events)
                self._event.append(line[5:].strip())
            elif not line:
                self._close(events)
            elif line.startswith(b"{") and b'"delta"' in line and not self._other and _is_whole(line):
                events.append(line)
            elif not line.startswith(_FIELDS):
                self._other.append(line)
        return events

    def _close(self, events: list[bytes]) -> None:
        # Some endpoints send empty data while the model thinks.
        if self._event and (data := b"\n".join(self._event)):
            events.append(data)
        self._event.clear()


def _is_whole(data: bytes) -> bool:
    if data.startswith(b"[DONE]"):
        return True
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True
