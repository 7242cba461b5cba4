"""The commands of `orchestrator`.

Commands import the engine inside their functions: `--help` must answer at once, and LangGraph takes over a second.
"""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.asking.inbox import review
from orchestrator.cli.chat import chat
from orchestrator.cli.echo import echo
from orchestrator.cli.models.commands import app as model_app
from orchestrator.cli.project.config import config
from orchestrator.cli.project.init import init
from orchestrator.cli.project.teams import teams
from orchestrator.cli.reviews import decide, reviews
from orchestrator.cli.run import resume, run
from orchestrator.cli.serve import app as token_app
from orchestrator.cli.serve import serve
from orchestrator.cli.team import graph, tools
from orchestrator.cli.threads.audit import app as audit_app
from orchestrator.cli.threads.commands import cancel, delete, steer, trace
from orchestrator.cli.threads.list import threads
from orchestrator.cli.threads.log import log
from orchestrator.cli.threads.report import report
from orchestrator.cli.threads.show import show
from orchestrator.cli.threads.watch import watch
from orchestrator.errors import ConfigError
from orchestrator.logs import print_logs

app = typer.Typer(
    name="orchestrator",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # a help text may name [t1], and plain help is read at 60 columns too
    context_settings={"help_option_names": ["-h", "--help"]},
)
_ABOUT_RUNS = (run, chat, resume, cancel, steer, review, reviews, decide, threads, show, report, trace, log, watch)
for command in (*_ABOUT_RUNS, serve, graph, teams, tools, config, init, delete):
    app.command()(command)
app.add_typer(audit_app, name="audit")
app.add_typer(model_app, name="model")
app.add_typer(token_app, name="token")

_WITHOUT_SETTINGS = (None, "config", "init")


def _print_version(is_asked: bool) -> None:
    if is_asked:
        import orchestrator

        echo(f"orchestrator {orchestrator.__version__}")
        raise typer.Exit


@app.callback()
def every_command(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
    verbose: Annotated[
        int,
        typer.Option(
            "--verbose", "-v", count=True, show_default=False, help="Log what the run does; -vv logs each step."
        ),
    ] = 0,
) -> None:
    """Give a team of LLM agents one large task: they plan it, carry it out in parallel, and you approve."""
    level = {0: None, 1: "info"}.get(verbose, "debug")
    if problem := print_logs(level):
        raise ConfigError(problem)
    # Help is given whatever is wrong with a file, and `config` tells it.
    asks_help = {"-h", "--help"} & {*(context.obj or ())}
    if context.invoked_subcommand not in _WITHOUT_SETTINGS and not asks_help:
        from orchestrator.cli.project.config import defaults_of

        context.default_map = defaults_of(context.command, Path())
