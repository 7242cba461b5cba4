"""Forms: what a person or a program sends to change something."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message

from orchestrator.server.access.sessions import FIELD, is_own_form

MOST_BYTES = 2_000_000  # of a form without files
_MOST_FILES = 200
_MOST_FIELDS = 2000


@dataclass(frozen=True)
class Sent:
    """The fields that were sent.

    Args:
        fields: Their values by name; empty texts for fields that were left empty. Of fields with one name, the last.
        files: The files by the name of their field.
        is_program: True if a program sent them as JSON, and wants JSON.
        data: The JSON object as the program sent it.
        lists: All values by name, for boxes that share a name.
    """

    fields: Mapping[str, str]
    files: Mapping[str, list[UploadFile]] = field(default_factory=dict)
    is_program: bool = False
    data: Mapping[str, Any] = field(default_factory=dict)
    lists: Mapping[str, list[str]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        return self.fields.get(name, "")

    def is_set(self, name: str) -> bool:
        """True if a box is ticked."""
        return self[name].lower() not in ("", "0", "false", "no", "off")


@asynccontextmanager
async def sent(request: Request, most_bytes: int = MOST_BYTES) -> AsyncIterator[Sent]:
    """Read a form of the page's own, or the JSON of a program. Files are open inside the block.

    Args:
        request: The request.
        most_bytes: The most bytes of all fields and files.

    Raises:
        HTTPException: It is too large, no form or JSON object, or a form that this page did not make for this browser.
    """
    # Starlette bounds fields, and writes files of any size to the disk.
    bounded = _Bounded(request, most_bytes)
    if request.headers.get("content-type", "").startswith("application/json"):
        yield _of_program(await bounded.body())
        return
    async with bounded.form(max_files=_MOST_FILES, max_fields=_MOST_FIELDS, max_part_size=most_bytes) as form:
        if not is_own_form(request.state.session, str(form.get(FIELD, ""))):
            raise HTTPException(403, "this form is from another session: load the page again, and send it once more")
        files: dict[str, list[UploadFile]] = {}
        lists: dict[str, list[str]] = {}
        for name, value in form.multi_items():
            if isinstance(value, str):
                # Browsers send the line ends of the network.
                lists.setdefault(name, []).append(value.replace("\r\n", "\n"))
            elif value.filename:  # a field without a file is sent too
                files.setdefault(name, []).append(value)
        yield Sent({name: values[-1] for name, values in lists.items()}, files, lists=lists)


async def sent_fields(request: Request) -> Mapping[str, str] | None:
    """Return the fields that were sent, as `sent` does; None for a request that only looks."""
    if request.method != "POST":
        return None
    async with sent(request) as form:
        return form.fields


def _of_program(body: bytes) -> Sent:
    try:
        data = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"this is no JSON: {error}") from error
    if not isinstance(data, dict):
        raise HTTPException(400, 'send a JSON object, as in {"action": "approve"}')
    plain = {str(name): value for name, value in data.items() if value is not None}
    fields = {name: value if isinstance(value, str) else json.dumps(value) for name, value in plain.items()}
    return Sent(fields, is_program=True, data=data)


class _Bounded(Request):
    """A request whose body may not be longer than this, whatever its header says."""

    def __init__(self, request: Request, most_bytes: int) -> None:
        counted = 0

        async def receive() -> Message:
            nonlocal counted
            message = await request.receive()
            counted += len(message.get("body", b""))
            if counted > most_bytes:
                raise HTTPException(413, f"this is larger than {most_bytes / 1e6:g} MB, which is the most here")
            return message

        super().__init__(request.scope, receive)
