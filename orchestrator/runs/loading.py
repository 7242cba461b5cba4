"""Loading a team by its name, and the orchestrator of a thread by what the thread recorded."""

import os
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import Any

from orchestrator.agents.team import Team
from orchestrator.background import run_in_background
from orchestrator.errors import ConfigError, OrchestratorError
from orchestrator.model_calls.call_policy import CallPolicy
from orchestrator.model_calls.retries import Resilience
from orchestrator.models.factory import chat_model
from orchestrator.models.settings import ModelSettings
from orchestrator.persistence.database import Persistence
from orchestrator.persistence.location import database_path, default_url, rules_beside
from orchestrator.redaction import HIDDEN, redact, remember_secret
from orchestrator.runs.defaults import DEFAULT_TEAM
from orchestrator.runs.task_orchestrator import TaskOrchestrator
from orchestrator.runs.thread_states import ThreadStates
from orchestrator.tool_calls.policy import Policy

TeamSource = Team | Callable[..., Team]
"""A team, or a function that makes one, also of a folder of documents."""

_CALL_FACTS = ("fallback_models", "economy_model", "requests_per_minute", "tokens_per_minute")
_RENAMED = {"graphs": "orchestrator_graphs", "tools": "orchestrator_tools"}  # import names up to 0.1.0


def load_team(name: str, docs: str | Path | None = None, own: Mapping[str, TeamSource] | None = None) -> Team:
    """Load a copy of a team by name.

    Args:
        name: A team that ships, such as `research_team`, or `module:attribute`.
        docs: Passed to the attribute when it is a function that makes a team.
        own: Teams by name, which are looked for before any module.

    Raises:
        ConfigError: There is no such module or attribute, the module cannot be imported, or the attribute is no team.
    """
    if own is not None and name in own:
        return _made(name, name, own[name], docs)
    module_name, _, attribute = name.partition(":")
    if not all(part.isidentifier() for part in module_name.split(".")) or name.endswith(":"):
        raise ConfigError(
            f"'{name}' names no team: use one that ships, such as {DEFAULT_TEAM}, or module:attribute as Python "
            "imports it, as in my_package.teams:team"
        )
    if not attribute:
        module_name, attribute = f"orchestrator_graphs.{name}", "team"
    # The folder that one is in holds the user's own modules. It comes last for the teams that ship: a project's own
    # modules must not take the place of theirs.
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0 if ":" in name else len(sys.path), here)
    try:
        team = getattr(_imported(name, module_name), attribute)
    except AttributeError as error:
        raise ConfigError(f"no team '{name}': {error}") from error
    return _made(name, attribute, team, docs)


def _made(name: str, attribute: str, team: Any, docs: str | Path | None) -> Team:
    if callable(team) and not isinstance(team, Team):
        try:
            team = team(docs) if docs is not None else team()
        except TypeError as error:
            raise ConfigError(f"'{name}' does not make a team: {error}") from error
    elif docs is not None:
        raise ConfigError(f"team '{name}' takes no --docs: {attribute} is a team, not a function of a folder")
    if not isinstance(team, Team):
        raise ConfigError(f"'{name}' is a {type(team).__name__}, not a Team or a function that makes one")
    return team.copy()  # the caller adds tools and a policy, and the module may be imported elsewhere


def _imported(name: str, module_name: str) -> ModuleType:
    """Import the module of a team, also by the name that it had in 0.1.0: threads of that version recorded it.

    Raises:
        ConfigError: The module is missing, or fails when it is imported.
    """
    try:
        return import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        package, _, rest = module_name.partition(".")
        # Only if the module itself is missing. One of the user's can have an old name and lack something else.
        if package in _RENAMED and f"{module_name}.".startswith(f"{missing}."):
            return _imported(name, f"{_RENAMED[package]}.{rest}")
        renamed = _RENAMED.get(missing.partition(".")[0])
        hint = (
            f"what was imported as {missing.partition('.')[0]} is called {renamed} now"
            if renamed
            else f"use one that ships, such as {DEFAULT_TEAM}, or module:attribute"
        )
        raise ConfigError(f"no team '{name}': {error}; {hint}") from error
    except Exception as error:
        if isinstance(error, OrchestratorError):
            raise
        raise ConfigError(
            f"cannot import the team '{name}': {type(error).__name__}: {error}{_line_of(error)}"
        ) from error


def _line_of(error: Exception) -> str:
    """Return the line of code that raised, in parentheses; empty where Python's own message names it."""
    frames = extract_tb(error.__traceback__)
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if not isinstance(error, SyntaxError) else ""


def open_orchestrator(
    db: str | None,
    about: dict[str, Any],
    persistence: Persistence | None = None,
    own: Mapping[str, TeamSource] | None = None,
) -> TaskOrchestrator:
    """Open an orchestrator from plain facts.

    Args:
        db: Database URL or path.
        about: Names of the team, the model and the rest, as the options of `orchestrator run`. They are recorded with
            each thread.
        persistence: The database, where it is open already.
        own: Teams by name, which are looked for before any module.
    """
    team = load_team(about.get("team") or DEFAULT_TEAM, about.get("docs"), own)
    equip(team, about.get("mcp"), about.get("policy"))
    path = persistence.path if persistence is not None else database_path(str(db or default_url()))
    if not about.get("policy") and path is not None:
        team.use_policy(team.policy.also_reading(rules_beside(path)))
    endpoint = {name: about[name] for name in ("model", "base_url") if about.get(name)}
    # A team whose agents all have models of their own needs none, nor a key for it.
    if endpoint or not all(agent.has_model for agent in (team.supervisor, *team.workers.values())):
        team.use_model(chat_model(ModelSettings(**endpoint)))
    if any(about.get(fact) for fact in _CALL_FACTS):  # otherwise a team keeps what its maker gave it
        team.calls = _call_policy(about, endpoint)
    return TaskOrchestrator(team=team, db=persistence or Persistence(db), about=about)


def equip(team: Team, mcp: str | None, policy: str | None) -> None:
    """Give a team the tools of MCP servers, and a policy.

    Args:
        team: The team.
        mcp: Path of the file that names the servers; None for no servers.
        policy: Path of the file with the rules; None to keep the team's policy.

    Raises:
        ConfigError: A file is wrong, or a server cannot be used.
    """
    if mcp:
        servers: Any = import_module("orchestrator_tools.mcp")  # by name: the engine must not import tools
        try:
            settings: Any = import_module("orchestrator_tools.mcp.config")
            for server in settings.read_servers(mcp).values():
                for value in (*server.headers.values(), *server.env.values()):
                    remember_secret(value.rpartition(" ")[2])  # after a scheme such as Bearer
            team.add_tools(servers.mcp_tools_by_worker(mcp))
        except servers.McpServerError as error:
            raise ConfigError(str(error)) from error
    if policy:
        team.use_policy(Policy.load(policy))


def _call_policy(about: dict[str, Any], endpoint: dict[str, Any]) -> CallPolicy:
    """Return fallbacks and economy model at the same endpoint, and the rate limits."""
    others = [chat_model(ModelSettings(**{**endpoint, "model": name})) for name in about.get("fallback_models") or ()]
    economy = about.get("economy_model")
    rates = {n: about[n] for n in ("requests_per_minute", "tokens_per_minute") if about.get(n)}
    return CallPolicy(
        fallbacks=tuple(others),
        economy=chat_model(ModelSettings(**{**endpoint, "model": economy})) if economy else None,
        resilience=Resilience(**rates),
    )


def _restore_address(about: dict[str, Any], thread_id: str) -> None:
    """Leave an address whose password was not recorded to the environment, where the environment has it.

    Raises:
        ConfigError: The environment does not have it.
    """
    address = str(about.get("base_url") or "")
    if HIDDEN not in address:
        return
    if redact(os.environ.get("OPENAI_BASE_URL", "")) != address:
        raise ConfigError(
            f"the endpoint of thread '{thread_id}', {address}, has a password, and passwords are not recorded: name "
            "the endpoint again with --base-url or OPENAI_BASE_URL"
        )
    about["base_url"] = None


def open_thread(
    db: str | None, thread_id: str, instead: dict[str, Any], own: Mapping[str, TeamSource] | None = None
) -> TaskOrchestrator:
    """Open the orchestrator that a thread was started with.

    Args:
        db: Database URL or path.
        thread_id: The thread.
        instead: Facts that replace those that the thread recorded.
        own: Teams by name, which are looked for before any module.

    Raises:
        UnknownThreadError: There is no such thread.
        ConfigError: The thread was started from Python, and `instead` names no team.
    """
    persistence = Persistence(db)
    try:
        record = run_in_background(lambda: ThreadStates(persistence).record(thread_id))
        about = {**record.about, **{name: value for name, value in instead.items() if value}}
        _restore_address(about, thread_id)
        # Records of other programs and versions can lack it. This once ended `resume` with a traceback.
        if not about.get("team"):
            raise ConfigError(
                f"thread '{thread_id}' was started from Python or Studio, where its team is: resume it there, or name "
                "the team with --team"
            )
        return open_orchestrator(db, about, persistence, own)
    # Ctrl-C included: no object is returned that the caller could close.
    except BaseException:
        persistence.close()
        raise
