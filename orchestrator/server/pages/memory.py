"""The shared memory of a thread: what its agents passed to each other."""

from starlette.requests import Request
from starlette.responses import Response

from orchestrator.memory.entry import Entry
from orchestrator.server.desk import desk_of
from orchestrator.server.rendering import render

_PAGE = 100
_SHOWN = 1200  # characters of a text
_STATUSES = ("final", "draft", "note", "retracted")


def memory(request: Request) -> Response:
    """Show the entries of a thread's shared memory, newest first, a page at a time.

    Query:
        id: The thread.
        find: Only those whose key, agent, sources or text hold these words.
        status: Only those of this status.
        page: The number of the page, from 1.
    """
    query, client = request.query_params, desk_of(request).client
    thread_id, find, status = query.get("id", ""), query.get("find", "").strip(), query.get("status", "")
    client.journal(thread_id, since=1 << 60)  # an unknown thread is an error, and not an empty memory
    shared = client.memory_of(thread_id)
    shared.all()  # loads it; what was retracted or only drafted is shown too
    entries = sorted(shared.entries(), key=lambda entry: -entry.created)
    words = find.casefold().split()
    wanted = [each for each in entries if status in ("", each.status) and _holds(each, words)]
    pages = max(1, -(-len(wanted) // _PAGE))
    page = min(max(1, int(query["page"]) if query.get("page", "").isdecimal() else 1), pages)
    counts = [(name, sum(entry.status == name for entry in entries)) for name in _STATUSES]
    return render(
        request,
        "memory.html",
        thread_id=thread_id,
        entries=wanted[(page - 1) * _PAGE : page * _PAGE],
        most=_SHOWN,
        total=len(entries),
        wanted=len(wanted),
        counts=[(name, count) for name, count in counts if count],
        status=status,
        find=find,
        page=page,
        pages=pages,
    )


def _holds(entry: Entry, words: list[str]) -> bool:
    if not words:
        return True
    text = " ".join((entry.key, entry.agent, *entry.sources, entry.text)).casefold()
    return all(word in text for word in words)
