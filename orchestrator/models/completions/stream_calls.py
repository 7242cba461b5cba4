"""Tool calls of a streamed answer, put together from their pieces.

Endpoints number calls from 1, give all of them one number or none, repeat ids and names, and send the parts of a name.
"""

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.models.call_reading.arguments import strict_arguments
from orchestrator.models.call_reading.native import SentCall, function_of


@dataclass
class _Call:
    """A call, as far as it has arrived."""

    call_id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)
    next_name: str = ""  # came again behind the whole arguments, perhaps for another call

    @property
    def text(self) -> str:
        return "".join(self.arguments)

    @property
    def is_open(self) -> bool:
        """True if its arguments have begun and not ended."""
        return bool(self.text.strip()) and strict_arguments(self.text) is None

    @property
    def is_whole(self) -> bool:
        """True if its arguments have ended, and are no placeholder."""
        return self.text.strip() not in ("", "{}") and not self.is_open

    def whole_arguments(self) -> str:
        """Return the arguments: what was sent piece by piece, behind a placeholder, or whole again with each piece."""
        parts = [part for part in self.arguments if part]
        if len(parts) < 2 or strict_arguments(text := "".join(parts)) is not None:
            return "".join(parts)
        if parts[0] == "{}":
            return "".join(parts[1:])
        grows = all(later.startswith(earlier) for earlier, later in itertools.pairwise(parts))
        return parts[-1] if grows and strict_arguments(parts[-1]) is not None else text


class StreamCalls:
    """The tool calls of one answer, as they arrive in pieces."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._places: dict[object, int] = {}  # by the endpoint's number

    @property
    def sent(self) -> list[SentCall]:
        """The calls so far, with their arguments as they came."""
        return [SentCall(call.name, call.call_id, call.whole_arguments()) for call in self._calls]

    @property
    def is_as_sent(self) -> bool:
        """True if the arguments of each call are its pieces one behind the other, and can be read so."""
        return all(strict_arguments(call.text or "{}") is not None for call in self._calls)

    @property
    def any(self) -> bool:
        """True if there are calls."""
        return bool(self._calls)

    def id_at(self, index: int) -> str:
        """Return the id of a call; empty for none so far."""
        return self._calls[index].call_id

    def added(self, pieces: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return pieces numbered from 0, and with the id and the name of each call only once."""
        return [self._normal(piece) for piece in pieces]

    def _normal(self, piece: Mapping[str, Any]) -> dict[str, Any]:
        name, sent = function_of(piece)
        call_id = str(piece.get("id") or "")
        arguments = sent if sent is None or isinstance(sent, str) else json.dumps(sent, ensure_ascii=False)
        index = self._index(piece.get("index"), call_id, name, arguments or "")
        call = self._calls[index]
        if call.is_whole and name and not arguments:
            call.next_name = name
        elif len(self._calls) > 1 and not call.name and not name:
            name = self._calls[index - 1].next_name
        # Some endpoints repeat both in every piece, and LangChain would join them.
        new_id = call_id if not call.call_id else ""
        new_name = _rest_of_name(call, name)
        call.call_id += new_id
        call.name += new_name
        call.arguments.append(arguments or "")
        return {
            "index": index,
            "id": new_id or None,
            "function": {"name": new_name or None, "arguments": arguments},
        }

    def _index(self, number: object, call_id: str, name: str, arguments: str) -> int:
        number = int(number) if isinstance(number, str) and number.isdigit() else number
        if isinstance(number, int):
            at = self._places.get(number)
        else:  # some endpoints leave it out
            at = next((at for at, call in enumerate(self._calls) if call_id and call.call_id == call_id), None)
            if at is None and self._calls and not (call_id and self._calls[-1].call_id) and not (name and not call_id):
                at = len(self._calls) - 1
        if at is None or self._is_another(self._calls[at], call_id, name, arguments):
            at = len(self._calls)
            self._calls.append(_Call())
            if isinstance(number, int):
                self._places[number] = at
        return at

    def _is_another(self, call: _Call, call_id: str, name: str, arguments: str) -> bool:
        """True if a piece with the number or the id of a call begins another one."""
        if call.is_open or not call.name:
            return False
        if name and call_id and call.call_id and call_id != call.call_id:
            return True
        # An object behind a whole object is that of another call.
        return call.is_whole and bool(name or call.next_name) and arguments.lstrip().startswith("{")


def _rest_of_name(call: _Call, name: str) -> str:
    """Return what a piece adds to the name of its call: all of it, the rest of it, or a part behind the first."""
    if not call.name or not name:
        return name
    if name.startswith(call.name):
        return name[len(call.name) :]
    return "" if call.text else name
