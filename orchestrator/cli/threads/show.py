"""`orchestrator show`: a thread, or all that happened with one of its sub-tasks."""

import difflib
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.echo import command, echo, echo_json
from orchestrator.cli.options import Db, Json, Thread
from orchestrator.cli.threads.commands import open_reader
from orchestrator.errors import ConfigError

if TYPE_CHECKING:
    from orchestrator.reports.history.task import TaskHistory
    from orchestrator.runs.run import Run


def show(
    thread: Thread,
    sub_task: Annotated[str | None, typer.Argument(help="A sub-task, by its id or its number in the plan.")] = None,
    attempt: Annotated[int | None, typer.Option("--attempt", min=1, help="Only this attempt at the sub-task.")] = None,
    task: Annotated[
        int | None,
        typer.Option("--task", min=1, help="The number of the task on the thread.", show_default="the newest"),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Shorten no text, and show the workers' prompts.")] = False,
    db: Db = None,
    as_json: Json = False,
) -> None:
    """Show a thread, or one of its sub-tasks.

    Of a thread: its plan, outcomes, open reviews and answer, what runs now and what waits for what. Of a sub-task: what
    each attempt was told, what its tools answered, why it was sent back, and what it cost.
    """
    if sub_task is None and (attempt is not None or task is not None or full):
        raise ConfigError("--attempt, --task and --full are about a sub-task: orchestrator show THREAD SUBTASK")
    from orchestrator.cli.output import print_json, print_run
    from orchestrator.reports.history.reading import histories

    with open_reader(db) as threads:
        run = threads.show(thread)
        # Asked after the state: a run that ends in between is shown as ended.
        is_running = threads.is_running(thread)
        tasks = histories(threads.journal(thread)) if sub_task is not None or not as_json else []
    if sub_task is not None:
        history = _task_of(run, tasks, task)
        if history is None:
            _show_unrecorded(run, sub_task, db, as_json=as_json)
        else:
            _show_sub_task(run, history, sub_task, attempt, db, full=full, as_json=as_json, is_running=is_running)
    elif as_json:
        print_json(run)
    else:
        from orchestrator.cli.threads.progress_lines import progress_lines

        history = _task_of(run, tasks, None)
        print_run(run, db, [*progress_lines(run, history, is_running=is_running), *_hints(run, history, db)])


def _hints(run: "Run", history: "TaskHistory | None", db: str | None) -> list[str]:
    """Return how to see more of a thread."""
    lines = [] if history is not None else ["recorded before there was a journal: only outcomes were kept"]
    if run.plan is not None and run.plan.sub_tasks:
        lines.append(f"each in detail: {command('show', run.thread_id, 'SUBTASK', db=db)}")
    return lines


def _task_of(run: "Run", tasks: "list[TaskHistory]", number: int | None) -> "TaskHistory | None":
    """Return the history of a task; None where the journal has none of it."""
    # A run that was begun past the engine's interface may have no turns.
    newest = len(run.turns) + 1
    wanted = newest if number is None else number
    if wanted > newest:
        raise ConfigError(f"thread '{run.thread_id}' has no task {wanted}: its newest is {newest}")
    history = next((each for each in reversed(tasks) if each.number == wanted), None)
    if history is None and wanted != newest:
        raise ConfigError(f"task {wanted} of thread '{run.thread_id}' is older than its journal")
    return history


def find_sub_task(thread: str, ids: list[str], name: str, extra: list[str]) -> str:
    """Return the id of a sub-task.

    Args:
        thread: The thread.
        ids: The ids in the plan, in order.
        name: An id, or a number in the plan from 1.
        extra: The ids of earlier plans.

    Raises:
        ConfigError: There is no such sub-task.
    """
    known = [*ids, *extra]
    if name in known:
        return name
    # A model may have named a sub-task "2", which goes before the number.
    if name.isdecimal() and 1 <= int(name) <= len(ids):
        return ids[int(name) - 1]
    if not known:
        raise ConfigError(f"thread '{thread}' has no plan yet, and so no sub-tasks")
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean '{near[0]}'? It" if near else "it"
    listed = ", ".join([*(f"{number} {each}" for number, each in enumerate(ids, 1)), *extra])
    raise ConfigError(f"thread '{thread}' has no sub-task '{name}': {hint} has {listed}")


def _show_sub_task(
    run: "Run",
    history: "TaskHistory",
    name: str,
    number: int | None,
    db: str | None,
    *,
    full: bool,
    as_json: bool,
    is_running: bool,
) -> None:
    from orchestrator.cli.threads.sub_task import SubTaskPrinter
    from orchestrator.reports.history.objections import objections_to
    from orchestrator.reports.history.plain import plain_history

    # The run knows the attempts that a review has led to within a round; the journal's plan does not.
    is_newest = history.number == len(run.turns) + 1
    planned = [each.model_dump(mode="json") for each in run.plan] if run.plan and is_newest else history.sub_tasks
    ids = [str(each["id"]) for each in planned]
    extra = list(dict.fromkeys(each.sub_task for each in history.attempts if each.sub_task not in ids))
    found = find_sub_task(run.thread_id, ids, name, extra)
    attempts = [each for each in history.attempts_at(found) if number in (None, each.attempt)]
    if number is not None and not attempts:
        tried = ", ".join(dict.fromkeys(str(each.attempt) for each in history.attempts_at(found)))
        raise ConfigError(f"sub-task '{found}' has no attempt {number}: it has {tried or 'none yet'}")
    spec: dict[str, Any] = next((each for each in planned if each["id"] == found), {"id": found})
    place = ids.index(found) + 1 if found in ids else 0
    if as_json:
        listed = [
            {**plain_history(each), "objections": plain_history(objections_to(history, each))} for each in attempts
        ]
        about = {"thread_id": run.thread_id, "task_number": history.number, "number": place or None}
        echo_json({**about, "sub_task": spec, "has_journal": True, "attempts": listed})
        return
    again = ["--task", str(history.number)] if not is_newest else []
    whole = command("show", run.thread_id, found, "--full", *again, db=db)
    SubTaskPrinter(history, spec, whole, full=full, is_running=is_running).print(attempts, (place, len(ids)))


def _show_unrecorded(run: "Run", name: str, db: str | None, *, as_json: bool) -> None:
    """Show what is known of a sub-task of a thread without a journal."""
    planned = list(run.plan) if run.plan else []
    found = find_sub_task(run.thread_id, [each.id for each in planned], name, [])
    spec = next(each for each in planned if each.id == found)
    outcome = run.outcomes.get(found)
    if as_json:
        about = {"thread_id": run.thread_id, "task_number": len(run.turns) + 1}
        ended = outcome.model_dump(mode="json") if outcome is not None else None
        form = spec.model_dump(mode="json")
        echo_json({**about, "sub_task": form, "has_journal": False, "outcome": ended, "attempts": []})
        return
    echo(f"{found}: {outcome.status if outcome else 'pending'}")
    echo(f"  {spec.description}")
    echo("  this thread was recorded before there was a journal: only the outcome was kept")
    if outcome is not None:
        echo(f"  attempt {outcome.attempt} by {outcome.agent or spec.target_agent}, {outcome.seconds:.1f} s")
        for label, text in (("result", outcome.digest), ("error", outcome.error), ("rejected", outcome.rejected)):
            if text:
                echo(f"  {label}: {text}")
        if outcome.verdict is not None:
            echo(f"  verdict: {outcome.verdict.verdict}: {outcome.verdict.reason}")
    echo(f"the thread: {command('show', run.thread_id, db=db)}")
