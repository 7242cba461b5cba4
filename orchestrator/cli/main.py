"""The `orchestrator` command. Heavy imports happen inside the commands: `--help` must answer at once."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.model import app as model_app
from orchestrator.cli.options import (
    EconomyModel,
    FallbackModel,
    MaxCalls,
    MaxCost,
    MaxTime,
    MaxTokens,
    Price_,
    RequestsPerMinute,
    TokensPerMinute,
    budget_of,
)
from orchestrator.errors import EXIT_FAILED, ConfigError, OrchestratorError
from orchestrator.runs.defaults import DEFAULT_TEAM

if TYPE_CHECKING:
    from orchestrator.runs.client import OrchestratorClient
    from orchestrator.runs.run import Run

app = typer.Typer(
    name="orchestrator",
    help="Give a team of LLM agents one large task: they plan it, carry it out in parallel, and you approve.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(model_app, name="model")

Team_ = Annotated[str, typer.Option("--team", help="A team of graphs/ by name, or module:attribute of your own.")]
Db = Annotated[str | None, typer.Option("--db", help="Database URL or path [default: in your data folder].")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else.")]
Model_ = Annotated[str | None, typer.Option("--model", help="Model name at the endpoint.")]
BaseUrl = Annotated[str | None, typer.Option("--base-url", help="An OpenAI-compatible endpoint.")]
Policy_ = Annotated[
    Path | None, typer.Option("--policy", help="TOML file that says which tool calls are allowed, asked or refused.")
]
Mcp = Annotated[
    Path | None, typer.Option("--mcp", help="JSON file that names MCP servers; their tools ask before each call.")
]
Thread = Annotated[str, typer.Argument(help="The thread's id.")]


@app.command()
def run(
    task: Annotated[str, typer.Argument(help="What to do. '-' reads it from standard input.")] = "",
    team: Team_ = DEFAULT_TEAM,
    model: Model_ = None,
    base_url: BaseUrl = None,
    db: Db = None,
    thread: Annotated[str | None, typer.Option("--thread", help="Name of the thread [default: made up].")] = None,
    docs: Annotated[Path | None, typer.Option("--docs", help="Folder of documents for the researcher.")] = None,
    plan: Annotated[Path | None, typer.Option("--plan", help="JSON file with a plan to carry out as it is.")] = None,
    policy: Policy_ = None,
    mcp: Mcp = None,
    auto_approve: Annotated[
        bool,
        typer.Option(
            "--auto-approve", help="Ask nothing. Risky calls of workers that have read untrusted text are refused."
        ),
    ] = False,
    max_tokens: MaxTokens = None,
    max_cost: MaxCost = None,
    max_time: MaxTime = None,
    max_calls: MaxCalls = None,
    price: Price_ = None,
    fallback_model: FallbackModel = None,
    economy_model: EconomyModel = None,
    requests_per_minute: RequestsPerMinute = None,
    tokens_per_minute: TokensPerMinute = None,
    explain_limits: Annotated[
        bool, typer.Option("--explain-limits", help="Say what bounds the run and what follows from it; run nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run a task: plan it, carry it out, answer it."""
    from orchestrator.cli.run import attend, print_limits, read_plan
    from orchestrator.runs.loading import open_orchestrator
    from orchestrator.runs.thread_list import check_thread_id, new_thread_id

    budget = budget_of(max_tokens, max_cost, max_time, max_calls, price)
    if explain_limits:
        print_limits(team, budget, as_json=as_json)
        return
    text = sys.stdin.read() if task == "-" else task
    if not text.strip():
        raise ConfigError('the task is empty: say what to do, as in: orchestrator run "Compare …"')
    about = {
        "team": team,
        "model": model,
        "base_url": base_url,
        "docs": str(docs.resolve()) if docs else None,
        "policy": str(policy.resolve()) if policy else None,
        "mcp": str(mcp.resolve()) if mcp else None,
        "auto_approve": auto_approve,
        "fallback_models": fallback_model,
        "economy_model": economy_model,
        "requests_per_minute": requests_per_minute,
        "tokens_per_minute": tokens_per_minute,
    }
    with open_orchestrator(db, about) as orchestrator:
        given = read_plan(plan) if plan else None
        thread = check_thread_id(thread or new_thread_id(text))
        typer.echo(f"thread: {thread}", err=True)  # whatever happens from here on, this is what goes on with it
        _finish(
            attend(
                orchestrator,
                lambda tell: orchestrator.run(
                    text,
                    thread_id=thread,
                    plan=given,
                    budget=orchestrator.team.budget.raised(budget),
                    auto_approve=auto_approve,
                    on_event=tell,
                ),
                as_json=as_json,
                db=db,
            ),
            as_json,
        )


@app.command()
def resume(
    thread: Thread,
    team: Annotated[
        str | None, typer.Option("--team", help="Its team, as for run [default: the one it was started with].")
    ] = None,
    model: Model_ = None,
    base_url: BaseUrl = None,
    db: Db = None,
    max_tokens: MaxTokens = None,
    max_cost: MaxCost = None,
    max_time: MaxTime = None,
    max_calls: MaxCalls = None,
    price: Price_ = None,
    as_json: Json = False,
) -> None:
    """Go on with a thread after a decision, an interruption or a crash; new limits take the place of the old."""
    from orchestrator.cli.run import attend
    from orchestrator.runs.loading import open_thread

    budget = budget_of(max_tokens, max_cost, max_time, max_calls, price)
    with open_thread(db, thread, {"team": team, "model": model, "base_url": base_url}) as orchestrator:
        _finish(
            attend(
                orchestrator,
                lambda tell: orchestrator.resume(thread, budget=budget, on_event=tell),
                as_json=as_json,
                db=db,
            ),
            as_json,
        )


@app.command()
def reviews(
    thread: Annotated[str | None, typer.Argument(help="Only this thread's.")] = None,
    db: Db = None,
    as_json: Json = False,
) -> None:
    """List what waits for a human, and how to answer it."""
    from orchestrator.cli.output import print_reviews

    with _look(db) as desk:
        found = desk.reviews(thread)
        if as_json:
            print(json.dumps([review.model_dump(mode="json") for review in found], ensure_ascii=False))
        else:
            print_reviews(found, db)


@app.command()
def decide(
    review: Annotated[str, typer.Argument(help="The review's id.")],
    action: Annotated[str, typer.Argument(help="approve, edit, reject or stop.")],
    text: Annotated[str | None, typer.Option("--text", help="Why, or the new text; for a plan, its JSON.")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="The same from a file.")] = None,
    go_on: Annotated[bool, typer.Option("--resume", help="Go on with the thread at once.")] = False,
    db: Db = None,
    as_json: Json = False,
) -> None:
    """Answer a review. `orchestrator resume` then goes on with the thread."""
    from orchestrator.cli.output import command
    from orchestrator.cli.run import answer

    with _look(db) as desk:
        decision = answer(desk, review, action, text, file)
    thread = review.rpartition("/")[0]
    if go_on:
        return resume(thread, db=db, as_json=as_json)
    if as_json:
        print(json.dumps(decision.model_dump(mode="json"), ensure_ascii=False))
    else:
        typer.echo(f"recorded: {action} for {review}\ngo on with: {command('resume', thread, db=db)}")
    return None


@app.command()
def threads(db: Db = None, as_json: Json = False) -> None:
    """List the threads of the database."""
    from orchestrator.cli.output import print_threads

    with _look(db) as desk:
        print_threads(desk, as_json=as_json)


@app.command()
def show(thread: Thread, db: Db = None, as_json: Json = False) -> None:
    """Show how far a thread came: plan, outcomes, reviews, answer."""
    from orchestrator.cli.output import print_json, print_run

    with _look(db) as desk:
        found = desk.show(thread)
        if as_json:
            print_json(found)
        else:
            print_run(found, db)


@app.command()
def graph(team: Team_ = DEFAULT_TEAM) -> None:
    """Print the team's graph as Mermaid."""
    from orchestrator.graph.build import compile_graph
    from orchestrator.runs.loading import load_team

    print(compile_graph(load_team(team)).get_graph().draw_mermaid().rstrip())


@app.command()
def tools(
    team: Team_ = DEFAULT_TEAM,
    docs: Annotated[Path | None, typer.Option("--docs", help="Folder of documents for the team.")] = None,
    policy: Policy_ = None,
    mcp: Mcp = None,
    as_json: Json = False,
) -> None:
    """List who may use which tool, how dangerous it is, and who is asked."""
    from orchestrator.cli.output import print_tools
    from orchestrator.runs.loading import equip, load_team

    loaded = load_team(team, str(docs.resolve()) if docs else None)
    equip(loaded, str(mcp) if mcp else None, str(policy) if policy else None)
    print_tools(loaded, as_json=as_json)


@app.command()
def delete(
    thread: Thread,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    db: Db = None,
) -> None:
    """Delete a thread with its memory and its decisions."""
    with _look(db) as desk:
        desk.show(thread)
        if not yes and not sys.stdin.isatty():
            raise ConfigError(f"deleting '{thread}' needs --yes where nobody can be asked")
        if not yes and not typer.confirm(f"Delete thread {thread} for good?"):
            raise typer.Exit(EXIT_FAILED)
        desk.delete(thread)
        desk.persistence.vacuum()
    typer.echo(f"deleted {thread}")


def _look(db: str | None) -> "OrchestratorClient":
    """The threads of a database: to look at them, no model is made and no team is needed."""
    from orchestrator.persistence.database import Persistence
    from orchestrator.runs.client import OrchestratorClient

    return OrchestratorClient(Persistence(db))


def _finish(run: "Run", as_json: bool) -> None:
    if as_json:
        from orchestrator.cli.output import print_json

        print_json(run)
    raise typer.Exit(run.exit_code)


def main(argv: list[str] | None = None) -> None:
    """Entry point: errors meant for a person become one line on stderr and an exit code."""
    try:
        app(argv)
    except OrchestratorError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
