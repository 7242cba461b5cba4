"""Linking: anchors for what a report tells, and links from what rests on it."""

from typing import Any

from orchestrator.trust import label


def linked(plain: dict[str, Any]) -> dict[str, Any]:
    """Add anchors and links to the contents of a report, in place, and return them.

    A sub-task, an attempt and a tool call get an `anchor`. A sub-task and a reference get under `origin` what they
    rest on, and a sub-task under `needs` and `used_by` its neighbours: each a name with the anchor that it is found at.

    Args:
        plain: The contents.
    """
    for task in plain["tasks"]:
        task["anchor"] = f"task-{task['number']}"
        for kind, sub_tasks in (("s", task["sub_tasks"]), ("e", task["earlier"])):
            for place, sub_task in enumerate(sub_tasks, 1):
                _add_anchors(sub_task, f"{kind}{task['number']}-{place}")
    whole = {(task["number"], sub_task["id"]): sub_task for task in plain["tasks"] for sub_task in task["sub_tasks"]}
    for task in plain["tasks"]:
        _link_task(task, whole)
    return plain


# Anchors are made of numbers: ids of other programs may hold any characters, and an id in HTML must be there once.
def _add_anchors(sub_task: dict[str, Any], anchor: str) -> None:
    sub_task["anchor"] = anchor
    for number, attempt in enumerate(sub_task["attempts"], 1):
        attempt["anchor"] = f"{anchor}-a{number}"
        attempt["counts"] = bool(sub_task["key"]) and attempt["outcome"].get("key") == sub_task["key"].split(".")[-1]
        for place, use in enumerate(attempt["tool_uses"], 1):
            use["anchor"] = f"{attempt['anchor']}-c{place}"


def _link_task(task: dict[str, Any], whole: dict[tuple[int, str], dict[str, Any]]) -> None:
    # What is in the report anyway is not told twice.
    task["earlier"] = [each for each in task["earlier"] if _earlier(each["id"]) not in whole]
    by_id = {each["id"]: each for each in [*task["sub_tasks"], *task["earlier"]]}
    # The labels of what came from outside are made from the call, and so lead back to it.
    calls = {
        label(attempt["sub_task"], use["tool"], use["args"]): use["anchor"]
        for sub_task in by_id.values()
        for attempt in sub_task["attempts"]
        for use in attempt["tool_uses"]
    }
    for sub_task in by_id.values():
        sub_task["used_by"] = []
    for sub_task in by_id.values():
        needed = [by_id.get(name) for name in sub_task["depends_on"]]
        sub_task["needs"] = [
            {"name": name, "anchor": found["anchor"] if found else ""}
            for name, found in zip(sub_task["depends_on"], needed, strict=True)
        ]
        for found in filter(None, needed):
            found["used_by"].append({"name": sub_task["id"], "anchor": sub_task["anchor"]})
        _link_origin(sub_task, sub_task, calls)
    for reference in task["references"]:
        name = reference["sub_task_id"]
        found = by_id.get(name) or whole.get(_earlier(name))
        reference["anchor"] = found["anchor"] if found else ""
        _link_origin(reference, found, calls)


def _link_origin(part: dict[str, Any], sub_task: dict[str, Any] | None, calls: dict[str, str]) -> None:
    """Link the tools that a result was made with to their calls, and what taints it to the calls that brought it."""
    attempts = sub_task["attempts"] if sub_task else []
    # Of attempts that were sent back, no call has led to the result that counts.
    uses = [use for each in attempts if each["counts"] for use in each["tool_uses"] if not use["refused"]]
    part["origin"] = [
        {"name": name, "anchors": [use["anchor"] for use in uses if use["tool"] == name]} for name in part["sources"]
    ]
    part["outside"] = [{"name": name, "anchor": calls.get(name, "")} for name in part["tainted_by"]]


def _earlier(name: str) -> tuple[int, str]:
    """Return the task and the sub-task in a name such as `1.t1`."""
    number, dot, rest = name.partition(".")
    return (int(number), rest) if dot and number.isdecimal() else (0, name)
