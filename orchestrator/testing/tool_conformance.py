"""Conformance of tools: checks that a tool is safe in the hands of a model, made on the tool itself."""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, get_args

from langchain_core.messages import ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from orchestrator.tool_calls.declaration import Effect, Risk, Trust, declaration_of, output_limit_of, time_limit_of

_LONGEST_TIME_S = 600.0
_RUBBISH: dict[str, Sequence[Any]] = {
    "string": (None, 12, [], {}),
    "integer": ("many", None, [], 1.5),
    "number": ("many", None, []),
    "boolean": ("perhaps", None, []),
    "array": ("one", 1, None),
    "object": ("one", 1, None),
}
# In Python, "\ud83d\ude00" is no character but two halves of a surrogate pair, which UTF-8 cannot hold.
_HOSTILE_TEXTS = ("", "\0", "../../etc/passwd", "'; DROP TABLE x; --", "{{7*7}}", "\ud83d\ude00" * 50, "x" * 100_000)


@dataclass
class ToolReport:
    """The problems of a tool; prints as a list, and is false if there are any.

    Args:
        tool: The name of the tool.
        checked: The checks that were made.
        problems: The problems, as sentences.
    """

    tool: str
    checked: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return not self.problems

    def __str__(self) -> str:
        lines = [f"{self.tool}: {len(self.checked)} checks, {len(self.problems)} problems"]
        return "\n".join([*lines, *(f"- {problem}" for problem in self.problems)])


def check_tool(
    tool: BaseTool, good: Mapping[str, Any], *, config: RunnableConfig | None = None, harmless: bool = True
) -> ToolReport:
    """Check the conformance of a tool.

    Args:
        tool: The tool.
        good: Arguments of a call that succeeds.
        config: The config of the calls, such as one with a workspace.
        harmless: Call the tool. If false, look at its declaration only.

    Returns:
        The report; false if there are problems.
    """
    report = ToolReport(tool.name)
    _check_declaration(tool, report)
    if harmless:
        _check_good_call(tool, good, config, report)
        _check_bad_arguments(tool, good, config, report)
        _check_hostile_texts(tool, good, config, report)
    return report


def assert_conforms(
    tool: BaseTool, good: Mapping[str, Any], *, config: RunnableConfig | None = None, harmless: bool = True
) -> None:
    """Check the conformance of a tool, and raise if there are problems.

    Args:
        tool: As for `check_tool`.
        good: As for `check_tool`.
        config: As for `check_tool`.
        harmless: As for `check_tool`.

    Raises:
        AssertionError: The tool has problems; the message lists them.
    """
    report = check_tool(tool, good, config=config, harmless=harmless)
    if not report:
        raise AssertionError(str(report))


def _check_declaration(tool: BaseTool, report: ToolReport) -> None:
    def expect(holds: bool, problem: str) -> None:
        report.checked.append(problem)
        if not holds:
            report.problems.append(problem)

    declared = declaration_of(tool)
    expect(re.fullmatch(r"[a-z][a-z0-9_]{1,63}", tool.name) is not None, "its name is not a short word in snake_case")
    expect(len(tool.description.strip()) >= 10, "its description does not say what it is for")
    expect(len(tool.description) <= 2_000, "its description is longer than 2,000 characters")
    of_effect = () if declared.get("risk") == "read" and "effect" not in declared else (("effect", Effect),)
    for name, allowed in (("risk", Risk), *of_effect, ("trust", Trust)):
        expect(declared.get(name) in get_args(allowed), f"it does not declare its {name}: one of {get_args(allowed)}")
    expect(0 < time_limit_of(tool) <= _LONGEST_TIME_S, f"its time limit is not between 0 and {_LONGEST_TIME_S:g} s")
    expect(output_limit_of(tool) > 0, "its output limit is not above 0")
    expect(_is_json(declared), "its metadata is no plain JSON")
    schema = convert_to_openai_tool(tool)["function"]
    for name, about in (schema["parameters"].get("properties") or {}).items():
        expect(bool(about.get("description")), f"its argument '{name}' is not described")


def _check_good_call(tool: BaseTool, good: Mapping[str, Any], config: Any, report: ToolReport) -> None:
    for way in ("sync", "async"):
        report.checked.append(f"a good call, {way}")
        answer = _called(tool, good, config, way, report, "a good call")
        if answer is None:
            continue
        if answer.status == "error" or answer.text.startswith("error"):
            report.problems.append(f"a good call, {way}, is answered with an error: {answer.text[:200]}")
        if not answer.text.strip():
            report.problems.append(f"a good call, {way}, is answered with nothing")
        if len(answer.text) > output_limit_of(tool):
            report.problems.append(f"a good call, {way}, gives {len(answer.text)} characters, over its output limit")


def _check_bad_arguments(tool: BaseTool, good: Mapping[str, Any], config: Any, report: ToolReport) -> None:
    schema = convert_to_openai_tool(tool)["function"]["parameters"]
    cases: list[tuple[str, dict[str, Any]]] = []
    for name in schema.get("required") or ():
        cases.append((f"without '{name}'", {n: v for n, v in good.items() if n != name}))
        kind = str((schema["properties"][name]).get("type", "string"))
        cases += [(f"{name}={bad!r}", {**good, name: bad}) for bad in _RUBBISH.get(kind, ())]
    for case, args in cases:
        report.checked.append(f"bad arguments: {case}")
        answer = _called(tool, args, config, "sync", report, case)
        if answer is not None and case.startswith("without") and not _is_error(answer):
            report.problems.append(f"a call {case} is not refused")


def _check_hostile_texts(tool: BaseTool, good: Mapping[str, Any], config: Any, report: ToolReport) -> None:
    for name, value in good.items():
        if isinstance(value, str):
            for text in _HOSTILE_TEXTS:
                case = f"{name}={text[:20]!r}"
                report.checked.append(f"hostile text: {case}")
                answer = _called(tool, {**good, name: text}, config, "sync", report, case)
                if answer is not None and len(answer.text) > output_limit_of(tool):
                    report.problems.append(f"a call with {case} is answered over the output limit")


def _called(
    tool: BaseTool, args: Mapping[str, Any], config: Any, way: str, report: ToolReport, case: str
) -> ToolMessage | None:
    """Call the tool and return the answer; on an exception, report a problem and return None."""
    request = {"name": tool.name, "args": dict(args), "id": "call_1", "type": "tool_call"}
    try:
        if way == "async":
            # In a notebook a loop runs already, and asyncio starts no second one on its thread.
            with ThreadPoolExecutor(1) as thread:
                answer: Any = thread.submit(lambda: asyncio.run(tool.ainvoke(request, config))).result()
        else:
            answer = tool.invoke(request, config)
    except Exception as error:  # noqa: BLE001 - whatever is raised is the finding
        report.problems.append(f"{case} ({way}) raises {type(error).__name__}: {str(error)[:200]}")
        return None
    if not isinstance(answer, ToolMessage):
        report.problems.append(f"{case} ({way}) gives a {type(answer).__name__}, not a message")
        return None
    return answer


def _is_error(answer: ToolMessage) -> bool:
    return answer.status == "error" or answer.text.lower().startswith("error")


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
