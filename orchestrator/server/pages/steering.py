"""Steering a thread on its page: cancel, resume, instruct, raise its budget, go on with it, delete it."""

from collections.abc import Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from orchestrator.errors import (
    ConfigError,
    ModelChangedError,
    OrchestratorError,
    ThreadBusyError,
    UnknownThreadError,
)
from orchestrator.server.access.forms import Sent, sent
from orchestrator.server.desk import Desk, desk_of
from orchestrator.server.pages.errors import problem
from orchestrator.server.pages.thread import thread
from orchestrator.server.rendering import link_to, render
from orchestrator.server.running.runs import Task
from orchestrator.server.running.steering import Refused

_ASKED_TO_END = "The run was told to end and has not yet: it ends as soon as it can."


async def steer_thread(request: Request) -> Response:
    """Do something to a thread, and show it again.

    Query:
        id: The thread.

    Form, or JSON:
        do: `cancel`, `resume`, `steer`, `raise`, `task`, `forget` or `delete`.
        text: The instruction, or the next task.
        budget: New limits as a person writes them.
        allow_other_model: Go on with another model than before.
        sure: The thread is to be deleted; forms are asked first.
    """
    async with sent(request) as form:
        return await run_in_threadpool(_steer, request, form)


def ask_delete(request: Request) -> Response:
    """Ask before a thread is deleted.

    Query:
        id: The thread.
    """
    return render(request, "delete.html", run=desk_of(request).client.show(request.query_params.get("id", "")))


def _steer(request: Request, form: Sent) -> Response:
    desk, do = desk_of(request), form["do"]
    thread_id = request.query_params.get("id", "") or form["id"]
    if do == "delete" and not (form.is_program or form.is_set("sure")):
        return RedirectResponse(link_to(request, "/thread/delete", id=thread_id), 303)
    try:
        if do not in _DEEDS:
            raise ConfigError(f"there is nothing called '{do}' to do: use one of {', '.join(_DEEDS)}")
        result = _DEEDS[do](desk, thread_id, form, request.state.user)
    except UnknownThreadError:
        raise
    except OrchestratorError as error:
        if form.is_program:
            return problem(request, str(error), 409 if isinstance(error, ThreadBusyError) else 400)
        other = error.difference if isinstance(error, ModelChangedError) else ""
        # The page is shown under its own address, so it stays live, and its renewals leave the touched form alone.
        request.state.refused = Refused(do, "" if other else str(error), other, form.fields)
        response = thread(request)
        response.status_code = 400
        return response
    if form.is_program:
        return JSONResponse({"thread_id": thread_id, "result": result})
    after = link_to(request, "/") if do == "delete" else link_to(request, "/thread", id=thread_id)
    return RedirectResponse(after, 303)


def _cancel(desk: Desk, thread_id: str, form: Sent, user: str) -> str:
    result = desk.runs.cancel(thread_id, user)
    if result == "asked" and not form.is_program:
        raise ConfigError(_ASKED_TO_END)
    return result


def _resume(desk: Desk, thread_id: str, form: Sent, user: str) -> str:
    desk.runs.resume(thread_id, allow_other_model=form.is_set("allow_other_model"))
    return "resumed"


def _instruct(desk: Desk, thread_id: str, form: Sent, user: str) -> str:
    desk.client.steer(thread_id, form["text"], by=user)
    return "recorded"


def _raise(desk: Desk, thread_id: str, form: Sent, user: str) -> str:
    limits = desk.settings.written(form["budget"])
    if not limits:
        raise ConfigError("write the new limit, as in 700k or $5")
    desk.runs.resume(thread_id, limits=limits, allow_other_model=form.is_set("allow_other_model"))
    return "resumed"


def _next_task(desk: Desk, thread_id: str, form: Sent, user: str) -> str:
    desk.client.show(thread_id)  # a thread that is not there is an error, and not a new one
    desk.runs.begin(
        Task(
            form["text"],
            thread_id,
            {"started_by": user} if user else {},
            desk.settings.limits_in(form["budget"]),
            auto_approve=form.is_set("auto_approve"),
            is_next=True,
            allow_other_model=form.is_set("allow_other_model"),
        )
    )
    return "begun"


def _forget(desk: Desk, thread_id: str, form: Sent, user: str) -> str:
    desk.runs.forget(thread_id)
    return "forgotten"


def _delete(desk: Desk, thread_id: str, form: Sent, user: str) -> str:
    desk.runs.cancel_queued(thread_id)
    desk.client.delete(thread_id)
    desk.runs.forget(thread_id)
    return "deleted"


_DEEDS: Mapping[str, Callable[[Desk, str, Sent, str], Any]] = {
    "cancel": _cancel,
    "resume": _resume,
    "steer": _instruct,
    "raise": _raise,
    "task": _next_task,
    "forget": _forget,
    "delete": _delete,
}
