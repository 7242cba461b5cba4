"""Trust in a configuration file: no file of a downloaded folder holds before a person has agreed.

A file decides which code runs (`team`, `mcp`), where keys and documents go (`base_url`, `.env`) and which database is
opened. So a file counts only as it was when the person trusted it: a changed one has to be trusted anew.
"""

import hashlib
import json
from pathlib import Path

import platformdirs

from orchestrator.cli.project.settings import ProjectFile
from orchestrator.errors import ConfigError
from orchestrator.persistence.private_files import make_private_folder, write_private_file


def is_trusted(file: ProjectFile) -> bool:
    """True if a person has trusted the file and the `.env` beside it as they are, or names the file by a variable."""
    return file.is_named or _trusted().get(str(file.path)) == _digest(file)


def trust(file: ProjectFile) -> None:
    """Record that a person trusts the file and the `.env` beside it as they are.

    Raises:
        ConfigError: The record cannot be written.
    """
    path = _record()
    try:
        make_private_folder(path.parent)
        write_private_file(path, json.dumps({**_trusted(), str(file.path): _digest(file)}, indent=1))
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror or error}") from error


def _record() -> Path:
    return Path(platformdirs.user_config_dir("agent-task-orchestrator")) / "trusted.json"


def _trusted() -> dict[str, str]:
    try:
        trusted = json.loads(_record().read_text(encoding="utf-8"))
    except (OSError, ValueError):  # nothing is trusted then
        return {}
    return trusted if isinstance(trusted, dict) else {}


def _digest(file: ProjectFile) -> str:
    digest = hashlib.sha256(file.path.read_bytes())
    dotenv = file.path.parent / ".env"
    digest.update(b"\0" + (dotenv.read_bytes() if dotenv.is_file() else b""))
    return digest.hexdigest()
