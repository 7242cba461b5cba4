"""Loops: what an agent repeats, found by rule from its messages alone, so that a resumed worker finds the same.

A step is what one message of the model asked of tools, with all answers to it. Honest work is never flagged: the same
call with another answer (something has changed), reading on in a text, or another search that finds nothing.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

Kind = Literal["call", "cycle", "error", "nothing_new"]
_EDGES = re.compile(r"^\W+|\W+$")
_NOISE = re.compile(r"[\W_]+")
_ARGS_CHARS = 80
_LONGEST_CYCLE = 3
_BARREN = 3  # steps in a row that gave nothing which was not there before


@dataclass(frozen=True)
class Repetition:
    """Something that was done again and can bring nothing new.

    Args:
        kind: What was repeated.
        what: One sentence, to be told to the agent.
        at: Index of the model's message.
    """

    kind: Kind
    what: str
    at: int


@dataclass(frozen=True)
class _Step:
    """One step in normal form: its calls, each with its answer."""

    at: int
    calls: tuple[tuple[str, str, str, bool], ...]  # tool, arguments, answer, whether it is an error
    shown: str

    @property
    def pattern(self) -> tuple[tuple[str, str, str], ...]:
        return tuple(sorted(call[:3] for call in self.calls))


def repetitions(messages: Sequence[BaseMessage]) -> list[Repetition]:
    """All repetitions in a conversation, at most one for each step, in the order of the steps.

    The cost grows with the number of messages, not with its square.

    Args:
        messages: The conversation; steps that have no answer yet are left out.
    """
    found: list[Repetition] = []
    past: list[_Step] = []
    calls: dict[tuple[str, str], str] = {}
    answers: set[str] = set()
    barren = 0
    for step in _steps(messages):
        barren = barren + 1 if all(call[2] in answers for call in step.calls) else 0
        repeated = _judge(step, past, calls, barren)
        if repeated is not None:
            found.append(repeated)
        for tool, arguments, answer, _ in step.calls:
            calls[(tool, arguments)] = answer
            answers.add(answer)
        past.append(step)
    return found


def _judge(step: _Step, past: Sequence[_Step], calls: Mapping[tuple[str, str], str], barren: int) -> Repetition | None:
    for period in range(2, _LONGEST_CYCLE + 1):
        if _is_cycle(step, past, period):
            what = f"the last {period} steps are the same as the {period} before them, with the same results."
            return Repetition("cycle", what, step.at)
    if all(calls.get((tool, arguments)) == answer for tool, arguments, answer, _ in step.calls):
        return Repetition("call", f"you called {step.shown} before, and the answer is the same.", step.at)
    if past and (tool := _same_error(step, past[-1])):
        return Repetition("error", f"'{tool}' gives the same error again; calling it like this cannot work.", step.at)
    if barren >= _BARREN:
        return Repetition("nothing_new", f"your last {barren} steps have found nothing new.", step.at)
    return None


def _is_cycle(step: _Step, past: Sequence[_Step], period: int) -> bool:
    """Whether the last steps are the same as those before them; steps that are all alike are no cycle."""
    if len(past) < 2 * period - 1:
        return False
    last = [*past[len(past) - 2 * period + 1 :], step]
    patterns = [one.pattern for one in last]
    return patterns[:period] == patterns[period:] and len(set(patterns)) > 1


def _same_error(step: _Step, before: _Step) -> str:
    """The tool that gave the same error in two steps in a row, whatever it was called with."""
    errors = {(tool, answer) for tool, _, answer, is_error in before.calls if is_error}
    return next((tool for tool, _, answer, is_error in step.calls if is_error and (tool, answer) in errors), "")


def _steps(messages: Sequence[BaseMessage]) -> list[_Step]:
    answers = {m.tool_call_id: m for m in messages if isinstance(m, ToolMessage)}
    steps = []
    for at, message in enumerate(messages):
        if not isinstance(message, AIMessage) or not message.tool_calls:
            continue
        found = [(call, answers.get(call["id"] or "")) for call in message.tool_calls]
        if any(answer is None for _, answer in found):
            continue
        calls = tuple(
            (call["name"], normal_arguments(call["args"]), normal_text(answer.text), answer.status == "error")
            for call, answer in found
            if answer is not None
        )
        steps.append(_Step(at, calls, " and ".join(_shown(call["name"], call["args"]) for call, _ in found)))
    return steps


def _shown(name: str, args: Mapping[str, Any]) -> str:
    text = ", ".join(f"{key}={value!r}" for key, value in args.items())
    return f"{name}({text if len(text) <= _ARGS_CHARS else text[: _ARGS_CHARS - 1] + '…'})"


def normal_arguments(args: Mapping[str, Any]) -> str:
    """Arguments in a form in which near-duplicates are equal: no case, no space, no order, nothing that is empty."""
    return json.dumps(_normal(args), sort_keys=True, ensure_ascii=False)


def _normal(value: Any) -> Any:
    if isinstance(value, Mapping):
        kept = {str(key): _normal(part) for key, part in value.items()}
        return {key: part for key, part in kept.items() if part not in (None, "", [], {})}
    if isinstance(value, list | tuple):
        return [_normal(part) for part in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = " ".join(str(value).casefold().split())
    if re.fullmatch(r"-?\d+\.0+", text):
        return text.partition(".")[0]
    return text if re.fullmatch(r"-?[\d.]+", text) else _EDGES.sub("", text) or text


def normal_text(text: str) -> str:
    """A text without differences in space. Case and punctuation stay: in code, and in figures, they matter."""
    return " ".join(text.split())


def same_text(first: str, second: str) -> bool:
    """Whether two answers are the same; empty ones never are."""
    one = normal_text(first)
    return bool(one) and one == normal_text(second)


def same_words(first: str, second: str) -> bool:
    """Whether two remarks say the same in the same words, whatever their case and punctuation."""
    one, other = (_NOISE.sub(" ", text.casefold()).strip() for text in (first, second))
    return bool(one) and one == other
