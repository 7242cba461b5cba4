"""The check of a model and its endpoint: its progress, and what was found as a table."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from orchestrator.models.check.report import CheckedRequest, ModelCheck
from orchestrator.models.profile import THIS_MACHINE
from orchestrator.text import shorten

_REFUSAL_CHARS = 160
_FINDINGS = {"native": ("yes", "green"), "weaker": ("otherwise", "yellow"), "no": ("no", "red")}


class _Progress:
    """Shows on stderr which request is under way: a spinner at a terminal, elsewhere a line for each."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.status: Status | None = console.status("starting …") if console.is_terminal else None

    def __call__(self, request: str) -> None:
        if self.status is not None:
            self.status.update(f"checking: {request} …")
        else:
            self._console.print(f"checking: {request}")


@contextmanager
def checking(console: Console) -> Iterator[_Progress]:
    """Show inside the block which request is under way. Yield the function that is told of each."""
    progress = _Progress(console)
    if progress.status is None:
        yield progress
        return
    with progress.status:
        yield progress


def print_check(found: ModelCheck, console: Console) -> None:
    """Print what was found."""
    where = f"{'on' if found.endpoint == THIS_MACHINE else 'at'} {found.endpoint}"
    console.print(Text.assemble((found.model, "bold"), f" {where}"), soft_wrap=True)
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("request", no_wrap=True)
    table.add_column("works", no_wrap=True)
    table.add_column("how", overflow="fold")
    table.add_column("tokens", justify="right", no_wrap=True)
    table.add_column("seconds", justify="right", no_wrap=True)
    for each in found.requests:
        tokens = "?" if each.tokens is None else f"{each.tokens:,}"
        table.add_row(each.name, Text(*_FINDINGS[each.finding]), _how(each), tokens, f"{each.seconds:.1f}")
    console.print(table)
    for name, value in found.settings:
        console.print(f"{name}: {value}")
    console.print(f"window: {found.window:,} tokens, {found.window_source}", soft_wrap=True)
    if not found.reports_usage:
        console.print("usage: not always reported, so budgets count by estimate", soft_wrap=True)
    verdict = Text("a team can work with it")
    if not found.can_work:
        verdict = Text.assemble(("no team can work with it", "red"), f": no {', no '.join(found.obstacles)}")
    console.print(verdict, soft_wrap=True)


def _how(request: CheckedRequest) -> str:
    """Return the forms, the note and the refusal of a request, a line for each."""
    lines = [*request.forms, request.note]
    if request.refusal and request.refusal != request.note:
        lines.append(f"refused: {request.refusal}")
    return "\n".join(shorten(line, _REFUSAL_CHARS) for line in lines if line)
