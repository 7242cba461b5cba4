"""The file in which a thread's standing rules are kept, and all such files of a database."""

from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.errors import ConfigError
from orchestrator.persistence.location import rules_beside
from orchestrator.runs.client import OrchestratorClient
from orchestrator.runs.threads.listing import list_threads
from orchestrator.runs.threads.record import ThreadRecord
from orchestrator.tool_calls.policy import Policy
from orchestrator.tool_calls.standing.rules_file import RulesFile


@dataclass(frozen=True)
class RulePlace:
    """The file for the standing rules of a thread.

    Args:
        file: The file; None where there is none that the thread's runs would read.
        policy: What is known of the policy of the thread.
        problem: Why there is no file.
    """

    file: RulesFile | None
    policy: Policy = field(default_factory=Policy)
    problem: str = ""


def rule_place(client: OrchestratorClient, record: ThreadRecord) -> RulePlace:
    """Return the place for the standing rules of a thread.

    Args:
        client: Has the database open.
        record: The record of the thread.
    """
    if record.about.get("policy"):
        file = RulesFile(Path(str(record.about["policy"])))
        try:
            return RulePlace(file, file.policy())
        except ConfigError as error:
            return RulePlace(None, problem=str(error))
    # A run that was started from Python or Studio reads no file that it was not given.
    if not record.about.get("team"):
        return RulePlace(
            None,
            problem="this thread was started from Python or Studio, where its policy is: a rule has to be added there, "
            "or the team has to load its policy from a file",
        )
    if client.persistence.path is None:
        return RulePlace(None, problem="this database is in memory, and has no file beside it")
    return RulePlace(RulesFile(rules_beside(client.persistence.path)))


def rule_files(client: OrchestratorClient, db: str | None) -> list[RulesFile]:
    """Return the files with standing rules of all threads of a database.

    Args:
        client: Has the database open.
        db: The database.
    """
    beside = [rules_beside(client.persistence.path)] if client.persistence.path is not None else []
    named = {Path(str(record.about["policy"])) for record in list_threads(db) if record.about.get("policy")}
    return [RulesFile(path) for path in dict.fromkeys([*beside, *sorted(named)]) if path.exists()]
