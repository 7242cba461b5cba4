"""A thread that would go on with another model: asked about at a terminal, otherwise an error with the ways on."""

from typing import Any

import typer

from orchestrator.background import run_in_background
from orchestrator.cli.echo import command, echo
from orchestrator.concurrency import AWAITING
from orchestrator.errors import EXIT_FAILED, ConfigError
from orchestrator.models.profile import THIS_MACHINE
from orchestrator.persistence.used_models import UsedModels
from orchestrator.redaction import HIDDEN
from orchestrator.runs.consent.other_model import changed_model
from orchestrator.runs.task_orchestrator import TaskOrchestrator
from orchestrator.runs.thread_list import ThreadList

_UNSET = "env -u OPENAI_API_KEY -u OPENAI_BASE_URL "


def may_use_other_model(
    orchestrator: TaskOrchestrator,
    thread_id: str,
    options: dict[str, Any],
    words: list[str],
    *,
    db: str | None,
    asks: bool,
) -> bool:
    """True if a person has agreed that a thread goes on with another model than before, should it be another.

    Args:
        orchestrator: The orchestrator with its models.
        thread_id: The thread.
        options: The options of the command, as recorded with threads. A model or an address among them is a consent.
        words: The words of the command, for the ways on.
        db: The database as the user named it.
        asks: Ask at the terminal.

    Raises:
        ConfigError: It is another model, and nobody has agreed.
        typer.Exit: The person did not agree.
    """
    if options.get("model") or options.get("base_url"):
        return True
    record = run_in_background(lambda: ThreadList(orchestrator.persistence.store).find(AWAITING, thread_id))
    if record is None or (error := changed_model(orchestrator.team, record)) is None:
        return False
    former, now = UsedModels.parse(record.models), orchestrator.team.used_models()
    difference = "; ".join([error.difference, *error.obstacles])
    back = _way("with the former model", words, former, db)
    if not asks:
        raise ConfigError("\n  ".join([difference, *back, *_way("with the other model", words, now, db)]))
    echo(difference, err=True)
    if typer.confirm("Go on with the other model?", err=True):
        return True
    for line in back:
        echo(line, err=True)
    raise typer.Exit(EXIT_FAILED)


def _way(title: str, words: list[str], models: UsedModels, db: str | None) -> list[str]:
    """Return the line with the command that names a team's model; none for a model that no option can name."""
    model = models.agents.get("supervisor")
    if model is None or HIDDEN in model.endpoint:
        return []
    if model.endpoint == THIS_MACHINE:
        return [f"{title}: {_UNSET}{command(*words, '--model', model.name, db=db)}"]
    if not model.endpoint.startswith("http"):
        return []
    named = ["--model", model.name] if model.name else []
    return [f"{title}: {command(*words, *named, '--base-url', model.endpoint, db=db)}"]
