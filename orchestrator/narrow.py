"""Planning with a small model.

A model of one or two billion parameters loses its way in a list of free objects: ids that do not exist, cycles,
sub-tasks that do everything at once. What works is a grammar that leaves it only sound plans to write: an object with
the keys `t1`, `t2`, … instead of a list; in each the description first, since the agent follows from it; and
`depends_on` limited to the earlier ids, so that no cycle can be said. Two worked examples show the grain.
"""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from orchestrator.models import is_small

Schema = dict[str, Any]
MOST = 6
"""Most sub-tasks in a small model's plan: each one costs about a tenth of its window to plan and to sum up."""
LEAST = 2
_DESCRIPTION: Schema = {"type": "string", "minLength": 15, "maxLength": 200}
_RULES = (
    "You split a task into sub-tasks for a team of agents:\n{team}\n"
    "Each sub-task finds or makes one thing; its description says all that its agent has to know, with names and "
    "numbers. A figure that is made from other figures takes two steps: first find those, then calculate. "
    "A sub-task lists in depends_on whose results it uses. Answer with JSON."
)


@dataclass(frozen=True)
class NarrowPlan:
    """How a small model is asked for a plan: its own prompt and grammar, and the way back to a plan."""

    messages: list[BaseMessage]
    schema: Schema
    read: Callable[[Any], Any]


def narrow_plan(
    model: BaseChatModel, task: str, agents: Mapping[str, str], reviewers: Collection[str] = ("reviewer",)
) -> NarrowPlan | None:
    """The narrow way to ask this model; None for a model that needs none.

    Args:
        model: The model that plans.
        task: What the user wants.
        agents: The team: names, and what each is good for.
        reviewers: Names of the agents that judge others' work, so that they always depend on some.
    """
    if not is_small(model):
        return None
    team = "\n".join(f"- {name}: {about}" for name, about in agents.items())
    messages: list[BaseMessage] = [SystemMessage(_RULES.format(team=team))]
    for asked, plan in _examples(agents):
        messages += [HumanMessage(asked), AIMessage(json.dumps(plan))]
    schema = narrow_schema(list(agents), [name for name in agents if name in reviewers])
    return NarrowPlan([*messages, HumanMessage(task)], schema, read_plan)


def narrow_schema(agents: Collection[str], reviewers: Collection[str] = ()) -> Schema:
    """The grammar of a plan: `t1` to `t6`, each built on earlier ones only.

    Args:
        agents: Names of the team.
        reviewers: Those among them that must depend on something; they cannot come first.
    """
    workers = [name for name in agents if name not in reviewers] or list(agents)
    properties: dict[str, Schema] = {}
    for number in range(1, MOST + 1):
        earlier = [f"t{before}" for before in range(1, number)]
        shapes = [_shape(workers, earlier, least=0)]
        if earlier and reviewers:
            shapes.append(_shape(list(reviewers), earlier, least=1))
        properties[f"t{number}"] = {"anyOf": shapes} if len(shapes) > 1 else shapes[0]
    return {
        "title": "Plan",
        "type": "object",
        "properties": properties,
        "required": [f"t{number}" for number in range(1, LEAST + 1)],
        "additionalProperties": False,
    }


def _shape(agents: list[str], earlier: list[str], least: int) -> Schema:
    needs: Schema = {"type": "array", "items": {"enum": earlier}} if earlier else {"type": "array", "items": {}}
    properties: dict[str, Schema] = {
        "description": _DESCRIPTION,
        "target_agent": {"enum": agents},
        "depends_on": {**needs, "minItems": least, "maxItems": len(earlier)},
    }
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def read_plan(answer: Any) -> Any:
    """Turns the keyed object into a list of sub-tasks; anything else is handed on for `Plan.parse` to refuse."""
    if not isinstance(answer, Mapping) or not all(isinstance(row, Mapping) for row in answer.values()):
        return answer
    return [
        {"id": task_id, **row, "depends_on": list(dict.fromkeys(row.get("depends_on", [])))}
        for task_id, row in answer.items()
    ]


def _step(description: str, agent: str, *needs: str) -> dict[str, Any]:
    return {"description": description, "target_agent": agent, "depends_on": list(needs)}


def _examples(agents: Mapping[str, str]) -> list[tuple[str, dict[str, Any]]]:
    """Worked examples in the names of this team; agents that it has not are left out of them."""
    found = [
        (
            "Compare the income per person of Chile and Peru by the reports. How many times higher is the higher one?",
            {
                "t1": _step("Find the total income and the population of Chile", "researcher"),
                "t2": _step("Find the total income and the population of Peru", "researcher"),
                "t3": _step(
                    "Calculate the income per person (total income / population) of Chile and of Peru, and how many "
                    "times higher the higher one is",
                    "coder", "t1", "t2",
                ),
                "t4": _step(
                    "Check that the incomes per person and their ratio follow from the figures found",
                    "reviewer", "t1", "t2", "t3",
                ),
            },
        ),
        (
            "Describe the company's two products and who buys them.",
            {
                "t1": _step("Find what the company's two products are and what each is for", "researcher"),
                "t2": _step("Find who buys the company's products", "researcher"),
                "t3": _step("Check that both products and their buyers are named", "reviewer", "t1", "t2"),
            },
        ),
    ]
    if not {"researcher", "coder"} <= agents.keys():
        first, last = next(iter(agents)), list(agents)[-1]
        return [
            (
                "Collect two opinions on the plan and weigh them.",
                {
                    "t1": _step("Give the opinion that speaks for the plan, with its reasons", first),
                    "t2": _step("Give the opinion that speaks against the plan, with its reasons", first),
                    "t3": _step("Weigh the two opinions against each other", last, "t1", "t2"),
                },
            )
        ]
    return [
        (asked, {key: row for key, row in plan.items() if row["target_agent"] in agents}) for asked, plan in found
    ]
