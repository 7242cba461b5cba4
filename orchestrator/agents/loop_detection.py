"""Loop detection: an agent's repetitions, by rule from its messages alone, so that a resumed worker sees the same.

A step is the tool calls of one message of the model, with all their answers. Steps that are not fully answered yet are
left out. A repetition is a step that can bring nothing new:

- call: the step repeats earlier calls, and each answer equals the last one. Another answer to the same call (something
  has changed) and another position in the same text (reading on) are progress.
- cycle: the last two or three steps repeat the steps before them. Reported once for each time round.
- error: a tool repeats the error of the previous step, the agent calls an unknown tool again, or it calls a tool with
  wrong arguments again before it has called the tool properly.
- nothing_new: several steps in a row have known answers only, although to other calls. Short answers ("ok", "true",
  "4") do not count, since each means something for its own call only. Answers without a hit do count: one of them is a
  result, several in a row are not. After a report, the count begins anew.

Calls are compared by name, arguments and answer, never by their effect. Running the same tests after a change, with the
same failures, is a "call".
"""

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from orchestrator.text import READ_ON, bare_words, normal_text, shorten
from orchestrator.trust import split_data

Kind = Literal["call", "cycle", "error", "nothing_new"]
Fault = Literal["", "failed", "unknown", "arguments"]

_ARGS_CHARS = 80
_STEP_CHARS = 200
_LONGEST_CYCLE = 3
_STALE_STEPS = 2  # in a row, with known texts only
_EMPTY_STEPS = 3  # in a row, if one of them has no hit: a single one is a result
_SHORT_CHARS = 100  # a shorter answer means something for its own call only
_EMPTY_CHARS = 160

_QUOTES = "\"'`\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb"  # straight and curly ones, and guillemets
_ENDS = _QUOTES + "?!.,;: "

_ADDRESS = re.compile(r"\b0x[0-9a-f]+\b", re.IGNORECASE)
_OWN_KEY = re.compile(rf'(\[… [^\[]*{re.escape(READ_ON)})"[^"]*"')
_NOTHING = re.compile(
    r"\W*((no|zero|0) (?!output)\w+|(none|nothing|null|empty|not found)\b|.{0,60}\b(not found|found nothing)\b)|\W+$"
)
_UNKNOWN_TOOL = " is not a valid tool, try one of"  # this and the next in the words of LangGraph's tool node
_BAD_ARGUMENTS = "Error invoking tool "


@dataclass(frozen=True)
class Repetition:
    """A step that can bring nothing new.

    Args:
        kind: The rule that the step broke.
        what: One sentence, for the agent.
        at: Index of the model's message.
    """

    kind: Kind
    what: str
    at: int


@dataclass(frozen=True)
class _Call:
    """One call in normal form, with its answer."""

    tool: str
    arguments: str
    answer: str
    shown: str
    fault: Fault = ""

    @property
    def identity(self) -> tuple[str, str]:
        return self.tool, self.arguments

    @property
    def error(self) -> tuple[str, str]:
        """Equal for equal errors of a tool, whatever the addresses of objects in their texts."""
        return self.tool, bare_words(_ADDRESS.sub("", self.answer))

    @property
    def has_no_hit(self) -> bool:
        return len(self.answer) <= _EMPTY_CHARS and _NOTHING.match(self.answer.casefold()) is not None

    @property
    def says_little(self) -> bool:
        return len(self.answer) <= _SHORT_CHARS and not self.has_no_hit


@dataclass(frozen=True)
class _Step:
    at: int
    calls: tuple[_Call, ...]

    @property
    def pattern(self) -> tuple[tuple[str, str, str], ...]:
        """The multiset of calls and answers: equal for equal steps, whatever the order of their calls."""
        return tuple(sorted((*call.identity, call.answer) for call in self.calls))

    @property
    def shown(self) -> str:
        return shorten(" and ".join(call.shown for call in self.calls), _STEP_CHARS)


@dataclass
class _Past:
    """The facts of earlier steps by which the next one is judged. Nothing in it depends on later steps."""

    steps: list[_Step] = field(default_factory=list)
    answers: dict[tuple[str, str], str] = field(default_factory=dict)  # the newest, by call
    times: defaultdict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))  # with that answer
    seen: set[str] = field(default_factory=set)
    not_there: set[str] = field(default_factory=set)  # unknown tools that the agent called
    misused: set[str] = field(default_factory=set)  # tools whose last call had wrong arguments
    stale: int = 0  # steps in a row without anything new since the last report
    period: int = 0  # of the cycle that was reported last
    round_ends: int = 0  # number of the step at which that cycle closes again
    error_reported: int = -1  # number of the step that was reported to repeat an error

    def judge(self, step: _Step) -> Repetition | None:
        """Return the repetition that the next step is, or None."""
        number = len(self.steps)
        if number < self.round_ends and step.pattern == self.steps[number - self.period].pattern:
            return None  # inside a cycle that was reported when it closed
        return self._cycle(step) or self._same_calls(step) or self._same_error(step) or self._nothing_new(step)

    def add(self, step: _Step, judged: Repetition | None) -> None:
        """Add a step that was judged."""
        self.stale = 0 if judged is not None or not self._is_stale(step) else self.stale + 1
        for call in step.calls:
            same = self.answers.get(call.identity) == call.answer
            self.times[call.identity] = self.times[call.identity] + 1 if same else 1
            self.answers[call.identity] = call.answer
            self.seen.add(call.answer)
            if call.fault == "unknown":
                self.not_there.add(call.tool)
            elif call.fault == "arguments":
                self.misused.add(call.tool)
            else:
                self.misused.discard(call.tool)
        self.steps.append(step)

    def _cycle(self, step: _Step) -> Repetition | None:
        for period in range(2, _LONGEST_CYCLE + 1):
            if len(self.steps) + 1 < 2 * period:
                break
            last = [*self.steps[len(self.steps) - 2 * period + 1 :], step]
            patterns = [one.pattern for one in last]
            if patterns[:period] == patterns[period:] and len(set(patterns)) > 1:
                self.period, self.round_ends = period, len(self.steps) + period
                named = ", then ".join(one.shown for one in last[:period])
                what = f"the last {period} steps are the {period} before them again ({named}), with the same results."
                return Repetition("cycle", what, step.at)
        return None

    def _same_calls(self, step: _Step) -> Repetition | None:
        if any(self.answers.get(call.identity) != call.answer for call in step.calls):
            return None
        times = 1 + min(self.times[call.identity] for call in step.calls)
        what = f"you called {step.shown} {times} times, and the answer is the same; it will be the same again."
        return Repetition("call", what, step.at)

    def _same_error(self, step: _Step) -> Repetition | None:
        for call in step.calls:
            if call.fault == "unknown" and call.tool in self.not_there:
                what = f"you called '{call.tool}' again, and there is no such tool."
                return Repetition("error", what, step.at)
            if call.fault == "arguments" and call.tool in self.misused:
                what = f"you called {call.shown}, again with arguments that '{call.tool}' does not take."
                return Repetition("error", what, step.at)
        # The same error with other arguments is another try, such as the next of several dead links. So after a report
        # the next error is left alone.
        if not self.steps or self.error_reported == len(self.steps) - 1:
            return None
        before = {call.error for call in self.steps[-1].calls if call.fault}
        # A step that also brought something is progress, whatever else went wrong in it.
        if not all(call.fault and call.error in before for call in step.calls):
            return None
        self.error_reported = len(self.steps)
        what = f"you called {step.shown}, and the error is the same as before; it will be the same again."
        return Repetition("error", what, step.at)

    def _nothing_new(self, step: _Step) -> Repetition | None:
        stale = self.stale + 1
        enough = _EMPTY_STEPS if any(call.has_no_hit for call in step.calls) else _STALE_STEPS
        if not self._is_stale(step) or stale < enough:
            return None
        what = f"your last {stale} steps, up to {step.shown}, have found nothing that was not there before."
        return Repetition("nothing_new", what, step.at)

    def _is_stale(self, step: _Step) -> bool:
        return all(call.answer in self.seen and not call.says_little for call in step.calls)


def repetitions(messages: Sequence[BaseMessage]) -> list[Repetition]:
    """Return all repetitions in a conversation, at most one for each step, in the order of the steps.

    Repetitions at the beginning of a conversation stay as it goes on. The cost grows with the number of messages and
    the length of their texts, not with the square of either.

    Args:
        messages: The conversation; steps that are not fully answered yet are left out.
    """
    repeated: list[Repetition] = []
    past = _Past()
    for step in _steps(messages):
        judged = past.judge(step)
        if judged is not None:
            repeated.append(judged)
        past.add(step, judged)
    return repeated


def _steps(messages: Sequence[BaseMessage]) -> list[_Step]:
    steps = []
    indexes = [at for at, message in enumerate(messages) if isinstance(message, AIMessage)]
    for at, end in pairwise([*indexes, len(messages)]):
        message = messages[at]
        if not isinstance(message, AIMessage) or not message.tool_calls:
            continue
        # Only answers behind the message itself count: some models give every call the same id.
        answers: defaultdict[str, list[ToolMessage]] = defaultdict(list)
        for answer in messages[at + 1 : end]:
            if isinstance(answer, ToolMessage):
                answers[answer.tool_call_id].append(answer)
        calls = []
        for call in message.tool_calls:
            waiting = answers[call["id"] or ""]
            if waiting:
                calls.append(_call(call["name"], call["args"], waiting.pop(0)))
        if len(calls) == len(message.tool_calls):
            steps.append(_Step(at, tuple(calls)))
    return steps


def _call(tool: str, args: Mapping[str, Any], answer: ToolMessage) -> _Call:
    plain = isinstance(answer.content, str) or all(
        isinstance(block, str) or block.get("type") == "text" for block in answer.content
    )
    # Pictures can differ though their captions do not.
    text = normal_text(_bare(answer.text if plain else repr(answer.content)))
    shown = f"{tool}({shorten(', '.join(f'{key}={value!r}' for key, value in args.items()), _ARGS_CHARS)})"
    return _Call(tool, normal_arguments(args), text, shown, _fault(answer.status, text))


def _fault(status: str, text: str) -> Fault:
    if status != "error":  # a tool may also report its failure in words
        return "failed" if text.casefold().startswith("error:") else ""
    if _UNKNOWN_TOOL in text:
        return "unknown"
    return "arguments" if text.startswith(_BAD_ARGUMENTS) else "failed"


def _bare(text: str) -> str:
    """Return a tool's own text, without the engine's marks of data and without the call's own key to read on."""
    _, body, foot, tail = split_data(text.lstrip())
    return _OWN_KEY.sub(r"\1", f"{body}\n{tail}" if foot else text)


def normal_arguments(args: Mapping[str, Any]) -> str:
    """Return arguments without case, extra space, order and empty values, so that near-duplicates are equal."""
    return json.dumps(_normal(args), sort_keys=True, ensure_ascii=False)


def _normal(value: Any) -> Any:
    if isinstance(value, Mapping):
        kept = {str(key): _normal(part) for key, part in value.items()}
        return {key: part for key, part in kept.items() if part not in (None, "", [], {})}
    if isinstance(value, list | tuple):
        return [_normal(part) for part in value]
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = " ".join(str(value).casefold().split())
    if re.fullmatch(r"-?\d+\.0+", text):
        return text.partition(".")[0]
    # Strip quotes around a text and the end of a sentence, but no other signs: "C++" is not "C", and ">5" is not "5".
    return text.lstrip(_QUOTES + " ").rstrip(_ENDS) or text
