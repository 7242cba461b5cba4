"""One thread: its plan, what happens, what has been found, and its answer."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from orchestrator.control_characters import visible
from orchestrator.planning.plan import Plan
from orchestrator.runs.run import Run
from orchestrator.server.desk import Desk, desk_of
from orchestrator.server.rendering import link_to, render
from orchestrator.server.running.steering import Refused, Steering
from orchestrator.server.views.details import details_of, whole_text
from orchestrator.server.views.plan import plan_picture
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
    run = desk.client.show(thread_id, results=False)  # the history has them, with all else that happened
    selected, is_running = given.get("sub_task", ""), run.status == "running"
    with desk.histories.reading(thread_id) as history:
        task = history.tasks[-1] if history.tasks else None
        plan = run.plan or (Plan.parse(task.proposed) if task and task.proposed else None)
        view = None
        if task is not None:
            density = given.get("density") or request.cookies.get("orchestrator_density", "")
            view = TimelineView(task, datetime.now(UTC), here, density, given, run.spending, is_running=is_running)
        timeline = view.timeline if view is not None else None
        link = view.link if view is not None else here
        # Within the block, so that both tell of the same moment. The inbox reads the journal of a large thread again.
        waiting = desk.inbox.thread(thread_id) if run.reviews else None
        values = {
            "run": run,
            "task": task,
            "plan": plan,
            "picture": plan_picture(plan, run, task, timeline, selected, link) if plan else "",
            "details": details_of(task, selected, is_running=is_running) if task and selected else None,
            "texts": {each.sub_task: each.text for each in task.attempts if not each.is_retracted} if task else {},
            "seq": history.seq,
            "here": here,
            "steering": steering_of(request, run),
            "entries": waiting.open if waiting is not None else (),
            "answered": [each for each in task.reviews if each.answered is not None] if task is not None else [],
            "rests": waiting is not None and waiting.rests,
            **(view.values() if view is not None else {"timeline": "", "shown": set()}),
        }
        return render(request, "thread.html", **values)


def thread_text(request: Request) -> Response:
    """Show a whole text as plain text: of an attempt, or the `task` or the `answer` of the thread.

    Query:
        id: The thread.
        task: The number of the task; the newest by default.
        sub_task: The sub-task, or `:plan` or `:answer`; without it, the text is the thread's.
        attempt: The place of the attempt among those at its sub-task, from 0.
        part: The name of the text.
        key: Instead of these, the key of an entry of the shared memory.
    """
    query, desk = request.query_params, desk_of(request)
    thread_id, part = query.get("id", ""), query.get("part", "")
    if key := query.get("key", ""):
        entry = desk.client.memory_of(thread_id).read(key)
        text = entry.text if entry is not None else None
    elif not query.get("sub_task"):
        run = desk.client.show(thread_id, results=False)
        text = {"task": run.task, "answer": run.answer}.get(part)
    else:
        text = _text_of_attempt(desk, thread_id, part, query)
    if text is None:
        raise HTTPException(404)
    return PlainTextResponse(visible(text))


def _text_of_attempt(desk: Desk, thread_id: str, part: str, query: Mapping[str, str]) -> str | None:
    number, at = query.get("task", ""), query.get("attempt", "0")
    with desk.histories.reading(thread_id) as history:
        tasks = [task for task in history.tasks if number in ("", str(task.number))]
        place = int(at) if at.isdecimal() else 0
        return whole_text(tasks[-1], query["sub_task"], place, part) if tasks else None


def _here(request: Request, query: dict[str, str], **changes: object) -> str:
    """Return the address of the page that is shown, with other values in its query."""
    return link_to(request, "/thread", **{**query, **changes})


def steering_of(request: Request, run: Run) -> Steering:
    """Return what a person can do to a thread right now."""
    desk, refused = desk_of(request), getattr(request.state, "refused", Refused())
    return Steering(run, desk.runs.state(run.thread_id), desk.client.persistence.is_leased(run.thread_id), refused)
