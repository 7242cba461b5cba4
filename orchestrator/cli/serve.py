"""`orchestrator serve`: the page, and `orchestrator token`: who may use it."""

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.echo import echo, echo_json
from orchestrator.cli.interruption import CTRL_C
from orchestrator.cli.options import (
    BaseUrl,
    Db,
    Docs,
    EconomyModel,
    FallbackModel,
    Json,
    MaxCalls,
    MaxCost,
    MaxTime,
    MaxTokens,
    McpFile,
    ModelName,
    PolicyFile,
    Price,
    RequestsPerMinute,
    TeamName,
    TokensPerMinute,
    budget_of,
    team_settings,
)
from orchestrator.errors import ConfigError
from orchestrator.runs.defaults import DEFAULT_TEAM

if TYPE_CHECKING:
    from orchestrator.server.access.tokens import Tokens

TokenFile = Annotated[
    Path | None,
    typer.Option("--tokens", help="The file with the hashes of tokens.", show_default="under the user's data folder"),
]
Webhook = Annotated[
    str | None,
    typer.Option("--notify-webhook", metavar="URL", help="Address to which each new review is posted as JSON."),
]
Command = Annotated[
    str | None,
    typer.Option("--notify-command", metavar="COMMAND", help="Command that gets each new review on its stdin."),
]
PageUrl = Annotated[
    str | None, typer.Option("--page-url", metavar="URL", help="The page's address as others reach it, for links.")
]
app = typer.Typer(no_args_is_help=True, help="Tokens for the page, where others than this machine reach it.")


def serve(
    host: Annotated[
        str, typer.Option("--host", help="Address to listen at. Others than this machine need a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes any free one.")] = 8321,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    tokens: TokenFile = None,
    runs: Annotated[
        int, typer.Option("--runs", min=1, help="Most runs at once that were started on the page. Others wait.")
    ] = 4,
    notify_webhook: Webhook = None,
    notify_command: Command = None,
    page_url: PageUrl = None,
    db: Db = None,
    team: TeamName = DEFAULT_TEAM,
    model: ModelName = None,
    base_url: BaseUrl = None,
    docs: Docs = None,
    policy: PolicyFile = None,
    mcp: McpFile = None,
    max_tokens: MaxTokens = None,
    max_cost: MaxCost = None,
    max_time: MaxTime = None,
    max_calls: MaxCalls = None,
    price: Price = None,
    fallback_model: FallbackModel = None,
    economy_model: EconomyModel = None,
    requests_per_minute: RequestsPerMinute = None,
    tokens_per_minute: TokensPerMinute = None,
) -> None:
    """Serve the page.

    It has threads as they run, reviews to answer, timelines, reports, and new runs. It answers to this machine only,
    until `orchestrator token new NAME` has made a token. Ctrl-C ends it; runs that were started on it are interrupted,
    and can be resumed. Options about teams, models and limits are for runs that are started on the page.
    """
    # Options, so that orchestrator.toml gives them their defaults under the same rule of trust as for `run`.
    facts = team_settings(team, model, base_url, docs, policy, mcp) | {
        "fallback_models": fallback_model,
        "economy_model": economy_model,
        "requests_per_minute": requests_per_minute,
        "tokens_per_minute": tokens_per_minute,
    }
    limits = budget_of(max_tokens, max_cost, max_time, max_calls, price)
    try:
        from orchestrator.server.serving import serve as serve_page
        from orchestrator.server.watching.notifier import NotifySettings
    except ModuleNotFoundError as error:
        raise ConfigError(f"the page needs {error.name}: pip install 'agent-task-orchestrator[serve]'") from error

    def tell(address: str) -> None:
        echo(f"the page is at {address}  (Ctrl-C ends it)", err=True)
        if open_:
            webbrowser.open(address)

    CTRL_C.way_on = lambda: "the page is closed; its threads are kept"
    known = _tokens(tokens)
    allowed = known if known.hashes() else None
    notify = NotifySettings(notify_webhook or "", notify_command or "", _secret(), page_url or "")
    serve_page(db, host, port, allowed, tell, notify, facts=facts, limits=limits, most_runs=runs)


def _secret() -> str:
    import os

    from orchestrator.redaction import remember_secret

    # From the environment only: a command line is seen by everybody on the machine.
    secret = os.environ.get("ORCHESTRATOR_NOTIFY_SECRET", "")
    remember_secret(secret)
    return secret


def _tokens(path: Path | None) -> "Tokens":
    import os

    import platformdirs

    from orchestrator.server.access.tokens import Tokens

    given = {"environment": token} if (token := os.environ.get("ORCHESTRATOR_TOKEN")) else None
    folder = Path(platformdirs.user_data_dir("agent-task-orchestrator"))
    return Tokens(path or folder / "tokens.json", given)


@app.command()
def new(name: Annotated[str, typer.Argument(help="Who will use it.")], tokens: TokenFile = None) -> None:
    """Make a token and print it, once. Only its hash is kept. An older one of that name ends."""
    echo(_tokens(tokens).new(name))


@app.command("list")
def list_(tokens: TokenFile = None, as_json: Json = False) -> None:
    """List the names of the tokens."""
    names = list(_tokens(tokens).hashes())
    if as_json:
        echo_json(names)
    else:
        echo("\n".join(names) or "no tokens: the page answers to this machine only")


@app.command()
def revoke(name: Annotated[str, typer.Argument(help="The token's name.")], tokens: TokenFile = None) -> None:
    """Revoke a token. Whoever uses the page with it is asked for another one."""
    _tokens(tokens).revoke(name)
    echo(f"the token '{name}' is revoked")
