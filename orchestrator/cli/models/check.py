"""`orchestrator model check`: the capabilities of a model and its endpoint as a table."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.table import Table

from orchestrator.cli.echo import echo_json
from orchestrator.cli.options import BaseUrl, Json
from orchestrator.errors import EXIT_FAILED
from orchestrator.text import shorten

if TYPE_CHECKING:
    from orchestrator.models.check.report import CheckedRequest, ModelCheck

_DEFAULT_TIMEOUT_S = 60.0
_REFUSAL_CHARS = 160
_FINDINGS = {"native": "[green]yes[/green]", "weaker": "[yellow]otherwise[/yellow]", "no": "[red]no[/red]"}

CheckedModel = Annotated[
    str | None, typer.Option("--model", help="Name of the model at the endpoint, or provider:model.", metavar="TEXT")
]
Timeout = Annotated[float, typer.Option("--timeout", min=1, help="Most seconds for one request.", metavar="SECONDS")]


def check(
    model: CheckedModel = None, base_url: BaseUrl = None, timeout: Timeout = _DEFAULT_TIMEOUT_S, as_json: Json = False
) -> None:
    """Ask a model and its endpoint by six small requests what they can do.

    The exit code is 1 if no team could work with the model. What was learned of the endpoint before is forgotten.
    """
    from orchestrator.cli.console import err, out
    from orchestrator.models.check.check import check_model
    from orchestrator.models.factory import names_provider
    from orchestrator.models.settings import ModelSettings

    given = {name: value for name, value in (("model", model), ("base_url", base_url)) if value}
    chosen: ModelSettings | str = ModelSettings(timeout_s=timeout, **given)
    if model and not base_url and names_provider(model):
        chosen = model
    with _progress(err) as tell:
        found = check_model(chosen, tell)
    if as_json:
        echo_json(found.plain())
    else:
        _print(found, out)
    if not found.can_work:
        raise typer.Exit(EXIT_FAILED)


class _Progress:
    """Shows on stderr which request is under way: a spinner at a terminal, elsewhere a line for each."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.status: Status | None = console.status("starting …") if console.is_terminal else None

    def __call__(self, request: str) -> None:
        if self.status is not None:
            self.status.update(f"checking: {request} …")
        else:
            self._console.print(f"checking: {request}", highlight=False)


@contextmanager
def _progress(console: Console) -> Iterator[_Progress]:
    progress = _Progress(console)
    if progress.status is None:
        yield progress
        return
    with progress.status:
        yield progress


def _print(found: "ModelCheck", console: Console) -> None:
    from orchestrator.models.profile import THIS_MACHINE

    where = f"{'on' if found.endpoint == THIS_MACHINE else 'at'} {escape(found.endpoint)}"
    console.print(f"[bold]{escape(found.model)}[/bold] {where}", highlight=False, soft_wrap=True)
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("request", no_wrap=True)
    table.add_column("works", no_wrap=True)
    table.add_column("how", overflow="fold")
    table.add_column("tokens", justify="right", no_wrap=True)
    table.add_column("seconds", justify="right", no_wrap=True)
    for each in found.requests:
        tokens = "?" if each.tokens is None else f"{each.tokens:,}"
        table.add_row(each.name, _FINDINGS[each.finding], _how(each), tokens, f"{each.seconds:.1f}")
    console.print(table)
    for name, value in found.settings:
        console.print(f"{name}: {escape(value)}", highlight=False)
    console.print(f"window: {found.window:,} tokens, {escape(found.window_source)}", highlight=False, soft_wrap=True)
    if not found.reports_usage:
        console.print("usage: not always reported, so budgets count by estimate", highlight=False, soft_wrap=True)
    verdict = "a team can work with it"
    if not found.can_work:
        verdict = f"[red]no team can work with it[/red]: no {', no '.join(found.obstacles)}"
    console.print(verdict, highlight=False, soft_wrap=True)


def _how(request: "CheckedRequest") -> str:
    """Return the forms, the note and the refusal of a request, a line for each."""
    lines = [*request.forms, request.note]
    if request.refusal and request.refusal != request.note:
        lines.append(f"refused: {request.refusal}")
    return "\n".join(escape(shorten(line, _REFUSAL_CHARS)) for line in lines if line)
