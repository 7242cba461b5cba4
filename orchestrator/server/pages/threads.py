"""The list of threads."""

from collections import Counter
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from orchestrator.runs.threads.listing import list_threads
from orchestrator.server.desk import desk_of
from orchestrator.server.rendering import render

_PAGE = 100
_ORDER = (
    "running",
    "queued",
    "waiting",
    "interrupted",
    "failed",
    "limited",
    "stopped",
    "done",
    "unreadable",
    "deleting",
)


def threads(request: Request) -> Response:
    """Show the threads that changed last, a page at a time.

    Query:
        status: Only those of this status.
        find: Only those whose name or task holds these words.
        page: The number of the page, from 1.
    """
    query = request.query_params
    status, find = query.get("status", ""), query.get("find", "").strip()
    page = int(query["page"]) if query.get("page", "").isdecimal() else 1
    desk = desk_of(request)
    queued = desk.runs.queued()
    listed = [
        replace(record, status="queued") if record.id in queued and record.status == "interrupted" else record
        for record in sorted(list_threads(desk.db), key=lambda record: -record.updated)
    ]
    # Of all threads, so that a filter shows what the others would find.
    counts = Counter(record.status for record in listed)
    words = find.casefold().split()
    wanted = [
        record
        for record in listed
        if status in ("", record.status) and all(w in f"{record.id} {record.task}".casefold() for w in words)
    ]
    first = (max(1, page) - 1) * _PAGE
    return render(
        request,
        "threads.html",
        records=wanted[first : first + _PAGE],
        counts=[(name, counts[name]) for name in _ORDER if counts[name]],
        total=len(listed),
        found=len(wanted),
        status=status,
        find=find,
        page=max(1, page),
        pages=max(1, -(-len(wanted) // _PAGE)),
    )
