"""What the commands of the CLI do, with the engine loaded: opening a team, attending a run, printing."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import typer
from rich.markup import escape

from orchestrator.bounds import bounds_of, explain_limits
from orchestrator.display import Display, open_display
from orchestrator.errors import ConfigError, OrchestratorError, PersistenceError, UnknownThreadError
from orchestrator.model_call import CallPolicy
from orchestrator.models import ModelSettings, chat_model, describe
from orchestrator.orchestrator import OnEvent, TaskOrchestrator
from orchestrator.persistence import Persistence
from orchestrator.plan import Plan
from orchestrator.policy import Policy
from orchestrator.printing import command, err, print_end, print_json
from orchestrator.prompting import ask_at_terminal
from orchestrator.resilience import Resilience
from orchestrator.reviews import Action, Decision, Review
from orchestrator.run import Run
from orchestrator.team import Team
from orchestrator.thread_desk import ThreadDesk


def load_team(name: str, docs: str | None = None) -> Team:
    """A team by the name of its file in `graphs/`, or by `module:attribute`.

    Raises:
        ConfigError: There is no such module or attribute, or it is no team.
    """
    module_name, _, attribute = name.partition(":")
    if not attribute:
        module_name, attribute = f"graphs.{name}", "team"
    # The folder that one is in holds the user's own modules. It comes last for the teams that ship: a project's own
    # `tools` or `graphs` must not take the place of theirs.
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0 if ":" in name else len(sys.path), here)
    try:
        found = getattr(import_module(module_name), attribute)
    except ModuleNotFoundError as error:
        raise ConfigError(f"no team '{name}': {error}. Use a name from graphs/, or module:attribute") from error
    except AttributeError as error:
        raise ConfigError(f"no team '{name}': {error}") from error
    if callable(found) and not isinstance(found, Team):
        try:
            found = found(docs) if docs is not None else found()
        except TypeError as error:
            raise ConfigError(f"'{name}' does not make a team: {error}") from error
    elif docs is not None:
        raise ConfigError(f"team '{name}' takes no --docs: {attribute} is a team, not a function of a folder")
    if not isinstance(found, Team):
        raise ConfigError(f"'{name}' is a {type(found).__name__}, not a Team or a function that makes one")
    return found


def open_orchestrator(
    db: str | None, about: dict[str, Any], persistence: Persistence | None = None
) -> TaskOrchestrator:
    """The orchestrator for a run: team, model and database. Says on stderr which model it uses."""
    team = load_team(about.get("team") or "research_team", about.get("docs"))
    equip(team, about.get("mcp"), about.get("policy"))
    given = {name: about[name] for name in ("model", "base_url") if about.get(name)}
    model = chat_model(ModelSettings(**given))
    team.use_model(model)
    team.calls = _call_policy(about, given)
    err.print(f"model: {escape(describe(model))}", style="dim", highlight=False, soft_wrap=True)
    return TaskOrchestrator(team=team, db=persistence or Persistence(db), about=about)


def equip(team: Team, mcp: str | None, policy: str | None) -> None:
    """Gives a team the tools of MCP servers, and a policy.

    Args:
        team: Whom.
        mcp: A file that names the servers.
        policy: A file that says what is allowed.

    Raises:
        ConfigError: A file is wrong, or a server cannot be used.
    """
    if mcp:
        servers: Any = import_module("tools.mcp")  # by its name: the engine knows nothing of tools
        try:
            team.add_tools(servers.mcp_tools_by_worker(mcp))
        except servers.McpServerError as error:
            raise ConfigError(str(error)) from error
    if policy:
        team.use_policy(Policy.load(policy))


def _call_policy(about: dict[str, Any], given: dict[str, Any]) -> CallPolicy:
    """Fallbacks and economy model at the same endpoint, and the rate limits."""
    others = [chat_model(ModelSettings(**{**given, "model": name})) for name in about.get("fallback_models") or ()]
    economy = about.get("economy_model")
    rates = {n: about[n] for n in ("requests_per_minute", "tokens_per_minute") if about.get(n)}
    return CallPolicy(
        fallbacks=tuple(others),
        economy=chat_model(ModelSettings(**{**given, "model": economy})) if economy else None,
        resilience=Resilience(**rates),
    )


def print_limits(team_name: str, budget: dict[str, Any], *, as_json: bool) -> None:
    """What bounds the runs of a team."""
    team = load_team(team_name)
    team.budget = team.budget.raised(budget)
    if as_json:
        bounds = bounds_of(team)
        made = {**asdict(bounds), "model_calls": bounds.calls}
        print(json.dumps({"limits": team.limits.model_dump(), "budget": team.budget.plain(), "bounds": made}))
    else:
        print(explain_limits(team))


def open_thread(db: str | None, thread_id: str, instead: dict[str, Any]) -> TaskOrchestrator:
    """The orchestrator that a thread was started with, by its id alone.

    Args:
        db: The database.
        thread_id: The thread.
        instead: What takes the place of what the thread was started with.

    Raises:
        UnknownThreadError: There is no such thread.
        ConfigError: It was started from Python, and no team was named.
    """
    persistence = Persistence(db)
    item = persistence.store.get(("orchestrator", "threads"), thread_id)
    if item is None and not persistence.has_thread(thread_id):
        raise UnknownThreadError(
            f"there is no thread '{thread_id}' in {persistence.where}: `orchestrator threads` lists them"
        )
    known = item.value["about"] if item is not None else {}
    about = {**known, **{name: value for name, value in instead.items() if value}}
    if not about.get("team"):
        raise ConfigError(
            f"thread '{thread_id}' was started from Python or Studio, where its team is: resume it there, or name the "
            "team with --team"
        )
    return open_orchestrator(db, about, persistence)


def read_plan(path: Path) -> Plan:
    """A plan from a JSON file.

    Raises:
        ConfigError: The file cannot be read, or is not JSON.
        PlanError: It is no sound plan.
    """
    return Plan.parse(_read_json(path))


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not JSON: {error}") from error


def attend(
    orchestrator: TaskOrchestrator, start: Callable[[OnEvent | None], Run], *, as_json: bool, db: str | None
) -> Run:
    """Runs, shows progress, and at a terminal asks the reviews on the spot until the run ends."""
    interactive = sys.stdin.isatty() and sys.stderr.isatty() and not as_json
    display = None if as_json else open_display(err)
    try:
        run = _watched(start, display)
        while interactive and run.status == "waiting" and _answered(orchestrator, run.reviews):
            run = _watched(partial(_resume, orchestrator, run.thread_id), display)
    except KeyboardInterrupt:
        _tell_way_on("\ninterrupted", orchestrator.thread_id, db)
        raise
    except OrchestratorError as error:
        _tell_way_on("the thread is kept", orchestrator.thread_id, db)
        if as_json and orchestrator.thread_id and not isinstance(error, PersistenceError):
            found = orchestrator.show(orchestrator.thread_id)
            print_json(replace(found, errors=(*found.errors, str(error))))
        raise
    if not as_json:
        print_end(run, db)
    return run


def _tell_way_on(why: str, thread_id: str, db: str | None) -> None:
    if thread_id:
        typer.echo(f"{why}; go on with: {command('resume', thread_id, db=db)}", err=True)


def _resume(orchestrator: TaskOrchestrator, thread_id: str, tell: OnEvent | None) -> Run:
    return orchestrator.resume(thread_id, on_event=tell)


def _watched(start: Callable[[OnEvent | None], Run], display: Display | None) -> Run:
    if display is None:
        return start(None)
    with display:
        return start(display.tell)


def _answered(orchestrator: TaskOrchestrator, reviews: Sequence[Review]) -> bool:
    """Asks each review; whether any was answered."""
    any_answered = False
    for review in reviews:
        while (decision := ask_at_terminal(review, err)) is not None:
            try:
                orchestrator.decide(decision.review_id, decision.action, decision.text, decision.data)
                any_answered = True
                break
            except OrchestratorError as error:
                err.print(f"[red]{escape(str(error))}[/red]")
    return any_answered


def answer(desk: ThreadDesk, review_id: str, action: str, text: str | None, file: Path | None) -> Decision:
    """Records a decision that came by options.

    Raises:
        ConfigError: The action is none, both texts were given, or the file cannot be read.
        DecisionError: It does not answer an open review.
    """
    if action not in ("approve", "edit", "reject", "stop"):
        raise ConfigError(f"'{action}' is no action: use approve, edit, reject or stop")
    if text is not None and file is not None:
        raise ConfigError("give either --text or --file")
    try:
        said = file.read_text(encoding="utf-8") if file is not None else (text or "")
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"cannot read {file}: {error}") from error
    data = None
    if action == "edit" and "/result-" not in review_id:
        try:
            data, said = json.loads(said), ""
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"editing this review needs JSON, by --text or --file: {error}") from error
    chosen: Action = action  # type: ignore[assignment] # checked above
    return desk.decide(review_id, chosen, said, data)
