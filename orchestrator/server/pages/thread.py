"""One thread: its plan, what happens, what has been found, and its answer."""

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from orchestrator.planning.plan import Plan
from orchestrator.reports.plan_svg import plan_svg
from orchestrator.server.desk import desk_of
from orchestrator.server.rendering import render


def thread(request: Request) -> Response:
    """Show a thread.

    Query:
        id: The thread.
    """
    desk, thread_id = desk_of(request), request.query_params.get("id", "")
    run = desk.client.show(thread_id)
    with desk.histories.reading(thread_id) as history:
        seq = history.seq
        task = history.tasks[-1] if history.tasks else None
        plan = run.plan or (Plan.parse(task.proposed) if task and task.proposed else None)
        picture = Markup(plan_svg(plan, run.outcomes)) if plan else ""
        return render(request, "thread.html", run=run, task=task, plan=plan, picture=picture, seq=seq, record=None)
