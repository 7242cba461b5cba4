"""What the commands of the CLI do, with the engine loaded: opening a team, attending a run, printing."""

import json
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from orchestrator.display import Display, open_display
from orchestrator.errors import ConfigError, OrchestratorError, UnknownThreadError
from orchestrator.models import ModelSettings, chat_model, describe
from orchestrator.orchestrator import OnEvent, TaskOrchestrator
from orchestrator.persistence import Persistence
from orchestrator.plan import Plan
from orchestrator.prompting import ask_at_terminal
from orchestrator.reviews import Action, Decision, Review
from orchestrator.run import Run
from orchestrator.team import Team

out = Console()
err = Console(stderr=True)


def load_team(name: str, docs: str | None = None) -> Team:
    """A team by the name of its file in `graphs/`, or by `module:attribute`.

    Raises:
        ConfigError: There is no such module or attribute, or it is no team.
    """
    module_name, _, attribute = name.partition(":")
    if not attribute:
        module_name, attribute = f"graphs.{name}", "team"
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(import_module(module_name), attribute)
    except ModuleNotFoundError as error:
        raise ConfigError(f"no team '{name}': {error}. Use a name from graphs/, or module:attribute") from error
    except AttributeError as error:
        raise ConfigError(f"no team '{name}': {error}") from error
    finally:
        sys.path.pop(0)
    if callable(found) and not isinstance(found, Team):
        found = found(docs) if docs is not None else found()
    elif docs is not None:
        raise ConfigError(f"team '{name}' takes no --docs: {attribute} is a team, not a function of a folder")
    if not isinstance(found, Team):
        raise ConfigError(f"'{name}' is a {type(found).__name__}, not a Team or a function that makes one")
    return found


def open_orchestrator(db: str | None, about: dict[str, Any], persistence: Persistence | None = None) -> TaskOrchestrator:
    """The orchestrator for a run: team, model and database. Says on stderr which model it uses."""
    team = load_team(about.get("team") or "research_team", about.get("docs"))
    given = {name: about[name] for name in ("model", "base_url") if about.get(name)}
    model = chat_model(ModelSettings(**given))
    team.use_model(model)
    err.print(f"model: {escape(describe(model))}", style="dim", highlight=False, soft_wrap=True)
    return TaskOrchestrator(team=team, db=persistence or Persistence(db), about=about)


def open_thread(db: str | None, thread_id: str, instead: dict[str, Any]) -> TaskOrchestrator:
    """The orchestrator that a thread was started with, by its id alone.

    Raises:
        UnknownThreadError: There is no such thread.
    """
    persistence = Persistence(db)
    item = persistence.store.get(("orchestrator", "threads"), thread_id)
    if item is None:
        raise UnknownThreadError(
            f"there is no thread '{thread_id}' in {persistence.where}: `orchestrator threads` lists them"
        )
    about = {**item.value["about"], **{name: value for name, value in instead.items() if value}}
    return open_orchestrator(db, about, persistence)


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
    except ValueError as error:
        raise ConfigError(f"{path} is not JSON: {error}") from error


def attend(
    orchestrator: TaskOrchestrator, start: Callable[[OnEvent | None], Run], *, as_json: bool, db: str | None
) -> Run:
    """Runs, shows progress, and at a terminal asks the reviews on the spot until the run ends."""
    interactive = sys.stdin.isatty() and sys.stderr.isatty() and not as_json
    display = None if as_json else open_display(err)
    try:
        run = _watched(start, display)
        while interactive and run.status == "waiting" and _answered(orchestrator, run.reviews):
            thread_id = run.thread_id
            run = _watched(lambda tell: orchestrator.resume(thread_id, on_event=tell), display)
    except KeyboardInterrupt:
        if orchestrator.thread_id:
            err.print(f"\ninterrupted; go on with: orchestrator resume {orchestrator.thread_id}{_option(db)}")
        raise
    except OrchestratorError:
        if orchestrator.thread_id:
            err.print(f"the thread is kept; go on with: orchestrator resume {orchestrator.thread_id}{_option(db)}")
        raise
    if not as_json:
        print_end(run, db)
    return run


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


def answer(
    orchestrator: TaskOrchestrator, review_id: str, action: str, text: str | None, file: Path | None
) -> Decision:
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
        except ValueError as error:
            raise ConfigError(f"editing this review needs JSON, by --text or --file: {error}") from error
    chosen: Action = action  # type: ignore[assignment] # checked above
    return orchestrator.decide(review_id, chosen, said, data)


# -- printing -----------------------------------------------------------------------------------------------------


def _option(db: str | None) -> str:
    return f" --db {db}" if db else ""


def print_reviews(reviews: Sequence[Review], db: str | None) -> None:
    """Each review with the commands that answer it."""
    if not reviews:
        out.print("nothing waits for a human")
    for review in reviews:
        out.print(f"[bold]{escape(review.question)}[/bold]", highlight=False)
        if review.stake:
            out.print(f"  at stake: {escape(review.stake)}", highlight=False)
        print_subject(review, out)
        hints = {"edit": " --file FILE", "reject": ' --text "why"'}
        for action in review.allowed:
            typer.echo(f"  orchestrator decide {review.id} {action}{hints.get(action, '')}{_option(db)}")


def print_subject(review: Review, console: Console) -> None:
    """What a review is about."""
    subject = review.subject
    if review.kind == "plan":
        console.print(plan_table(Plan.parse(subject["plan"])))
    elif review.kind == "tool":
        console.print_json(data={"tool": subject["tool"], "args": subject["args"]})
    elif review.kind == "result":
        console.print(escape(subject["result"]), highlight=False)
    else:
        for line in subject.get("problems", ()):
            console.print(f"  - {escape(line)}", highlight=False)


def plan_table(plan: Plan) -> Table:
    """The plan as a table for a terminal."""
    table = Table(show_edge=False, pad_edge=False)
    for heading in ("id", "agent", "needs", "approval", "description"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "id")
    for task in plan.sub_tasks:
        approval = "yes" if task.requires_approval else ""
        table.add_row(task.id, task.target_agent, " ".join(task.depends_on) or "-", approval, escape(task.description))
    return table


def print_threads(orchestrator: TaskOrchestrator, *, as_json: bool) -> None:
    """Every thread, newest first."""
    records = orchestrator.threads()
    rows = []
    for record in records:
        status = record.status
        if status == "running" and not orchestrator.persistence.is_leased(record.id):
            status = "interrupted"
        rows.append({"thread_id": record.id, "status": status, "task": record.task, "created": record.created})
    if as_json:
        print(json.dumps(rows, ensure_ascii=False))
        return
    if not rows:
        typer.echo("no threads yet")
    for row in rows:
        task = " ".join(str(row["task"]).split())
        typer.echo(f"{row['thread_id']}  {row['status']}  {task if len(task) <= 70 else task[:69] + '…'}")


def print_run(run: Run, db: str | None) -> None:
    """All of a run."""
    out.print(f"[bold]{escape(run.thread_id)}[/bold]: {run.status}", highlight=False)
    out.print(f"task: {escape(run.task)}", highlight=False)
    if run.plan:
        typer.echo(run.plan.table(run.outcomes))
    print_end(run, db)


def print_end(run: Run, db: str | None) -> None:
    """How a run ended: the answer on stdout, the rest on stderr, and the way on."""
    for error in run.errors:
        err.print(f"[yellow]![/yellow] {escape(error)}", highlight=False)
    if run.reviews:
        print_reviews(run.reviews, db)
        typer.echo(f"then: orchestrator resume {run.thread_id}{_option(db)}")
    elif run.is_resumable:
        err.print(f"go on with: orchestrator resume {run.thread_id}{_option(db)}", highlight=False, soft_wrap=True)
    if run.answer:
        err.rule(style="dim")
        typer.echo(run.answer)
        err.rule(style="dim")
    tokens = run.usage.get("input_tokens", 0) + run.usage.get("output_tokens", 0)
    err.print(
        f"{run.status} · {run.usage.get('model_calls', 0)} model calls · {run.usage.get('tool_calls', 0)} tool calls · "
        f"{tokens:,} tokens · thread {escape(run.thread_id)}",
        style="dim",
        highlight=False,
        soft_wrap=True,
    )
