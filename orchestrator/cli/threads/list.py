"""`orchestrator threads`: the threads of a database, with filters, as wide as the terminal is."""

import difflib
import re
import shutil
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.echo import echo, echo_json
from orchestrator.cli.options import Db, Json
from orchestrator.errors import ConfigError
from orchestrator.text import normal_text, shorten

if TYPE_CHECKING:
    from orchestrator.runs.threads.record import ThreadRecord

STATUSES = (
    *("waiting", "running", "interrupted", "failed", "limited", "stopped", "done"),
    *("unreadable", "deleting"),
)
_TASK_CHARS = 70
_LEAST_TASK = 20  # columns for the task; a longer name gets a line of its own
_LEAST_NAME = 8
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")


def threads(
    status: Annotated[
        list[str] | None, typer.Option("--status", help=f"Only these: {', '.join(STATUSES)}. Repeat it for more.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", help="Only those that changed since: 30m, 3h, 2d, 1w, or a date as 2026-11-28."),
    ] = None,
    of_team: Annotated[str | None, typer.Option("--team", help="Only those of this team.", metavar="TEAM")] = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="Only so many.")] = None,
    db: Db = None,
    as_json: Json = False,
) -> None:
    """List the threads of the database, newest first.

    Each line has the status, the age of the last change, and what the last run cost.
    """
    from orchestrator.runs.threads.listing import list_threads

    now = time.time()
    wanted, oldest = _statuses(status or []), _oldest(since, now)
    listed = list_threads(db)
    records = [
        record
        for record in sorted(listed, key=lambda record: -record.updated)
        if (not wanted or record.status in wanted)
        and record.updated >= oldest
        and (of_team is None or record.about.get("team") == of_team)
    ][:limit]
    if as_json:
        echo_json([_plain(record, now) for record in records])
    elif not records:
        echo("no thread is like that" if listed else "no threads yet")
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        for line in thread_lines(records, now, width):
            echo(line)


def _statuses(names: Sequence[str]) -> set[str]:
    for name in names:
        if name not in STATUSES:
            near = difflib.get_close_matches(name, STATUSES, 1, 0.5)
            hint = f"did you mean '{near[0]}'?" if near else f"use one of {', '.join(STATUSES)}"
            raise ConfigError(f"--status '{name}' is no status: {hint}")
    return set(names)


def _oldest(since: str | None, now: float) -> float:
    if since is None:
        return float("-inf")
    if age := _AGE.fullmatch(since.strip().lower()):
        return now - float(age.group(1)) * _UNITS[age.group(2)]
    try:
        return datetime.fromisoformat(since.strip()).timestamp()
    except ValueError:
        raise ConfigError(f"--since '{since}' is no time: write 30m, 3h, 2d, 1w, or a date as 2026-11-28") from None


def _plain(record: "ThreadRecord", now: float) -> dict[str, Any]:
    return {
        "thread_id": record.id,
        "status": record.status,
        "task": record.task,
        "created": record.created,
        "updated": record.updated,
        "age_s": round(now - record.updated, 1),
        "team": record.about.get("team"),
        "models": record.models,
        "usage": record.usage,
    }


def thread_lines(records: Sequence["ThreadRecord"], now: float, width: int | None) -> list[str]:
    """Return a line for each thread, or two where its name is too long for the width.

    Args:
        records: The threads.
        now: Unix time in seconds.
        width: Columns of the terminal; None for a pipe, in which nothing depends on a terminal or on the clock.
    """
    rows = [[r.status, _age(now - r.updated) if width else _time(r.updated), _cost(r.usage)] for r in records]
    sizes = [max(len(row[column]) for row in rows) for column in range(3)]
    names = max(len(record.id) for record in records)
    if width is not None:
        most = max(_LEAST_NAME, width - sum(sizes) - 8 - _LEAST_TASK)
        names = max((len(record.id) for record in records if len(record.id) <= most), default=_LEAST_NAME)
    lines = []
    for record, (status, when, cost) in zip(records, rows, strict=True):
        rest = f"{status.ljust(sizes[0])}  {when.rjust(sizes[1])}  {cost.rjust(sizes[2])}"
        if len(record.id) > names:
            lines.append(record.id)  # whole, so that it can be copied
        head = f"{(record.id if len(record.id) <= names else '').ljust(names)}  {rest}"
        room = _TASK_CHARS if width is None else width - len(head) - 2
        lines.append(f"{head}  {shorten(normal_text(record.task), min(room, _TASK_CHARS))}"[:width].rstrip())
    return lines


def _age(seconds: float) -> str:
    for unit in ("w", "d", "h", "m"):
        if seconds >= _UNITS[unit]:
            return f"{int(seconds // _UNITS[unit])} {unit}"
    return f"{max(0, int(seconds))} s"


def _time(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%dT%H:%MZ")


def _cost(usage: dict[str, Any]) -> str:
    dollars = usage.get("cost_usd")
    if isinstance(dollars, int | float) and dollars:
        return f"${dollars:.4f}"
    counts = [usage.get(name) for name in ("input_tokens", "output_tokens")]
    tokens = sum(count for count in counts if isinstance(count, int))
    return f"{tokens:,} tokens" if tokens else ""
