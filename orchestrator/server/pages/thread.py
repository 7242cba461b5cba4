"""One thread: its plan, what happens, what has been found, and its answer."""

from datetime import UTC, datetime
from functools import partial

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from orchestrator.planning.plan import Plan
from orchestrator.reports.plan_svg import plan_svg
from orchestrator.runs.run import Run
from orchestrator.server.desk import desk_of
from orchestrator.server.rendering import link_to, render
from orchestrator.server.running.steering import Refused, Steering
from orchestrator.server.views.timeline import TimelineView

_QUERY = ("density", "rows", "sub_task")


def thread(request: Request) -> Response:
    """Show a thread.

    Query:
        id: The thread.
        sub_task: The sub-task whose details are shown; `:plan` or `:answer` for the supervisor's.
        density: The height of the timeline's rows, `compact`, `normal` or `roomy`.
        rows: The number of the page of the timeline's rows, from 1.
    """
    desk, thread_id = desk_of(request), request.query_params.get("id", "")
    given = {name: request.query_params[name] for name in _QUERY if name in request.query_params}
    here = partial(_here, request, {"id": thread_id, **given})
    run = desk.client.show(thread_id)
    with desk.histories.reading(thread_id) as history:
        seq = history.seq
        task = history.tasks[-1] if history.tasks else None
        plan = run.plan or (Plan.parse(task.proposed) if task and task.proposed else None)
        picture = Markup(plan_svg(plan, run.outcomes)) if plan else ""
        drawn = None
        if task is not None:
            density = given.get("density") or request.cookies.get("orchestrator_density", "")
            is_running = run.status == "running"
            drawn = TimelineView(task, datetime.now(UTC), here, density, given, is_running=is_running)
        values = drawn.values() if drawn is not None else {"timeline": ""}
        # Within the block, so that both tell of the same moment.
        waiting = desk.inbox.thread(thread_id)
        asked = [] if task is None else [each for each in task.reviews if each.answered is not None]
        return render(
            request,
            "thread.html",
            run=run,
            task=task,
            plan=plan,
            picture=picture,
            seq=seq,
            record=None,
            here=here,
            entries=waiting.open,
            answered=asked,
            rests=waiting.rests,
            steering=steering_of(request, run),
            **values,
        )


def _here(request: Request, query: dict[str, str], **changes: object) -> str:
    """Return the address of the page that is shown, with other values in its query."""
    return link_to(request, "/thread", **{**query, **changes})


def steering_of(request: Request, run: Run) -> Steering:
    """Return what a person can do to a thread right now."""
    desk, refused = desk_of(request), getattr(request.state, "refused", Refused())
    return Steering(run, desk.runs.state(run.thread_id), desk.client.persistence.is_leased(run.thread_id), refused)
