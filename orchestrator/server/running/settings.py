"""Settings of runs that begin on the page: which teams, models and folders a person can choose there."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from orchestrator.budget.amounts import limits_of
from orchestrator.budget.budget import DIMENSIONS, Budget
from orchestrator.errors import ConfigError, OrchestratorError
from orchestrator.models.configured import configured_identity, is_configured
from orchestrator.models.profile import THIS_MACHINE
from orchestrator.models.requests.kept import kept_lessons
from orchestrator.models.settings import ModelSettings
from orchestrator.models.weights import CATALOGUE, DEFAULT, cached
from orchestrator.runs.defaults import DEFAULT_TEAM
from orchestrator.runs.loading import TeamSource
from orchestrator.runs.teams.described import TeamDescription, describe_team, shipped_teams

_CHOSEN = ("team", "model", "base_url", "docs")
_FACTS = frozenset(
    {*_CHOSEN, "policy", "mcp", "fallback_models", "economy_model", "requests_per_minute", "tokens_per_minute"}
)


@dataclass(frozen=True)
class RunSettings:
    """The settings of runs that begin on the page.

    Args:
        facts: Settings by name, as the options of `orchestrator run`. They hold where a person chooses nothing else.
        limits: Limits by name, as in `Budget`.
        own: The user's own teams by name.
        is_private: True if only this machine reaches the page. Otherwise a token's holder chooses no endpoint, which
            would get the server's key, and no folder outside of the server's own.

    Raises:
        ConfigError: There is no such setting, or a limit is wrong.
    """

    facts: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    own: Mapping[str, TeamSource] = field(default_factory=dict)
    is_private: bool = True

    def __post_init__(self) -> None:
        if unknown := sorted(self.facts.keys() - _FACTS):
            raise ConfigError(f"there is no setting '{unknown[0]}' of a run: use {', '.join(sorted(_FACTS))}")
        # A wrong limit is an error when the page is made, and not for the first person who opens the form.
        Budget.default().of_run(self.limits)

    @property
    def budget(self) -> str:
        """The limits that hold where a person writes none, in words."""
        return str(Budget.default().of_run(self.limits))

    @staticmethod
    def written(text: str) -> dict[str, Any]:
        """Return the limits that a person wrote.

        Raises:
            ConfigError: It is no amount.
        """
        try:
            return {**limits_of(text)}
        except ValueError as error:
            raise ConfigError(f"the budget: {error}") from None

    def limits_in(self, text: str) -> dict[str, Any]:
        """Return the limits of a run for which a person wrote some. They take the places of all those of the settings.

        Args:
            text: As for `limits_of`.

        Raises:
            ConfigError: It is no amount.
        """
        written = self.written(text)
        kept = {name: value for name, value in self.limits.items() if not written or name not in DIMENSIONS}
        return {**kept, **written}

    @property
    def team(self) -> str:
        """The name of the team that is offered first."""
        return str(self.facts.get("team") or next(iter(self.own), DEFAULT_TEAM))

    @cached_property
    def teams(self) -> list[TeamDescription]:
        """The teams that can be chosen, the first one first. Loading them takes a second or two, once."""
        # Who brings teams of their own offers these. Those that ship would work on other documents, with other models.
        names = dict.fromkeys([self.team, *self.own, *([] if self.own else shipped_teams())])
        return [describe_team(name, self.own.get(name)) for name in names]

    def about(self, chosen: Mapping[str, str], *, has_files: bool = False) -> dict[str, Any]:
        """Return the facts of a run for which a person has chosen some.

        Args:
            chosen: What was chosen, by name; an empty text for the setting.
            has_files: Documents were uploaded for it.

        Raises:
            ConfigError: The team or the folder is not there, or a token's holder may not choose it.
        """
        given = {name: chosen[name].strip() for name in _CHOSEN if chosen.get(name, "").strip()}
        team = given.get("team", self.team)
        known = {each.name: each for each in self.teams}
        if team not in known:
            raise ConfigError(f"there is no team '{team}' here: choose one of {', '.join(known)}")
        if ("docs" in given or has_files) and not known[team].takes_docs:
            raise ConfigError(f"team '{team}' works on no folder of documents: leave the documents out")
        # The server's key is sent to the endpoint, so an endpoint of somebody's choice would learn the key.
        if "base_url" in given and not self.is_private:
            raise ConfigError("the endpoint of this page is chosen by those who serve it: leave it empty")
        if "docs" in given:
            given["docs"] = self._folder(given["docs"])
        facts = dict(self.facts)
        if team != self.team:
            facts.pop("docs", None)  # of another team, which may take none
        return {**facts, **given, "team": team}

    def _folder(self, text: str) -> str:
        folder = Path(os.path.abspath(Path(text).expanduser()))
        # Links are followed first: a folder in the server's own may be a link that leads out of it.
        real = folder.resolve()
        roots = [Path.cwd(), *([Path(str(self.facts["docs"]))] if self.facts.get("docs") else [])]
        if not self.is_private and not any(real.is_relative_to(root.resolve()) for root in roots):
            places = " or ".join(str(root) for root in roots)
            raise ConfigError(f"this page reads documents in {places} only: choose a folder there, or upload the files")
        if not folder.is_dir():
            raise ConfigError(f"{text} is no folder on the server's machine")
        if not os.access(folder, os.R_OK | os.X_OK):
            raise ConfigError(f"{text} cannot be read by the server")
        return str(real)


@dataclass(frozen=True)
class KnownModels:
    """The models that a person can be told of.

    Args:
        default: The model of a run that names none, in words.
        names: Names that are known, with what is known of each.
        problem: Why a run that names no model could not begin; empty if nothing is known to be in its way.
    """

    default: str
    names: dict[str, str]
    problem: str = ""

    @classmethod
    def now(cls, facts: Mapping[str, Any]) -> "KnownModels":
        """Return the models that are known now. No endpoint is asked.

        Args:
            facts: The settings of runs.
        """
        names = {each.model: f"at {each.endpoint}" for each in kept_lessons() if each.model}
        names |= {weights.name: weights.about for weights in CATALOGUE.values() if cached(weights)}
        try:
            settings = ModelSettings(**{name: facts[name] for name in ("model", "base_url") if facts.get(name)})
        except OrchestratorError as error:
            return cls("none", names, str(error))
        if is_configured(settings):
            model, place = configured_identity(settings)
            return cls(f"{model or 'the first chat model'} at {place}", names)
        model, problem = settings.model or DEFAULT, ""
        if model in CATALOGUE and cached(CATALOGUE[model]) is None:
            problem = (
                f"No model is set, and the weights of the one that needs no key, {model}, are not here. Fetch them "
                f"with `orchestrator model fetch {model}`, or start the server with OPENAI_API_KEY or OPENAI_BASE_URL."
            )
        return cls(f"{model} on {THIS_MACHINE}", names, problem)
