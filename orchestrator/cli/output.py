"""Output of several commands: reviews with the commands that answer them, and runs."""

from collections.abc import Iterable, Sequence

from rich.text import Text

from orchestrator.budget.spend import Spend
from orchestrator.cli.asking.subject import print_subject
from orchestrator.cli.console import err, out
from orchestrator.cli.echo import command, echo, echo_json
from orchestrator.journal.record import JournalRecord
from orchestrator.persistence.used_models import UsedModels
from orchestrator.reviews.answering.limits import example_limit, is_budget
from orchestrator.reviews.review import Review
from orchestrator.runs.run import Run
from orchestrator.text import normal_text, shorten

_TURN_CHARS = 240
_ENDED = ("done", "failed", "limited", "stopped")
_LEAST_BARS = 10
_BELOW_BARS = 5  # the supervisor's line, the axis, the legend, the command, and the prompt


def print_reviews(reviews: Sequence[Review], db: str | None) -> None:
    """Print each review with the commands that answer it. A pipe gets all, a terminal two lines a sub-task."""
    for review in reviews:
        if print_subject(review, out, is_whole=review.kind != "plan" or not out.is_terminal):
            echo(f"  all of it: {command('reviews', review.thread_id, db=db)} | less")
        if review.stake:
            out.print(f"  at stake: {review.stake}", soft_wrap=True)
        out.print(review.question, style="bold", soft_wrap=True)
        edit = ["--text", example_limit(review)] if is_budget(review) else ["--file", "FILE"]
        # Not printed by rich, which would wrap a command so that it cannot be copied.
        hints = {"edit": edit, "reject": ["--text", "why"], "answer": ["--text", "…"]}
        for action in review.allowed:
            echo("  " + command("decide", review.id, action, *hints.get(action, ()), db=db))


def print_run(run: Run, db: str | None, progress: Iterable[str] = ()) -> None:
    """Print a run: its task, plan, outcomes and end.

    Args:
        run: The run.
        db: The database as the user named it, for the commands that are printed.
        progress: Lines about the sub-tasks, below the plan.
    """
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
    for line in progress:
        echo(line)
    print_end(run, db)


def print_json(run: Run) -> None:
    """Print a run as one JSON object."""
    echo_json(run.to_dict())


def print_end(run: Run, db: str | None) -> None:
    """Print how a run ended, and how to continue it. The answer goes to stdout, and everything else to stderr."""
    go_on = command("resume", run.thread_id, db=db)
    for error in run.errors:
        err.print(Text.assemble(("!", "yellow"), f" {normal_text(error)}"), soft_wrap=not err.is_terminal)
    if run.reviews:
        print_reviews(run.reviews, db)
        echo(f"then: {go_on}")
    elif run.is_resumable:
        echo(f"go on with: {go_on}", err=True)
    elif run.limited_by == "budget":
        echo(f"go on with a higher limit: {go_on} --max-…", err=True)
    # Stdout gets the bare answer, so that it can be piped.
    if run.answer:
        _print_rule()
        _print_answer(run)
        _print_rule()
    if run.references:
        names = ", ".join(map(str, run.references))
        err.print(f"from {names}", style="dim", soft_wrap=not err.is_terminal)
    for artifact in run.artifacts:
        err.print(f"file: {artifact.name}, {artifact.bytes:,} bytes", soft_wrap=True)
    err.print(
        f"{run.status} · {run.spending} · thread {run.thread_id}{_all_tasks(run)}",
        style="dim",
        soft_wrap=not err.is_terminal,
    )


def print_waterfall(records: Sequence[JournalRecord], status: str, db: str | None) -> None:
    """Print when each sub-task of a task that has ended waited and worked. Nothing where it would tell nothing.

    Args:
        records: The journal of the thread.
        status: The status of the run.
        db: The database as the user named it.
    """
    if status not in _ENDED or not err.is_terminal or err.is_dumb_terminal:
        return
    from orchestrator.cli.progress.glyphs import Glyphs
    from orchestrator.cli.progress.waterfall import waterfall
    from orchestrator.reports.history.reading import histories

    tasks = histories(records)
    count = sum(attempt.began is not None for attempt in tasks[-1].attempts) if tasks else 0
    if count <= 1:  # there is nothing to compare
        return
    most = max(_LEAST_BARS, err.height - _BELOW_BARS)
    for line in waterfall(tasks[-1], err.width - 1, Glyphs.of(err), most=most):
        err.print(line, no_wrap=True)
    if count > most:
        echo(f"all of them: {command('log', records[0].thread_id, '--waterfall', db=db)}", err=True)


def _print_rule() -> None:
    if err.is_terminal:
        err.rule(style="dim")


def _print_answer(run: Run) -> None:
    # The answer of an output type is JSON. rich's bullets are in Unicode.
    if out.is_terminal and not out.is_dumb_terminal and "utf" in out.encoding and run.output is None:
        from orchestrator.cli.answer import print_markdown

        print_markdown(run.answer, out)
    else:
        echo(run.answer)


def _all_tasks(run: Run) -> str:
    """Return what all tasks of a conversation spent, in words."""
    if not run.turns:
        return ""
    usage = run.thread_usage
    dollars = f", ${usage['cost_usd']:.4f}" if usage.get("cost_usd") else ""
    return f" · {Spend.of_usage(usage).tokens:,} tokens{dollars} in {len(run.turns) + 1} tasks"
