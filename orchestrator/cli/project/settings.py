"""The settings of a project: `orchestrator.toml`, `[tool.orchestrator]` in pyproject.toml, and the `.env` beside them.

An option goes before an environment variable, a variable before `.env`, `.env` before the file, the file before the
default. Paths in a file are relative to its folder.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.errors import ConfigError

FILE = "orchestrator.toml"
CONFIG_VARIABLE = "ORCHESTRATOR_CONFIG"
NO_FILE = "none"

# Other names in `.env` are for other programs. A PATH, a PYTHONPATH or a proxy from it would change this one.
_ENV_NAME = re.compile(rf"OPENAI_BASE_URL|(?!{CONFIG_VARIABLE}$)ORCHESTRATOR_[A-Z_]+|[A-Z][A-Z0-9_]*_API_KEY")


_TABLE = re.compile(r"^\s*\[\s*tool\s*\.\s*orchestrator\s*[.\]]", re.M)


@dataclass(frozen=True)
class Setting:
    """A setting of the file.

    Args:
        name: Its name in the file. Those of a table are dotted.
        kinds: The types that its value may have.
        form: Its form in words.
        default: Its default in words.
        variable: The environment variable of the same meaning.
        parameter: The parameter of commands, where its name is another one.
        is_path: True if it names a file or a folder.
    """

    name: str
    kinds: tuple[type, ...] = (str,)
    form: str = "a text"
    default: str = ""
    variable: str = ""
    parameter: str = ""
    is_path: bool = False

    @property
    def option(self) -> str:
        """Return the name of the parameter that it is a default of."""
        return self.parameter or self.name.rpartition(".")[2]


SETTINGS = (
    Setting("team", default="research_team"),
    Setting("model", default="gpt-4.1-mini at OpenAI, else the endpoint's first", variable="ORCHESTRATOR_MODEL"),
    Setting("base_url", default="OpenAI with a key, else the embedded model", variable="OPENAI_BASE_URL"),
    Setting("db", default="a file in your data folder", variable="ORCHESTRATOR_DB", is_path=True),
    Setting("docs", default="the team's own", variable="ORCHESTRATOR_DOCS", is_path=True),
    Setting("policy", default="the team's own", is_path=True),
    Setting("mcp", is_path=True),
    Setting("fallback_models", (list,), "a list of texts", parameter="fallback_model"),
    Setting("economy_model"),
    Setting("requests_per_minute", (int,), "a whole number"),
    Setting("tokens_per_minute", (int,), "a whole number"),
    Setting("budget.max_tokens", (int, str), 'a whole number or "none"', default="500000"),
    Setting("budget.max_cost", (int, float), "a number of dollars"),
    Setting("budget.max_time", (int, str), 'seconds, or a text as in "10m"'),
    Setting("budget.max_calls", (int,), "a whole number"),
    Setting("budget.price", form='a text as in "0.15,0.60"'),
    Setting("notify.webhook", variable="ORCHESTRATOR_NOTIFY_WEBHOOK", parameter="notify_webhook"),
    Setting("notify.command", variable="ORCHESTRATOR_NOTIFY_COMMAND", parameter="notify_command"),
    Setting("notify.page_url", variable="ORCHESTRATOR_PAGE_URL"),
)


@dataclass(frozen=True)
class ProjectFile:
    """A configuration file that was read.

    Args:
        path: The file.
        values: The values of the settings by name.
        variables: The variables of the `.env` beside it that are settings.
        ignored: The names of its other variables.
        is_named: True if `ORCHESTRATOR_CONFIG` names the file.
    """

    path: Path
    values: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    is_named: bool = False


def project_file(folder: Path) -> ProjectFile | None:
    """Return the configuration of a folder: its own or that of the nearest parent that has one; None without any.

    Raises:
        ConfigError: The file cannot be read, or holds an unknown setting or a wrong value.
    """
    named = os.environ.get(CONFIG_VARIABLE, "")
    if named == NO_FILE:
        return None
    if named:
        return _read(Path(named).expanduser().resolve(), is_named=True)
    try:
        folder = folder.resolve(strict=True)
    except OSError:  # it was deleted meanwhile
        return None
    for parent in (folder, *folder.parents):
        # Not `Path.is_file`, which raises for a folder that may not be entered.
        if os.path.isfile(path := parent / FILE) or _has_table(path := parent / "pyproject.toml"):
            return _read(path)
    return None


def _has_table(path: Path) -> bool:
    """True if a pyproject.toml has settings. It is searched as text, so that mistakes of others in it do not matter."""
    try:
        return bool(_TABLE.search(path.read_text(encoding="utf-8", errors="replace")))
    except OSError:
        return False


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error


def _read(path: Path, *, is_named: bool = False) -> ProjectFile:
    try:
        table: Any = tomllib.loads(_text(path))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    if path.name == "pyproject.toml":
        table = table.get("tool", {}).get("orchestrator", {})
    variables, ignored = _dotenv(path.parent / ".env")
    return ProjectFile(path, dict(_values(path, table)), variables, ignored, is_named)


def _values(path: Path, table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    known = {setting.name: setting for setting in SETTINGS}
    tables = {name.partition(".")[0] for name in known if "." in name}
    for key, value in table.items():
        parts = {f"{key}.{name}": part for name, part in value.items()} if isinstance(value, dict) else {key: value}
        for name, part in parts.items():
            if key in tables and not isinstance(value, dict):
                raise ConfigError(f"{path}: '{key}' is a table: write [{key}], and its settings below")
            if name not in known:
                near = difflib.get_close_matches(name, known, 1, 0.5)
                hint = f"did you mean '{near[0]}'?" if near else f"use one of {', '.join(known)}"
                raise ConfigError(f"{path}: there is no setting '{name}': {hint}")
            yield name, _checked(path, known[name], part)


def _checked(path: Path, setting: Setting, value: Any) -> Any:
    is_right = isinstance(value, setting.kinds) and not isinstance(value, bool)
    if not is_right or (isinstance(value, list) and not all(isinstance(each, str) for each in value)):
        raise ConfigError(f"{path}: '{setting.name}' is {value!r}, and has to be {setting.form}")
    if setting.is_path and "://" not in value:
        return str((path.parent / Path(value).expanduser()).resolve())
    return value


def _dotenv(path: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    if not path.is_file():
        return {}, ()
    from io import StringIO

    from dotenv import dotenv_values

    values = dotenv_values(stream=StringIO(_text(path)), interpolate=False)
    taken = {name: value for name, value in values.items() if value and _ENV_NAME.fullmatch(name)}
    return taken, tuple(name for name in values if name not in taken)


@dataclass(frozen=True)
class Effective:
    """A setting as it holds, unless an option says otherwise.

    Args:
        setting: The setting.
        value: Its value; None if the default holds.
        source: The place that the value comes from.
    """

    setting: Setting
    value: Any
    source: str


def effective_settings(file: ProjectFile | None) -> list[Effective]:
    """Return every setting with the place that it comes from."""
    settings = []
    for setting in SETTINGS:
        value, source = None, "default"
        if setting.variable and (value := os.environ.get(setting.variable)):
            source = f"environment, {setting.variable}"
        elif file and (value := file.variables.get(setting.variable)):
            source = str(file.path.parent / ".env")
        elif file and (value := file.values.get(setting.name)) is not None:
            source = str(file.path)
        settings.append(Effective(setting, value or None, source if value else "default"))
    return settings
