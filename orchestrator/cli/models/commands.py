"""`orchestrator model`: the check of an endpoint, and the embedded model's weights."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.echo import echo, echo_json
from orchestrator.cli.options import BaseUrl, Json
from orchestrator.errors import EXIT_FAILED, MissingModelError

_DEFAULT_TIMEOUT_S = 60.0

app = typer.Typer(
    help="Check a model; fetch the embedded model's weights.", no_args_is_help=True, rich_markup_mode=None
)
CheckedModel = Annotated[
    str | None, typer.Option("--model", help="Name of the model at the endpoint, or provider:model.", metavar="TEXT")
]
Timeout = Annotated[float, typer.Option("--timeout", min=1, help="Most seconds for one request.", metavar="SECONDS")]
Name = Annotated[
    str | None,
    typer.Argument(help="A name from `orchestrator model list`.", show_default="the model for runs that name none"),
]


@app.command()
def check(
    model: CheckedModel = None, base_url: BaseUrl = None, timeout: Timeout = _DEFAULT_TIMEOUT_S, as_json: Json = False
) -> None:
    """Ask a model by six small requests what it can do.

    The exit code is 1 if no team could work with the model. What was learned of the endpoint before is forgotten.
    """
    from orchestrator.cli.console import err, out
    from orchestrator.cli.models.check import checking, print_check
    from orchestrator.models.check.check import check_model
    from orchestrator.models.factory import names_provider
    from orchestrator.models.settings import ModelSettings

    given = {name: value for name, value in (("model", model), ("base_url", base_url)) if value}
    chosen: ModelSettings | str = ModelSettings(timeout_s=timeout, **given)
    if model and not base_url and names_provider(model):
        chosen = model
    with checking(err) as tell:
        found = check_model(chosen, tell)
    if as_json:
        echo_json(found.plain())
    else:
        print_check(found, out)
    if not found.can_work:
        raise typer.Exit(EXIT_FAILED)


@app.command()
def fetch(
    name: Name = None,
    source: Annotated[Path | None, typer.Option("--from", help="Copy this file instead of downloading.")] = None,
    if_needed: Annotated[bool, typer.Option("--if-needed", help="Do nothing if another model is configured.")] = False,
) -> None:
    """Download the weights into the cache, and check their SHA-256."""
    from orchestrator.models.configured import is_configured
    from orchestrator.models.weights import DEFAULT, cached, weights_named
    from orchestrator.models.weights import fetch as get

    weights = weights_named(name or DEFAULT)
    if if_needed and is_configured():  # `make run` calls this, and downloads nothing where a key is set
        return
    if source is None and (present := cached(weights)) is not None:
        if not if_needed:
            echo(f"already there: {present}")
        return
    with _Bar(f"{weights.name}, once") as bar:
        path = get(weights, source=source, progress=bar.tell)
    echo(f"fetched: {path}")


@app.command()
def path(name: Name = None) -> None:
    """Print the path of the weights."""
    from orchestrator.models.weights import DEFAULT, cached, weights_named

    weights = weights_named(name or DEFAULT)
    file = cached(weights)
    if file is None:
        raise MissingModelError(f"{weights.name} is not there: get it with `orchestrator model fetch {weights.name}`")
    echo(str(file))


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the embedded models, and what endpoints have taught.

    Lessons are kept for a day. No endpoint is asked.
    """
    from orchestrator.cli.models.learned import learned_line
    from orchestrator.models.requests.kept import kept_lessons
    from orchestrator.models.weights import CATALOGUE, cached

    lessons = kept_lessons()
    if as_json:
        embedded = [
            {"name": weights.name, "is_fetched": cached(weights) is not None, "about": weights.about}
            for weights in CATALOGUE.values()
        ]
        echo_json({"embedded": embedded, "endpoints": [each.plain() for each in lessons]})
        return
    for weights in CATALOGUE.values():
        there = "fetched" if cached(weights) else "not fetched"
        echo(f"{weights.name}  {there}  {weights.about}")
    if lessons:
        echo("\nlearned of endpoints, and kept for a day:")
    for each in lessons:
        echo(learned_line(each))


class _Bar:
    """Progress on stderr: a bar at a terminal, elsewhere a line for each tenth."""

    def __init__(self, title: str) -> None:
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        from orchestrator.cli.console import err

        self._console = err
        self._title = title
        self._tenth = -1
        # Without a terminal, as in a log of CI, a bar would be thousands of lines.
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self._progress = Progress(*columns, console=self._console) if self._console.is_terminal else None
        self._task = self._progress.add_task(f"fetching {title}", total=None) if self._progress else None

    def __enter__(self) -> "_Bar":
        if self._progress:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress:
            self._progress.stop()

    def tell(self, done: int, total: int) -> None:
        """Show the progress.

        Args:
            done: Bytes so far.
            total: Bytes in all.
        """
        if self._progress and self._task is not None:
            self._progress.update(self._task, completed=done, total=total)
        elif total and (tenth := done * 10 // total) > self._tenth:
            self._tenth = tenth
            print(f"fetching {self._title}: {done >> 20} of {total >> 20} MB", file=sys.stderr, flush=True)
