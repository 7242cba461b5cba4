"""The spending of the threads of a database."""

import time

from starlette.requests import Request
from starlette.responses import Response

from orchestrator.budget.saved.ledger_rows import BUDGET_ROW
from orchestrator.persistence.location import database_path, default_url
from orchestrator.persistence.namespaces import ROOT, thread_of
from orchestrator.persistence.rows.stored import StoredRows
from orchestrator.runs.threads.listing import list_threads
from orchestrator.server.desk import desk_of
from orchestrator.server.rendering import render
from orchestrator.server.views.spend import SpendTables

_DAY_S = 86_400
_MOST = 100
_PERIODS = {"": "all", "1": "a day", "7": "7 days", "30": "30 days"}


def spend(request: Request) -> Response:
    """Show the spending by thread, by worker and by model.

    Query:
        days: Only threads that have changed in so many days.
        page: The number of the page of threads, from 1.
    """
    desk, query = desk_of(request), request.query_params
    days = query.get("days", "") if query.get("days", "") in _PERIODS else ""
    since = time.time() - int(days) * _DAY_S if days else 0.0
    records = {record.id: record for record in list_threads(desk.db) if record.updated >= since}
    path = database_path(str(desk.db or default_url()))
    ledgers = {}
    if path is not None and records:
        with StoredRows(path) as rows:
            ledgers = rows.items_under((ROOT, "ledger"), BUDGET_ROW)
    tables = SpendTables({name: rows for place, rows in ledgers.items() if (name := thread_of((place,))) in records})
    pages = max(1, -(-len(tables.threads) // _MOST))
    page = min(max(1, int(query["page"]) if query.get("page", "").isdecimal() else 1), pages)
    return render(
        request,
        "spend.html",
        tables=tables,
        threads=tables.threads[(page - 1) * _MOST : page * _MOST],
        tasks={name: record.task for name, record in records.items()},
        periods=_PERIODS,
        days=days,
        page=page,
        pages=pages,
    )
