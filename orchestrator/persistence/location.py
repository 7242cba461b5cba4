"""Location of the database: its default URL, and the file that a URL names."""

from pathlib import Path

import platformdirs

from orchestrator.errors import ConfigError


def default_url() -> str:
    """Return the URL of the database under the user's data folder."""
    return "sqlite:///" + str(Path(platformdirs.user_data_dir("agent-task-orchestrator")) / "orchestrator.db")


def database_path(url: str) -> Path | None:
    """Return the file that a database URL names; None for a database in memory.

    Args:
        url: `sqlite:///relative/or//absolute.db`, a plain path, or `memory://`.

    Raises:
        ConfigError: The URL has another scheme.
    """
    if url in ("memory://", ":memory:", "sqlite://", "sqlite:///:memory:"):
        return None
    if url.startswith("sqlite:///"):
        url = url.removeprefix("sqlite:///")
    if "://" in url:
        raise ConfigError(f"unknown database URL '{url}': use sqlite:///path/to/file.db, a path, or memory://")
    return Path(url).expanduser()


def rules_beside(database: Path) -> Path:
    """Return the file with the standing rules for runs whose thread names no policy file. It need not exist.

    Args:
        database: The file of the database.
    """
    return database.with_name(f"{database.name}.rules.toml")
