"""The subject of a review on the console: the plan, the tool call, the result or the limits that it asks about.

A plan has two lines for each sub-task, and what does not fit is folded, so that the question stays in sight.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.text import Text

from orchestrator.cli.asking.plan_changes import ADDED, CHANGED, REMOVED, SAME, plan_before, plan_changes
from orchestrator.control_characters import visible
from orchestrator.planning.plan import Plan
from orchestrator.planning.sub_task import SubTask
from orchestrator.reviews.answering.limits import is_budget
from orchestrator.reviews.review import Review
from orchestrator.text import normal_text

_INDENT = 4
_ARGUMENT_LINES, _ARGUMENT_CHARS = 8, 400
_CHANGES = {ADDED: "added", CHANGED: "changed", REMOVED: "removed", SAME: "as before"}
# Yellow cannot be read on a light terminal.
_COLOURS = {ADDED: "green", CHANGED: "magenta", REMOVED: "red"}
_LIMITS = {
    "tokens": "tokens",
    "cost_usd": "dollars",
    "model_calls": "model calls",
    "tool_calls": "tool calls",
    "wall_clock_s": "seconds",
}


@dataclass
class _Parts:
    """A subject as parts, any of which can be folded.

    Args:
        noun: The word for one part.
        parts: The parts.
        is_shortened: True if a part shows less than there is.
    """

    noun: str
    parts: list[RenderableType] = field(default_factory=list)
    is_shortened: bool = False


def print_subject(review: Review, console: Console, *, rows: int | None = None, is_whole: bool = True) -> bool:
    """Print the plan, the result, the tool call or the problems that a review asks about.

    Args:
        review: The review.
        console: The console.
        rows: Most lines to print; None for no bound.
        is_whole: Show descriptions and arguments in full length.

    Returns:
        True if anything was shortened or folded.
    """
    subject = _subject(review, console, is_whole=is_whole)
    shown, left = _fitting(subject.parts, console, rows)
    for part in shown:
        console.print(part, soft_wrap=not console.is_terminal)
    if left:
        console.print(f"… {left} more {subject.noun}{'s' if left > 1 else ''}, ? shows all", style="dim")
    return bool(left) or subject.is_shortened


def _fitting(
    parts: Sequence[RenderableType], console: Console, rows: int | None
) -> tuple[Sequence[RenderableType], int]:
    """Return the first parts that fit into a number of lines, and the number of those that are left out."""
    if rows is None:
        return parts, 0
    heights = [len(console.render_lines(part, pad=False)) for part in parts]
    if sum(heights) <= rows:
        return parts, 0
    count, used = 0, 1  # the line that tells of the rest
    while count < len(parts) and used + heights[count] <= rows:
        used += heights[count]
        count += 1
    count = max(1, count)  # a person decides about nothing unseen
    return parts[:count], len(parts) - count


def _subject(review: Review, console: Console, *, is_whole: bool) -> _Parts:
    subject = review.subject
    if review.kind == "plan":
        # `?` and a pipe get the whole plan below its changes.
        before = plan_before(subject)
        changes = [] if before is None else list(_changed(before, Plan.parse(subject["plan"]), console))
        if before is not None and not is_whole:
            return _Parts("change", changes, is_shortened=True)
        plan = _plan(review, console, is_whole=is_whole)
        plan.parts[:0] = changes
        return plan
    if review.kind == "tool":
        return _arguments(subject, console, is_whole=is_whole)
    if review.kind == "question":
        asked = [] if subject["asked"] == review.question else [_value(subject["asked"])]
        lines = [indented(f"asked by the tool {subject['tool']}", console, 2)]
        return _Parts("line", [*lines, *(indented(each, console, _INDENT) for each in asked)])
    if review.kind == "result":
        return _Parts("line", [Text(visible(line)) for line in subject["result"].splitlines()])
    problems: list[RenderableType] = [indented(f"- {line}", console, 2) for line in subject.get("problems", ())]
    return _Parts("line", problems + (list(_limits(subject)) if is_budget(review) else []))


def _plan(review: Review, console: Console, *, is_whole: bool) -> _Parts:
    width = console.width
    tokens = review.subject.get("forecast", {}).get("tokens") or {}
    found = _Parts("sub-task")
    for sub_task in Plan.parse(review.subject["plan"]).sub_tasks:
        # A sub-task that the forecast leaves out has its result already.
        heading = _heading(sub_task, tokens.get(sub_task.id, (0, 0)) if tokens else None)
        # Made visible before it is cut: a sign is wider than the character that it stands for.
        description = Text(visible(sub_task.description if is_whole else normal_text(sub_task.description)))
        if not is_whole:
            found.is_shortened |= description.cell_len > width - _INDENT or heading.cell_len > width
            heading.truncate(width, overflow="ellipsis")
            description.truncate(width - _INDENT, overflow="ellipsis")
        found.parts.append(Group(heading, indented(description, console, _INDENT)))
    return found


def _changed(before: Plan, after: Plan, console: Console) -> Iterator[RenderableType]:
    """Yield the changes of a plan, two lines each at most, and first their numbers."""
    changes = list(plan_changes(before, after))
    counts = Counter(sign for sign, _, _ in changes)
    told = [f"{counts[sign]} {word}" for sign, word in _CHANGES.items() if counts[sign]]
    yield Text(f"beside the plan before: {', '.join(told)}", "dim")
    for sign, sub_task, text in changes:
        if sign == SAME:
            continue
        # The sign tells it too where there are no colours.
        heading = Text.assemble(
            (f"{sign} {sub_task.id}", f"bold {_COLOURS[sign]}"), f"  {visible(sub_task.target_agent)}"
        )
        if sign == ADDED and sub_task.requires_approval:
            heading.append("  needs your approval", "bold")
        if sign == ADDED and sub_task.depends_on:
            heading.append(f"  after {', '.join(map(visible, sub_task.depends_on))}")
        if console.is_terminal:
            heading.truncate(console.width, overflow="ellipsis")
            text.truncate(console.width - _INDENT, overflow="ellipsis")
        yield heading if sign == REMOVED else Group(heading, indented(text, console, _INDENT))


def _heading(sub_task: SubTask, tokens: Sequence[int] | None) -> Text:
    """Return the first line of a sub-task. Its dependencies come last, since any number of them may be cut."""
    heading = Text.assemble((sub_task.id, "bold"), f"  {visible(sub_task.target_agent)}")
    if sub_task.requires_approval:
        heading.append("  needs your approval", "bold")
    if tokens is not None:
        low, high = tokens
        heading.append(f"  {low:,} to {high:,} tokens" if high else "  done")
    if sub_task.depends_on:
        heading.append(f"  after {', '.join(map(visible, sub_task.depends_on))}")
    return heading


def _arguments(subject: dict[str, Any], console: Console, *, is_whole: bool) -> _Parts:
    tool, args = subject["tool"], subject["args"]
    found = _Parts("argument", [Text.assemble("  tool: ", (visible(tool), "bold"))])
    for name, value in args.items():
        label = name if name.isidentifier() else json.dumps(name, ensure_ascii=False)
        text = _value(value)
        short = text if is_whole else _shortened(text)
        found.is_shortened |= short != text
        if "\n" in short:
            found.parts.append(Group(Text(f"  {label}:"), indented(short, console, _INDENT)))
        else:
            found.parts.append(indented(f"{label}: {short}", console, 2))
    if not args:
        found.parts.append(Text("  no arguments"))
    return found


def _value(value: object) -> str:
    """Return a value as pretty JSON; a text of several lines as these lines."""
    if isinstance(value, str) and "\n" in value:
        return value
    line = json.dumps(value, ensure_ascii=False)
    # One list of small things is read on one line; an object inside an object is not.
    is_flat = isinstance(value, list) and not any(isinstance(part, dict | list) for part in value)
    return line if is_flat and len(line) <= _ARGUMENT_CHARS // 8 else json.dumps(value, indent=2, ensure_ascii=False)


def _shortened(text: str) -> str:
    short = "\n".join(text.split("\n")[:_ARGUMENT_LINES])[:_ARGUMENT_CHARS]
    left = len(text) - len(short)
    return f"{short}\n… {left:,} characters more, ? shows all" if left else text


def indented(text: str | Text, console: Console, columns: int) -> Text:
    """Return a text whose lines are indented and fit the console; for a pipe, lines stay whole.

    Args:
        text: The text.
        console: The console.
        columns: The number of spaces.
    """
    # Made visible first, since signs are wider than what they stand for. rich's Padding would end lines in spaces.
    plain = Text(visible(text)) if isinstance(text, str) else text
    lines = plain.wrap(console, max(1, console.width - columns)) if console.is_terminal else plain.split("\n")
    for line in lines:
        line.rstrip()
    return Text("\n").join(Text(" " * columns) + line if line.plain else line for line in lines)


def _limits(subject: dict[str, Any]) -> Iterator[Text]:
    """Return a line for each limit, and for tokens and dollars also without one."""
    budget, spent = subject["budget"], subject["spent"]
    for name, words in _LIMITS.items():
        limit, used = budget.get(name), spent.get(name, 0)
        if limit is not None:
            yield Text(f"  {words:<12} {used:,} of {limit:,}")
        elif used and name in ("tokens", "cost_usd"):
            yield Text(f"  {words:<12} {used:,}, no limit")
