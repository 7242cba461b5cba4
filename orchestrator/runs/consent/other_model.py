"""Another model than a thread ran with: found out before anything is sent to it.

The environment chooses the model of an agent that has none. In another shell that can be a model on another machine,
and the thread's documents would go there.
"""

from orchestrator.agents.team import Team
from orchestrator.concurrency import AWAITING
from orchestrator.errors import ModelChangedError
from orchestrator.models.configured import is_configured
from orchestrator.models.profile import THIS_MACHINE
from orchestrator.models.proxies import OPENAI_URL
from orchestrator.models.settings import ModelSettings
from orchestrator.persistence.used_models import UsedModel, UsedModels, told
from orchestrator.runs.thread_list import ThreadList
from orchestrator.runs.threads.record import ThreadRecord

_KEPT_FACTS = ("model", "base_url")  # of the options that a person gave with a consent


def changed_model(team: Team, record: ThreadRecord | None) -> ModelChangedError | None:
    """Return the error that a thread ran with other models than the team's; None if it did not.

    Args:
        team: The team.
        record: The thread's record; None for a new thread.
    """
    if record is None or not record.models:  # a thread of 0.1.0, or of a graph that was invoked without this interface
        return None
    former = UsedModels.parse(record.models)
    if not (differences := former.differences(team.used_models())):
        return None
    obstacles = dict.fromkeys(filter(None, (_obstacle(d.former) for d in differences if d.former is not None)))
    return ModelChangedError(told(record.id, differences), list(obstacles))


def _obstacle(former: UsedModel) -> str:
    """Return why the former model cannot be used here; empty if nothing is known to be in its way."""
    from orchestrator.models.weights import cached, weights_named

    settings = ModelSettings()
    if former.endpoint == OPENAI_URL and not (settings.api_key and settings.api_key.get_secret_value()):
        return "OPENAI_API_KEY is not set here"
    if former.endpoint == THIS_MACHINE:
        if cached(weights_named(former.name)) is None:
            return f"{former.name} is not here: `orchestrator model fetch {former.name}` gets it"
        if is_configured(settings):
            return "OPENAI_API_KEY or OPENAI_BASE_URL is set here and names another model"
    return ""


async def check_models(
    team: Team, threads: ThreadList, thread_id: str, about: dict[str, object], *, is_allowed: bool
) -> None:
    """Refuse to go on with another model, or record that the thread goes on with it. The caller holds the lease.

    Args:
        team: The team.
        threads: The list of threads.
        thread_id: The thread.
        about: Facts that the caller records with threads.
        is_allowed: A person has agreed to another model.

    Raises:
        ModelChangedError: The thread ran with another model, and nobody has agreed.
    """
    record = await threads.find(AWAITING, thread_id)
    error = changed_model(team, record)
    if error is not None and not is_allowed:
        raise error
    if record is not None and (error is not None or not record.models):
        kept = {name: value for name in _KEPT_FACTS if (value := about.get(name))} if error is not None else {}
        await threads.go_on_with(AWAITING, record, team.used_models(), kept)
