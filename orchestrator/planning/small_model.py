"""Planning with a small model: a narrow grammar and worked examples instead of instructions.

The grammar allows sound plans only: an object with the keys t1, t2, … instead of a list, and dependencies that can
name earlier sub-tasks only, so that no cycle can be written. Two worked examples show the pattern: look things up side
by side, then calculate, then check.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from orchestrator import prompts

MOST = 6
LEAST = 2
_EXAMPLES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "Which of the rivers Rhine and Loire is longer, and by how many percent?",
        (
            "Find the length of the Rhine in km.",
            "Find the length of the Loire in km.",
            "From both lengths, calculate by how many percent the longer river is longer.",
            "Check the lengths and the percentage.",
        ),
    ),
    (
        "How much energy does a person use in Chile, Peru and Ecuador (energy consumption divided by population)? "
        "Say which is the most, which is the least, and how many times more.",
        (
            "Find the energy consumption and the population of Chile.",
            "Find the energy consumption and the population of Peru.",
            "Find the energy consumption and the population of Ecuador.",
            "Divide consumption by population for each country, then divide the largest by the smallest.",
            "Check the figures and the calculations.",
        ),
    ),
)
"""Questions with a plan each: the last step checks, the one before it calculates, all others look something up."""


@dataclass(frozen=True)
class SmallModelRequest:
    """A request for a plan: the prompt, the grammar of the answer, and a function that reads the answer as a plan."""

    messages: list[BaseMessage]
    schema: dict[str, Any]
    read: Callable[[Any], Any]


def small_model_request(task: str, agents: Mapping[str, str]) -> SmallModelRequest:
    """Return the request for a plan that a small model can answer.

    Args:
        task: The task, short enough for the window.
        agents: Descriptions of the workers by name.
    """
    team = "\n".join(f"- {name}: {description}" for name, description in agents.items())
    messages: list[BaseMessage] = [SystemMessage(prompts.text("plan_small_model", team=team))]
    for question, steps in _EXAMPLES:
        messages += [HumanMessage(question), AIMessage(_worked(steps, list(agents)))]
    return SmallModelRequest([*messages, HumanMessage(task)], _schema(list(agents)), _read)


def _worked(steps: tuple[str, ...], agents: list[str]) -> str:
    """Return a worked example for this team: the first worker looks things up, the last one checks."""
    first, last = agents[0], agents[-1]
    middle = agents[1] if len(agents) > 2 else first
    ids = [f"t{number}" for number in range(1, len(steps) + 1)]
    *lookups, calculation, check = ids
    needs: dict[str, list[str]] = {**{task_id: [] for task_id in lookups}, calculation: lookups, check: [calculation]}
    chosen = {**dict.fromkeys(lookups, first), calculation: middle, check: last}
    return json.dumps(
        {
            task_id: {"description": text, "agent": chosen[task_id], "depends_on": needs[task_id]}
            for task_id, text in zip(ids, steps, strict=True)
        }
    )


def _schema(agents: list[str]) -> dict[str, Any]:
    ids = [f"t{number}" for number in range(1, MOST + 1)]
    properties: dict[str, Any] = {}
    for at, task_id in enumerate(ids):
        # The first sub-task depends on nothing, and an enum cannot be empty.
        needs: dict[str, Any] = {"type": "array", "maxItems": 0, "items": {"type": "string"}}
        if at:
            needs = {"type": "array", "maxItems": at, "items": {"type": "string", "enum": ids[:at]}}
        properties[task_id] = {
            "type": "object",
            "properties": {
                # Before the agent: a model writes in this order, and chooses better after it has said what to do.
                "description": {"type": "string", "minLength": 15, "maxLength": 160},
                "agent": {"type": "string", "enum": agents},
                "depends_on": needs,
            },
            "required": ["description", "agent", "depends_on"],
            "additionalProperties": False,
        }
    return {
        "title": "Plan",
        "type": "object",
        "properties": properties,
        "required": ids[:LEAST],
        "additionalProperties": False,
    }


def _read(answer: Any) -> Any:
    """Return the ordinary form of a plan. Data of another shape is left for the plan's own checks to refuse."""
    if not isinstance(answer, dict):
        return answer
    return [
        {
            "id": task_id,
            "description": part.get("description", ""),
            "target_agent": part.get("agent", ""),
            "depends_on": tuple(dict.fromkeys(part.get("depends_on", ()))),
        }
        for task_id, part in answer.items()
        if isinstance(part, dict)
    ]
