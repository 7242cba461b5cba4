"""UsedModels: the models that the agents of a thread asked, kept so that no other one is asked unnoticed.

The record names models and addresses, and never holds a key, a login or a query.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class UsedModel:
    """A model and its place.

    Args:
        name: The model's name; empty where the endpoint's list of models decides, and was not read yet.
        endpoint: Its address without login, `this machine`, or the class of a model that has no address.
    """

    name: str
    endpoint: str

    def plain(self) -> dict[str, str]:
        """Return the JSON-plain form."""
        return {"model": self.name, "endpoint": self.endpoint}

    @classmethod
    def parse(cls, plain: object) -> "UsedModel | None":
        """Read the plain form; None for anything else."""
        if not isinstance(plain, Mapping):
            return None
        name, endpoint = plain.get("model"), plain.get("endpoint")
        return cls(name, endpoint) if isinstance(name, str) and isinstance(endpoint, str) else None

    def is_same(self, other: "UsedModel") -> bool:
        """True if requests to both go to the same place and name no two models."""
        return self.endpoint == other.endpoint and (not self.name or not other.name or self.name == other.name)

    def __str__(self) -> str:
        name = self.name or "the first model"
        if self.endpoint == "this machine":
            return f"{name} on this machine"
        return f"{name} at {self.endpoint.removeprefix('https://').removesuffix('/v1')}"


@dataclass(frozen=True)
class ModelDifference:
    """Agents that would ask another model than before.

    Args:
        agents: Names of the agents; `a fallback` for a model that is asked in place of others.
        former: The model that they asked; None for agents that the thread has not had yet.
        now: The model that they would ask.
    """

    agents: tuple[str, ...]
    former: UsedModel | None
    now: UsedModel


@dataclass(frozen=True)
class UsedModels:
    """The models of a team.

    Args:
        agents: The model of each agent that has one, by the agent's name.
        others: The models that are asked in place of others: fallbacks, and the economy model.
    """

    agents: Mapping[str, UsedModel] = field(default_factory=dict)
    others: tuple[UsedModel, ...] = ()

    def plain(self) -> dict[str, Any]:
        """Return the JSON-plain form; empty if no model is known."""
        if not self.agents and not self.others:
            return {}
        plain: dict[str, Any] = {"agents": {name: model.plain() for name, model in self.agents.items()}}
        if self.others:
            plain["others"] = [model.plain() for model in self.others]
        return plain

    @classmethod
    def parse(cls, plain: object) -> "UsedModels":
        """Read the plain form. Records of 0.1.0 have none, and what has another shape counts as none."""
        if not isinstance(plain, Mapping):
            return cls()
        agents, others = plain.get("agents"), plain.get("others")
        pairs = agents.items() if isinstance(agents, Mapping) else ()
        models = {str(name): model for name, form in pairs if (model := UsedModel.parse(form)) is not None}
        rest = others if isinstance(others, list) else ()
        return cls(models, tuple(model for form in rest if (model := UsedModel.parse(form)) is not None))

    def differences(self, now: "UsedModels") -> list[ModelDifference]:
        """Return the agents that would ask another model now; empty if these models are not known.

        An agent or a fallback that the thread has not had yet may ask any of the thread's models.
        """
        if not self.agents:
            return []
        known = {*self.agents.values(), *self.others}
        roles = [*now.agents.items(), *(("a fallback", model) for model in now.others)]
        changes: dict[tuple[UsedModel | None, UsedModel], list[str]] = {}
        for role, model in roles:
            former = self.agents.get(role)
            if not any(model.is_same(other) for other in ((former,) if former is not None else known)):
                changes.setdefault((former, model), []).append(role)
        return [ModelDifference(tuple(dict.fromkeys(names)), *pair) for pair, names in changes.items()]

    def lines(self) -> Iterator[str]:
        """Yield each model for a person: that of the most agents first, and the others with their agents."""
        by_model: dict[UsedModel, list[str]] = {}
        for name, model in self.agents.items():
            by_model.setdefault(model, []).append(name)
        ranked = sorted(by_model.items(), key=lambda pair: -len(pair[1]))
        for place, (model, names) in enumerate(ranked):
            yield str(model) if place == 0 else f"{model} ({', '.join(names)})"


def told(thread_id: str, differences: Iterable[ModelDifference]) -> str:
    """Return the differences of a thread's models in words."""
    parts: list[str] = []
    for difference in differences:
        who = "" if "supervisor" in difference.agents else f" for {', '.join(difference.agents)}"
        subject = "" if parts else f"thread '{thread_id}' "
        if difference.former is None:
            parts.append(f"{subject}did not use {difference.now} before, and now would{who}")
        else:
            parts.append(f"{subject}ran with {difference.former}{who}; now it would be {difference.now}")
    return "; ".join(parts)
