"""The `orchestrator` command.

Commands import the engine inside their functions: `--help` must answer at once, and LangGraph takes over a second.
"""

import sys

import typer

from orchestrator.cli.model import app as model_app
from orchestrator.cli.reviews import decide, reviews
from orchestrator.cli.run import resume, run
from orchestrator.cli.team import graph, tools
from orchestrator.cli.threads import delete, show, threads
from orchestrator.errors import OrchestratorError

app = typer.Typer(
    name="orchestrator",
    help="Give a team of LLM agents one large task: they plan it, carry it out in parallel, and you approve.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (run, resume, reviews, decide, threads, show, graph, tools, delete):
    app.command()(command)
app.add_typer(model_app, name="model")


def main(argv: list[str] | None = None) -> None:
    """Run the command line. An error meant for a person becomes one line on stderr and an exit code."""
    try:
        app(argv)
    except OrchestratorError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
