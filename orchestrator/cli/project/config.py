"""`orchestrator config`: every setting and where it comes from. And the settings as defaults of the other commands."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.cli.echo import command, echo, echo_json
from orchestrator.cli.options import Json
from orchestrator.cli.project.settings import Effective, ProjectFile, effective_settings, project_file
from orchestrator.cli.project.trust import is_trusted, trust
from orchestrator.errors import ConfigError
from orchestrator.redaction import redact

_KEYS_IN_EVERY_CASE = ("OPENAI_API_KEY",)


def config(
    trusted: Annotated[
        bool, typer.Option("--trust", help="Let the file and its .env hold, as they are now. Read them before.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Print every setting, and where it comes from.

    Settings come from options, environment variables, .env, orchestrator.toml or [tool.orchestrator] in pyproject.toml,
    in this order. The files are those of this folder or of the nearest parent that has one.
    """
    file = project_file(Path())
    if trusted:
        if file is None:
            raise ConfigError("there is no orchestrator.toml here or in a parent folder, so there is nothing to trust")
        trust(file)
    holds = file is not None and is_trusted(file)
    settings = effective_settings(file if holds else None)
    keys = _keys(file if holds else None)
    if as_json:
        rows = [{"name": each.setting.name, "value": _shown(each), "source": each.source} for each in settings]
        of_file = {"file": str(file.path) if file else None, "trusted": holds}
        echo_json({**of_file, "settings": rows, "keys": [{"name": n, "source": s} for n, s in keys.items()]})
        return
    if file is None:
        echo("no orchestrator.toml here or in a parent folder")
    else:
        echo(f"{file.path}{'' if holds else f': not trusted, so it does not hold; {_how_to_trust()}'}")
        if file.ignored:
            echo(f".env: {', '.join(file.ignored)} are not settings, and are left alone")
    width = max(len(each.setting.name) for each in settings)
    for each in settings:
        value = _shown(each)
        words = each.setting.default or "none" if value is None else value
        echo(f"{each.setting.name:{width}}  {words}  ({_short(each.source)})")
    for name, source in keys.items():
        echo(f"{name:{width}}  {'not set' if source == 'default' else 'set, and not shown'}  ({_short(source)})")


def _short(source: str) -> str:
    """Return a source without the folder of its file, which stands in the first line."""
    return source.rpartition("/")[2]


def _shown(each: Effective) -> Any:
    if each.value is None or isinstance(each.value, int | float):
        return each.value
    return ", ".join(each.value) if isinstance(each.value, list) else redact(str(each.value))


def _keys(file: ProjectFile | None) -> dict[str, str]:
    """Return the source of each key, and never the key."""
    of_file = [name for name in file.variables if name.endswith("_KEY")] if file else []
    sources = {}
    for name in dict.fromkeys((*_KEYS_IN_EVERY_CASE, *of_file)):
        from_file = str(file.path.parent / ".env") if file and name in of_file else "default"
        sources[name] = f"environment, {name}" if os.environ.get(name) else from_file
    return sources


def _how_to_trust() -> str:
    return f"read it, then: {command('config', '--trust')}"


def defaults_of(group: Any, folder: Path) -> dict[str, Any]:
    """Return the settings as defaults of the parameters of each command, and take over the variables of `.env`.

    Args:
        group: The group of commands.
        folder: The working folder.

    Raises:
        ConfigError: The configuration file is wrong, or nobody has trusted it.
    """
    file = project_file(folder)
    if file is not None and not is_trusted(file):
        raise ConfigError(
            f"{file.path} is not trusted yet: it decides which code runs, and where keys and documents go; "
            f"{_how_to_trust()}"
        )
    values = {}
    for each in effective_settings(file):
        # Models read these variables themselves, under rules of their own.
        if each.value is not None and each.setting.name not in _read_by_models(each):
            values[each.setting.option] = _as_typed(each.value)
    if file is not None:
        for name, value in file.variables.items():
            os.environ.setdefault(name, value)
        if ":" in str(values.get("team", "")):
            sys.path.insert(0, str(file.path.parent))  # the team is imported from any folder below
    return _by_command(group, values)


def _read_by_models(each: Effective) -> tuple[str, ...]:
    is_variable = each.source.startswith("environment") or each.source.endswith(".env")
    return ("model", "base_url", "docs") if is_variable else ()


def _as_typed(value: Any) -> Any:
    return [str(each) for each in value] if isinstance(value, list) else str(value)


def _by_command(group: Any, values: dict[str, Any], name: str = "") -> dict[str, Any]:
    if hasattr(group, "commands"):
        return {own: _by_command(each, values, own) for own, each in group.commands.items()}
    # A thread goes on with what it recorded. Only its database has to be found.
    taken = {"db"} if name == "resume" else values.keys()
    return {each.name: values[each.name] for each in group.params if each.name in values and each.name in taken}
