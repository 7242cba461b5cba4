"""The page on which a person starts a run."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from orchestrator.errors import ConfigError, OrchestratorError
from orchestrator.runs.thread_list import check_thread_id, new_thread_id
from orchestrator.server.access.forms import MOST_BYTES, Sent, sent
from orchestrator.server.desk import Desk, desk_of
from orchestrator.server.pages.errors import problem
from orchestrator.server.rendering import link_to, render
from orchestrator.server.running import uploads
from orchestrator.server.running.runs import Task
from orchestrator.server.running.settings import KnownModels


def new_run(request: Request) -> Response:
    """Show the form of a new run.

    Query:
        task, team: What it begins with.
    """
    return _form(request, {name: request.query_params.get(name, "") for name in ("task", "team")})


async def start_run(request: Request) -> Response:
    """Start a run, and show its thread.

    Form, or JSON:
        task: The task.
        team, model, base_url, docs: As the options of `orchestrator run`.
        files: Documents, instead of the folder `docs`.
        budget: Limits as a person writes them, such as `500k, $5`.
        auto_approve: Ask no human.
        thread: The name of the thread; one is made of the task otherwise.
    """
    async with sent(request, MOST_BYTES + uploads.MOST_BYTES) as form:
        return await run_in_threadpool(_start, request, form)


def _start(request: Request, form: Sent) -> Response:
    desk = desk_of(request)
    if form.is_program:
        form = replace(form, fields={**form.fields, "key": _new_key()})
    try:
        _keep_files(desk, form, form.files.get("files", ()))
        thread_id = desk.runs.begin_once(form["key"], lambda: _begin(desk, form, request.state.user))
    except OrchestratorError as error:
        if form.is_program:
            return problem(request, str(error), 400)
        return _form(request, form.fields, str(error))
    if form.is_program:
        return JSONResponse({"thread_id": thread_id, "url": link_to(request, "/thread", id=thread_id)}, 201)
    return RedirectResponse(link_to(request, "/thread", id=thread_id), 303)


def _keep_files(desk: Desk, form: Sent, files: Sequence[UploadFile]) -> None:
    if form.is_set("drop_files"):
        desk.uploads.drop(form["key"])
    desk.uploads.keep(form["key"], [(file.filename or "", file.file) for file in files])


def _begin(desk: Desk, form: Sent, user: str) -> str:
    if not form["task"].strip():
        raise ConfigError("the task is empty: say what to do")
    thread_id = form["thread"].strip() or f"{new_thread_id(form['task']).rpartition('-')[0]}-{form['key'][:6]}".lstrip(
        "-"
    )
    if desk.client.has_thread(check_thread_id(thread_id)):
        raise ConfigError(f"there is a thread '{thread_id}' already: choose another name, or give it the task there")
    limits = desk.settings.limits_in(form["budget"])
    has_files = bool(desk.uploads.names(form["key"]))
    if has_files and form["docs"].strip():
        raise ConfigError("choose either a folder of documents or files to upload")
    about = desk.settings.about(form.fields, has_files=has_files)
    if has_files:
        about["docs"] = str(desk.uploads.give(form["key"], thread_id))
    if user:
        about["started_by"] = user
    try:
        desk.runs.begin(Task(form["task"], thread_id, about, limits, auto_approve=form.is_set("auto_approve")))
    # The form comes back with its files, whatever was wrong.
    except BaseException:
        if has_files:
            desk.uploads.take_back(form["key"], thread_id)
        raise
    return thread_id


def _form(request: Request, values: Mapping[str, str], wrong: str = "") -> Response:
    desk, key = desk_of(request), values.get("key") or _new_key()
    settings = desk.settings
    return render(
        request,
        "new.html",
        400 if wrong else 200,
        problem=wrong,
        values={"team": settings.team, **{name: value for name, value in values.items() if value}},
        key=key,
        kept=desk.uploads.names(key),
        settings=settings,
        models=KnownModels.now(settings.facts),
        most_mb=uploads.MOST_BYTES // 1_000_000,
    )


def _new_key() -> str:
    return secrets.token_hex(8)
