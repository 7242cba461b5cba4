"""Live: server-sent events that tell what is new, for the page and for programs.

The id of an event of a thread is the number of its journal record. A browser that lost its connection names the last
one that it has, and gets the rest.
"""

import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
from sse_starlette.sse import EventSourceResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from orchestrator.control_characters import visible_json
from orchestrator.journal.record import JournalRecord
from orchestrator.server.desk import Desk, desk_of
from orchestrator.server.reading.changes import state_of

_LOOK_S = 0.3
_PING_S = 15  # a proxy takes a silent connection for a dead one


async def thread_events(request: Request) -> Response:
    """Tell the records of one thread, and whether a process runs it.

    Query:
        id: The thread.
        since: The number of the last record that is known; the header `Last-Event-ID` goes before it.
        brief: With it, only the kind and the sub-task of each record are told.
    """
    desk, query = desk_of(request), request.query_params
    known = request.headers.get("last-event-id") or query.get("since", "0")
    since = int(known) if known.isdigit() else 0
    thread_id = query.get("id", "")
    await run_in_threadpool(desk.client.journal, thread_id, 1 << 60)  # an unknown thread is an error, not silence
    told = _thread(desk, thread_id, since, is_brief="brief" in query)
    return EventSourceResponse(told, ping=_PING_S)


async def _thread(desk: Desk, thread_id: str, since: int, *, is_brief: bool) -> AsyncIterator[dict[str, Any]]:
    was_running, before = None, None
    while True:
        state = await run_in_threadpool(state_of, desk.client)
        # Asked before the reading, since a run writes its last records before it lets go of its thread.
        is_running = await run_in_threadpool(desk.client.persistence.is_leased, thread_id)
        # Every open page looks. While nobody has written, there is nothing to read.
        news = [] if state == before else await run_in_threadpool(desk.client.journal, thread_id, since)
        before = state
        for record in news:
            since = max(since, record.seq)
            yield {"id": str(record.seq), "event": "record", "data": _told(record, is_brief=is_brief)}
        if is_running != was_running:
            was_running = is_running
            yield {"event": "running", "data": json.dumps(is_running)}
        await anyio.sleep(_LOOK_S)


def _told(record: JournalRecord, *, is_brief: bool) -> str:
    if is_brief:
        return json.dumps({"kind": record.kind, "sub_task": record.sub_task})
    return visible_json(record.plain())


async def database_events(request: Request) -> Response:
    """Tell that something in the database has changed."""
    return EventSourceResponse(_changes(desk_of(request)), ping=_PING_S)


async def _changes(desk: Desk) -> AsyncIterator[dict[str, Any]]:
    before = await run_in_threadpool(state_of, desk.client)
    while True:
        await anyio.sleep(_LOOK_S)
        if (now := await run_in_threadpool(state_of, desk.client)) != before:
            before = now
            yield {"event": "changed", "data": "{}"}
