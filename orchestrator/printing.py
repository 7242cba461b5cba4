"""What the CLI prints: reviews with the commands that answer them, runs, threads."""

import json
from collections.abc import Sequence

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from orchestrator.orchestrator import TaskOrchestrator
from orchestrator.plan import Plan
from orchestrator.reviews import Review
from orchestrator.run import Run

out = Console()
err = Console(stderr=True)


def db_option(db: str | None) -> str:
    """What to add to a command so that it uses the same database."""
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
            typer.echo(f"  orchestrator decide {review.id} {action}{hints.get(action, '')}{db_option(db)}")


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
        typer.echo(json.dumps(rows, ensure_ascii=False))
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
        typer.echo(f"then: orchestrator resume {run.thread_id}{db_option(db)}")
    elif run.is_resumable:
        err.print(f"go on with: orchestrator resume {run.thread_id}{db_option(db)}", highlight=False, soft_wrap=True)
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
