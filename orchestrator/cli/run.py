"""What the commands of the CLI do, with the engine loaded: opening a team, attending a run, printing."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import typer
from rich.markup import escape

from orchestrator.agents.bounds import bounds_of, explain_limits
from orchestrator.cli.ask import ask_at_terminal
from orchestrator.cli.output import command, err, print_end, print_json
from orchestrator.cli.progress import Display, open_display
from orchestrator.errors import ConfigError, OrchestratorError, PersistenceError
from orchestrator.models.profile import ModelProfile
from orchestrator.planning.plan import Plan
from orchestrator.reviews.review import Action, Decision, Review
from orchestrator.runs.client import OrchestratorClient
from orchestrator.runs.loading import load_team
from orchestrator.runs.run import Run
from orchestrator.runs.task_orchestrator import OnEvent, TaskOrchestrator


def print_limits(team_name: str, budget: dict[str, Any], *, as_json: bool) -> None:
    """What bounds the runs of a team."""
    team = load_team(team_name)
    team.budget = team.budget.raised(budget)
    if as_json:
        bounds = bounds_of(team)
        made = {**asdict(bounds), "model_calls": bounds.calls}
        print(json.dumps({"limits": team.limits.model_dump(), "budget": team.budget.plain(), "bounds": made}))
    else:
        print(explain_limits(team))


def read_plan(path: Path) -> Plan:
    """A plan from a JSON file.

    Raises:
        ConfigError: The file cannot be read, or is not JSON.
        PlanError: It is no sound plan.
    """
    return Plan.parse(_read_json(path))


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not JSON: {error}") from error


def attend(
    orchestrator: TaskOrchestrator, start: Callable[[OnEvent | None], Run], *, as_json: bool, db: str | None
) -> Run:
    """Runs, shows progress, and at a terminal asks the reviews on the spot until the run ends."""
    err.print(
        f"model: {escape(ModelProfile.of(orchestrator.supervisor.model).description)}",
        style="dim",
        highlight=False,
        soft_wrap=True,
    )
    interactive = sys.stdin.isatty() and sys.stderr.isatty() and not as_json
    display = None if as_json else open_display(err)
    try:
        run = _watched(start, display)
        while interactive and run.status == "waiting" and _answered(orchestrator, run.reviews):
            run = _watched(partial(_resume, orchestrator, run.thread_id), display)
    except KeyboardInterrupt:
        _tell_way_on("\ninterrupted", orchestrator.thread_id, db)
        raise
    except OrchestratorError as error:
        _tell_way_on("the thread is kept", orchestrator.thread_id, db)
        if as_json and orchestrator.thread_id and not isinstance(error, PersistenceError):
            found = orchestrator.show(orchestrator.thread_id)
            print_json(replace(found, errors=(*found.errors, str(error))))
        raise
    if not as_json:
        print_end(run, db)
    return run


def _tell_way_on(why: str, thread_id: str, db: str | None) -> None:
    if thread_id:
        typer.echo(f"{why}; go on with: {command('resume', thread_id, db=db)}", err=True)


def _resume(orchestrator: TaskOrchestrator, thread_id: str, tell: OnEvent | None) -> Run:
    return orchestrator.resume(thread_id, on_event=tell)


def _watched(start: Callable[[OnEvent | None], Run], display: Display | None) -> Run:
    if display is None:
        return start(None)
    with display:
        return start(display.tell)


def _answered(orchestrator: TaskOrchestrator, reviews: Sequence[Review]) -> bool:
    """Asks each review; whether any was answered."""
    any_answered = False
    for review in reviews:
        while (decision := ask_at_terminal(review, err)) is not None:
            try:
                orchestrator.decide(decision.review_id, decision.action, decision.text, decision.data)
                any_answered = True
                break
            except OrchestratorError as error:
                err.print(f"[red]{escape(str(error))}[/red]")
    return any_answered


def answer(desk: OrchestratorClient, review_id: str, action: str, text: str | None, file: Path | None) -> Decision:
    """Records a decision that came by options.

    Raises:
        ConfigError: The action is none, both texts were given, or the file cannot be read.
        DecisionError: It does not answer an open review.
    """
    if action not in ("approve", "edit", "reject", "stop"):
        raise ConfigError(f"'{action}' is no action: use approve, edit, reject or stop")
    if text is not None and file is not None:
        raise ConfigError("give either --text or --file")
    try:
        said = file.read_text(encoding="utf-8") if file is not None else (text or "")
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"cannot read {file}: {error}") from error
    data = None
    if action == "edit" and "/result-" not in review_id:
        try:
            data, said = json.loads(said), ""
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"editing this review needs JSON, by --text or --file: {error}") from error
    chosen: Action = action  # type: ignore[assignment] # checked above
    return desk.decide(review_id, chosen, said, data)
