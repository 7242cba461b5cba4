"""`orchestrator run` and `resume`: running a thread."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from orchestrator.cli.echo import command
from orchestrator.cli.interruption import CTRL_C, NOT_BEGUN
from orchestrator.cli.options import (
    AutoApprove,
    BaseUrl,
    Db,
    Docs,
    EconomyModel,
    FallbackModel,
    Json,
    JsonStream,
    MaxCalls,
    MaxCost,
    MaxTime,
    MaxTokens,
    McpFile,
    ModelName,
    MoreTokens,
    PolicyFile,
    Price,
    RequestsPerMinute,
    TeamName,
    Thread,
    TokensPerMinute,
    budget_of,
    team_settings,
)
from orchestrator.cli.team import print_limits
from orchestrator.cli.threads.commands import continued_thread, stated
from orchestrator.errors import ConfigError
from orchestrator.runs.defaults import DEFAULT_TEAM

if TYPE_CHECKING:
    from orchestrator.planning.plan import Plan

# Optional for typer, since `--explain-limits` needs no task. `_read_task` refuses an empty one.
TaskFile = Annotated[
    Path | None, typer.Option("--file", "-f", help="A file with the task. '-' is standard input.", metavar="FILE")
]
Task = Annotated[str, typer.Argument(help="What to do. '-' reads the task from standard input.", show_default=False)]
NewThread = Annotated[
    str | None, typer.Option("--thread", help="Name of the new thread.", show_default="from the task's first words")
]
Continue = Annotated[
    str | None,
    typer.Option(
        "--continue",
        metavar="THREAD",
        help="Continue a thread whose tasks are done, with its team and model. 'last' is the newest thread.",
    ),
]
PlanFile = Annotated[
    Path | None, typer.Option("--plan", help="JSON file with a plan to carry out, instead of one from the supervisor.")
]
OutputSchemaName = Annotated[
    str | None,
    typer.Option(
        "--output-schema",
        help="Answer with data of a JSON schema: its file, or module:Type for a type of your own, such as a dataclass.",
        metavar="FILE|MODULE:TYPE",
    ),
]
ExplainLimits = Annotated[
    bool, typer.Option("--explain-limits", help="Print the limits of the run and their consequences; run nothing.")
]
OtherTeam = Annotated[
    str | None, typer.Option("--team", help="Another team, named as for run.", show_default="the thread's own team")
]

_LONG_TASK = 200

Form = Literal["text", "json", "events"]
"""The form in which a run is printed."""


def run(
    context: typer.Context,
    task: Task = "",
    file: TaskFile = None,
    team: TeamName = DEFAULT_TEAM,
    model: ModelName = None,
    base_url: BaseUrl = None,
    db: Db = None,
    thread: NewThread = None,
    continue_: Continue = None,
    docs: Docs = None,
    plan: PlanFile = None,
    policy: PolicyFile = None,
    mcp: McpFile = None,
    auto_approve: AutoApprove = False,
    max_tokens: MaxTokens = None,
    max_cost: MaxCost = None,
    max_time: MaxTime = None,
    max_calls: MaxCalls = None,
    price: Price = None,
    fallback_model: FallbackModel = None,
    economy_model: EconomyModel = None,
    requests_per_minute: RequestsPerMinute = None,
    tokens_per_minute: TokensPerMinute = None,
    output_schema: OutputSchemaName = None,
    explain_limits: ExplainLimits = False,
    as_json: Json = False,
    json_stream: JsonStream = False,
) -> None:
    """Run a task: plan it, carry it out, answer it."""
    CTRL_C.way_on = lambda: NOT_BEGUN
    limits = budget_of(max_tokens, max_cost, max_time, max_calls, price)
    if explain_limits:
        print_limits(team, limits, as_json=as_json)
        return
    about = team_settings(team, model, base_url, docs, policy, mcp) | {
        "auto_approve": auto_approve,
        "fallback_models": fallback_model,
        "economy_model": economy_model,
        "requests_per_minute": requests_per_minute,
        "tokens_per_minute": tokens_per_minute,
    }
    if continue_ is not None:
        thread, about = _continued(db, continue_, thread), stated(context, about)
    _run_new(
        _read_task(task, file),
        about,
        thread=thread,
        plan=plan,
        limits=limits,
        db=db,
        form=_form(as_json, json_stream),
        output_schema=output_schema,
        is_known=continue_ is not None,
    )


def _continued(db: str | None, continue_: str, thread: str | None) -> str:
    if thread is not None:
        raise ConfigError("--continue names the thread already: leave --thread out")
    return continued_thread(db, continue_)


def resume(
    thread: Thread,
    team: OtherTeam = None,
    model: ModelName = None,
    base_url: BaseUrl = None,
    db: Db = None,
    max_tokens: MoreTokens = None,
    max_cost: MaxCost = None,
    max_time: MaxTime = None,
    max_calls: MaxCalls = None,
    price: Price = None,
    as_json: Json = False,
    json_stream: JsonStream = False,
) -> None:
    """Continue a thread after a decision, an interruption or a crash. New limits replace the old ones."""
    CTRL_C.way_on = lambda: f"interrupted; go on with: {command('resume', thread, db=db)}"
    from orchestrator.cli.attend import attend, can_ask, stream_json
    from orchestrator.cli.models.consent import may_use_other_model
    from orchestrator.runs.loading import open_thread

    limits = budget_of(max_tokens, max_cost, max_time, max_calls, price)
    options = {"team": team, "model": model, "base_url": base_url}
    with open_thread(db, thread, options) as orchestrator:
        asks = can_ask() and not (as_json or json_stream)
        is_allowed = may_use_other_model(orchestrator, thread, options, ["resume", thread], db=db, asks=asks)
        if json_stream:
            items = partial(orchestrator.stream_resume, thread, budget=limits, allow_other_model=is_allowed)
            raise typer.Exit(stream_json(orchestrator, items, db=db).exit_code)
        start = partial(orchestrator.resume, thread, budget=limits, allow_other_model=is_allowed)
        raise typer.Exit(attend(orchestrator, start, as_json=as_json, db=db, thread_id=thread).exit_code)


def _form(as_json: bool, json_stream: bool) -> Form:
    return "events" if json_stream else "json" if as_json else "text"


def _read_task(argument: str, file: Path | None) -> str:
    if argument and file is not None:
        raise ConfigError("give the task either as an argument or by --file")
    task = _content(file) if file is not None else sys.stdin.read() if argument == "-" else argument
    if not task.strip():
        raise ConfigError('the task is empty: say what to do, as in: orchestrator run "Compare …"')
    return task


def _content(file: Path) -> str:
    if str(file) == "-":
        return sys.stdin.read()
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"cannot read {file}: {getattr(error, 'strerror', None) or error}") from error


def _run_new(
    task: str,
    about: dict[str, Any],
    *,
    thread: str | None,
    plan: Path | None,
    limits: dict[str, Any],
    db: str | None,
    form: Form,
    output_schema: str | None = None,
    is_known: bool = False,
) -> None:
    """Run a task on a new thread or continue a known one, and exit with the run's code."""
    from orchestrator.cli.attend import attend, can_ask, stream_json
    from orchestrator.cli.console import err
    from orchestrator.cli.models.consent import may_use_other_model
    from orchestrator.runs.loading import open_orchestrator, open_thread
    from orchestrator.runs.output_type import load_output_type
    from orchestrator.runs.thread_list import check_thread_id, new_thread_id

    with open_thread(db, str(thread), about) if is_known else open_orchestrator(db, about) as orchestrator:
        # A plan that cannot be read is an error before the thread has a name.
        given_plan = _read_plan(plan) if plan else None
        output_type = load_output_type(output_schema) if output_schema else None
        thread_id = check_thread_id(thread or new_thread_id(task))
        # Not before the thread is durable: `resume` must find what is printed here.
        # By rich, which keeps it above what is drawn.
        orchestrator.on_begin = lambda name: err.print(f"thread: {name}", soft_wrap=True)
        words = ["run", task if len(task) < _LONG_TASK else "…", "--continue" if is_known else "--thread", thread_id]
        asks = can_ask() and form == "text"
        options: dict[str, Any] = {
            "thread_id": thread_id,
            "allow_other_model": may_use_other_model(orchestrator, thread_id, about, words, db=db, asks=asks),
            "plan": given_plan,
            "budget": orchestrator.team.budget.of_run(limits),
            "auto_approve": bool(about.get("auto_approve")),
            "output_type": output_type,
        }
        if form == "events":
            items = partial(orchestrator.stream, task, **options)
            raise typer.Exit(stream_json(orchestrator, items, db=db).exit_code)
        start = partial(orchestrator.run, task, **options)
        raise typer.Exit(attend(orchestrator, start, as_json=form == "json", db=db).exit_code)


def _read_plan(path: Path) -> "Plan":
    """Read a plan from a JSON file.

    Raises:
        ConfigError: The file cannot be read, or is not JSON.
        PlanError: The plan is not sound.
    """
    from orchestrator.planning.plan import Plan

    try:
        return Plan.parse(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not JSON: {error}") from error
