"""A thread as a file to send, for download."""

import re
from typing import cast

from starlette.requests import Request
from starlette.responses import Response

from orchestrator.reports.report.report import Form, Which
from orchestrator.server.desk import desk_of

_TYPES: dict[Form, str] = {"html": "text/html", "md": "text/markdown", "json": "application/json"}
_NAME_CHARS = 60


def report(request: Request) -> Response:
    """Send the report of a thread.

    Query:
        id: The thread.
        form: `html`, `md` or `json`.
        task: The number of a task, or `all`; the newest without it.
    """
    query = request.query_params
    thread_id, form = query.get("id", ""), cast(Form, query.get("form", "html"))
    wanted = query.get("task", "newest")
    # `isdecimal` alone lets digits of other scripts pass.
    tasks = int(wanted) if wanted.isascii() and wanted.isdecimal() else wanted
    text = desk_of(request).client.report(thread_id, form, cast(Which, tasks))
    # A file, never a page of this server: its style would not pass the server's own policy.
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", thread_id).strip("-.")[:_NAME_CHARS] or "thread"
    headers = {"content-disposition": f'attachment; filename="{name}.{form}"'}
    return Response(text.encode("utf-8", "replace"), media_type=f"{_TYPES[form]}; charset=utf-8", headers=headers)
