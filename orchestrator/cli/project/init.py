"""`orchestrator init`: a small project of one's own."""

import re
import shlex
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.echo import command, echo
from orchestrator.cli.project.settings import project_file
from orchestrator.cli.project.trust import trust
from orchestrator.errors import ConfigError

_TEMPLATE = Path(__file__).with_name("template")
_ENDING = ".txt"  # so that no tool takes the template's files for those of this project


def init(
    folder: Annotated[
        Path, typer.Argument(help="The folder; made if it is missing.", show_default="this one")
    ] = Path(),
) -> None:
    """Make a small project: a team, its test, its settings.

    The team has a tool of its own. No file is written over. The project runs with `orchestrator run`, pytest and
    `langgraph dev` as it is.
    """
    texts = _texts(folder.resolve().name)
    if taken := [name for name in texts if (folder / name).exists() or (folder / name).is_symlink()]:
        raise ConfigError(f"{folder} has {', '.join(taken)} already, and nothing is written over: name another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            with (folder / name).open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise ConfigError(f"cannot write into {folder}: {error.strerror or error}") from error
    if (file_of_project := project_file(folder)) is not None:
        trust(file_of_project)
    echo(f"made in {folder.resolve()}: {', '.join(texts)}")
    go = "" if folder.resolve() == Path.cwd() else f"cd {shlex.quote(str(folder))} && "
    echo(f"go on with: {go}{command('run', 'Write a greeting for a birthday card.')}")


def _texts(folder_name: str) -> dict[str, str]:
    """Return the text of each file by name."""
    project = re.sub(r"[^a-z0-9]+", "-", folder_name.lower()).strip("-") or "my-team"
    return {
        path.name.removesuffix(_ENDING): path.read_text(encoding="utf-8").replace("{name}", project)
        for path in sorted(_TEMPLATE.iterdir())
        if path.name.endswith(_ENDING)
    }
