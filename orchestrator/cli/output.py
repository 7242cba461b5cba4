"""Output of several commands: reviews with the commands that answer them, and runs."""

import json
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.budget.spend import Spend
from orchestrator.cli.console import err, out
from orchestrator.cli.echo import command, echo, echo_json
from orchestrator.persistence.used_models import UsedModels
from orchestrator.planning.plan import Plan
from orchestrator.reviews.review import Review
from orchestrator.runs.run import Run
from orchestrator.text import normal_text, shorten

_TURN_CHARS = 240


def print_reviews(reviews: Sequence[Review], db: str | None) -> None:
    """Print each review with the commands that answer it."""
    for review in reviews:
        out.print(review.question, style="bold", soft_wrap=True)
        if review.stake:
            out.print(f"  at stake: {review.stake}", soft_wrap=True)
        print_subject(review, out)
        edit = ["--text", _raised_limit(review)] if "budget" in review.subject else ["--file", "FILE"]
        # Not printed by rich, which would wrap a command so that it cannot be copied.
        hints = {"edit": edit, "reject": ["--text", "why"], "answer": ["--text", "…"]}
        for action in review.allowed:
            echo("  " + command("decide", review.id, action, *hints.get(action, ()), db=db))


def _raised_limit(review: Review) -> str:
    """Return the JSON that raises the limit which is used most, with a blank for the number."""
    # The limit that is used most is the one that ended the run.
    budget, spent = review.subject["budget"], review.subject["spent"]
    used = {name: spent[name] / budget[name] for name in spent if budget.get(name)}
    return f'{{"{max(used, key=used.__getitem__) if used else "tokens"}": …}}'


def print_subject(review: Review, console: Console) -> None:
    """Print the plan, the result, the tool call or the problems that a review asks about."""
    subject = review.subject
    if review.kind == "plan":
        console.print(plan_table(Plan.parse(subject["plan"]), subject.get("forecast", {}).get("tokens")))
    elif review.kind == "tool":
        console.print_json(data={"tool": subject["tool"], "args": subject["args"]})
    elif review.kind == "question":
        console.print(f"  asked by the tool {subject['tool']}")
        if subject["asked"] != review.question:
            console.print_json(data=subject["asked"])
    elif review.kind == "result":
        console.print(subject["result"])
    else:
        for line in subject.get("problems", ()):
            console.print(f"  - {line}")
        if "budget" in subject:
            console.print(f"  limits: {json.dumps(subject['budget'])}")
            console.print(f"  spent:  {json.dumps(subject['spent'])}")


def plan_table(plan: Plan, tokens: Mapping[str, Sequence[int]] | None = None) -> Table:
    """Return the plan as a table for a terminal.

    Args:
        plan: The plan.
        tokens: The likely cost of each sub-task, from and to.
    """
    table = Table(show_edge=False, pad_edge=False)
    for heading in ("id", "agent", "needs", "approval", *(["likely tokens"] if tokens else []), "description"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "id")
    for task in plan.sub_tasks:
        row = [task.id, task.target_agent, " ".join(task.depends_on) or "-", "yes" if task.requires_approval else ""]
        if tokens:
            low, high = tokens.get(task.id, (0, 0))
            row.append(f"{low:,} to {high:,}" if high else "done")
        table.add_row(*row, task.description)
    return table


def print_run(run: Run, db: str | None) -> None:
    """Print a run: its task, plan, outcomes and end."""
    out.print(Text.assemble((run.thread_id, "bold"), f": {run.status}"))
    for turn in run.turns:
        out.print(f"task {turn.number}: {shorten(normal_text(turn.task), _TURN_CHARS)}")
        answer = shorten(normal_text(turn.answer), _TURN_CHARS) or f"no answer, {turn.status}"
        out.print(f"  {answer}", style="dim")
    number = f" {len(run.turns) + 1}" if run.turns else ""
    out.print(f"task{number}: {run.task}")
    for instruction in run.instructions:
        said = (
            f"instruction of {instruction.by or 'a human'}, {instruction.at:%Y-%m-%d %H:%M:%S} UTC: {instruction.text}"
        )
        out.print(said)
    for line in UsedModels.parse(run.models).lines():
        out.print(f"model: {line}", style="dim", soft_wrap=True)
    if run.plan:
        echo(run.plan.table(run.outcomes))
    print_end(run, db)


def print_json(run: Run) -> None:
    """Print a run as one JSON object."""
    echo_json(run.to_dict())


def print_end(run: Run, db: str | None) -> None:
    """Print how a run ended, and how to continue it. The answer goes to stdout, and everything else to stderr."""
    go_on = command("resume", run.thread_id, db=db)
    for error in run.errors:
        err.print(Text.assemble(("!", "yellow"), f" {error}"))
    if run.reviews:
        print_reviews(run.reviews, db)
        echo(f"then: {go_on}")
    elif run.is_resumable:
        echo(f"go on with: {go_on}", err=True)
    elif run.limited_by == "budget":
        echo(f"go on with a higher limit: {go_on} --max-…", err=True)
    # Stdout gets the bare answer, so that it can be piped. At a terminal the rules on stderr frame it.
    if run.answer:
        err.rule(style="dim")
        echo(run.answer)
        err.rule(style="dim")
    if run.references:
        names = ", ".join(map(str, run.references))
        err.print(f"from {names}", style="dim", soft_wrap=True)
    for artifact in run.artifacts:
        err.print(f"file: {artifact.name}, {artifact.bytes:,} bytes", soft_wrap=True)
    err.print(
        f"{run.status} · {run.spending} · thread {run.thread_id}{_all_tasks(run)}",
        style="dim",
        soft_wrap=True,
    )


def _all_tasks(run: Run) -> str:
    """Return what all tasks of a conversation spent, in words."""
    if not run.turns:
        return ""
    usage = run.thread_usage
    dollars = f", ${usage['cost_usd']:.4f}" if usage.get("cost_usd") else ""
    return f" · {Spend.of_usage(usage).tokens:,} tokens{dollars} in {len(run.turns) + 1} tasks"
