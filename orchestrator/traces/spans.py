"""Spans of a task, out of its history.

A span of OpenTelemetry is sent once, at its end. So each stretch of a task, from its beginning or a resume to a pause
or its end, is a tree of its own in the one trace of the task: run, rounds, attempts at sub-tasks, and their calls. An
attempt that goes on after a pause has a span in each of the trees.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from orchestrator.reports.history.task import AttemptHistory, TaskHistory
from orchestrator.reports.history.uses import Asked, ModelUse, Stretch, ToolUse
from orchestrator.traces import content
from orchestrator.traces.endpoints import endpoint_attributes
from orchestrator.traces.span import TraceSpan


def spans_of(thread_id: str, task: TaskHistory, first: int = 0, *, with_content: bool = False) -> list[TraceSpan]:
    """Return the spans of a task.

    Args:
        thread_id: The thread.
        task: The task.
        first: The number of stretches, from the first one on, that are left out.
        with_content: Add prompts, answers, arguments and results.
    """
    spans = _Spans(thread_id, task, with_content)
    return [span for number in range(first, len(task.stretches)) for span in spans.of_stretch(number)]


def first_unsent(task: TaskHistory) -> int:
    """Return the number of stretches that were sent at their ends, before the newest one."""
    # A killed process could send nothing. Its stretch is sent with the one that follows.
    sent = [n for n, stretch in enumerate(task.stretches[:-1], 1) if stretch.status != "unfinished"]
    return sent[-1] if sent else 0


class _Spans:
    """The spans of one task."""

    def __init__(self, thread_id: str, task: TaskHistory, with_content: bool) -> None:
        self._thread_id = thread_id
        self._task = task
        self._has_content = with_content
        self._names = self._attempt_names()

    def _attempt_names(self) -> list[str]:
        # An attempt that is made again because of another sub-task keeps its number.
        seen: Counter[str] = Counter()
        names = []
        for attempt in self._task.attempts:
            name = f"{attempt.sub_task} {attempt.attempt}"
            seen[name] += 1
            names.append(f"{name} {seen[name]}")
        return names

    def of_stretch(self, number: int) -> Iterator[TraceSpan]:
        """Yield the spans of a stretch, parents first."""
        stretch, run = self._task.stretches[number], f"run {number}"
        yield self._run(run, stretch, number)
        rounds: list[tuple[str, datetime, datetime]] = []
        for index, (round_number, _) in enumerate(self._task.rounds):
            if (times := _within(stretch, *self._round_times(index))) is not None:
                rounds.append((f"{run} round {round_number}", *times))
                yield self._span(
                    rounds[-1][0], f"round {round_number}", times, run, {"orchestrator.round": round_number}
                )
        for use in self._task.supervisor:
            yield from self._model(use, stretch, run)
        for attempt, name in zip(self._task.attempts, self._names, strict=True):
            if attempt.began is None or (times := _within(stretch, attempt.began, attempt.ended)) is None:
                continue
            key = f"{run} attempt {name}"
            above = [round_key for round_key, began, ended in rounds if began <= times[0] <= ended]
            yield self._attempt(attempt, key, times, above[-1] if above else run)
            for use in attempt.models:
                yield from self._model(use, stretch, key)
            repetitions: Counter[str] = Counter()
            for tool_use in attempt.tool_uses:
                repetitions[tool_use.call] += 1
                name_of_call = f"tool {name} {tool_use.call} {repetitions[tool_use.call]}"
                yield from self._tool(tool_use, stretch, name_of_call, key, attempt)
        yield from self._reviews(number)

    def _round_times(self, index: int) -> tuple[datetime, datetime | None]:
        began = self._task.rounds[index][1]
        after = self._task.rounds[index + 1][1] if index + 1 < len(self._task.rounds) else None
        attempts = [each for each in self._task.attempts if each.began and each.began >= began]
        own = [each for each in attempts if after is None or (each.began and each.began < after)]
        ends = [each.ended for each in own]
        return began, after if None in ends or not ends else max(end for end in ends if end is not None)

    def _run(self, key: str, stretch: Stretch, number: int) -> TraceSpan:
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": "invoke_workflow",
            "orchestrator.run.status": stretch.status,
            "orchestrator.task.number": self._task.number,
        }
        if self._has_content:
            attributes["gen_ai.input.messages"] = content.messages([{"role": "user", "text": self._task.task}])
            if self._task.answer and stretch is self._task.stretches[-1]:
                attributes["gen_ai.output.messages"] = content.answer(self._task.answer)
        if number:
            attributes["orchestrator.run.resumed"] = number
        error = (stretch.why or "the run failed") if stretch.status == "failed" else ""
        # A resumed run hangs on the first one, since a trace has one root.
        parent = "run 0" if number else ""
        return self._span(
            key, "invoke_workflow", (stretch.began, stretch.end), parent, attributes, error=error, kind="failed"
        )

    def _attempt(self, attempt: AttemptHistory, key: str, times: tuple[datetime, datetime], parent: str) -> TraceSpan:
        is_over = attempt.ended is not None and attempt.ended <= times[1]
        status = attempt.status if is_over else "unfinished"
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": attempt.agent,
            "orchestrator.sub_task.id": attempt.sub_task,
            "orchestrator.sub_task.attempt": attempt.attempt,
            "orchestrator.sub_task.status": status,
            **endpoint_attributes(self._task.models, attempt.agent, ""),
        }
        if self._has_content:
            attributes["gen_ai.system_instructions"] = content.instructions(attempt.prompt)
            attributes["gen_ai.input.messages"] = content.messages([{"role": "user", "text": attempt.message}])
            if is_over and attempt.text:
                attributes["gen_ai.output.messages"] = content.answer(attempt.text)
        error = (attempt.error or "the sub-task failed") if status == "failed" else ""
        return self._span(key, f"invoke_agent {attempt.agent}", times, parent, attributes, error=error, kind="failed")

    def _model(self, use: ModelUse, stretch: Stretch, parent: str) -> Iterator[TraceSpan]:
        if not stretch.began <= use.began <= stretch.end:
            return
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": use.model,
            "gen_ai.agent.name": use.agent,
            **endpoint_attributes(self._task.models, use.agent, use.model),
        }
        if use.spent.tokens:
            attributes["gen_ai.usage.input_tokens"] = use.spent.input_tokens
            attributes["gen_ai.usage.output_tokens"] = use.spent.output_tokens
        if use.spent.nano_usd:
            attributes["orchestrator.cost_usd"] = use.spent.cost_usd
        if use.cut_off:
            attributes["gen_ai.response.finish_reasons"] = (use.cut_off,)
        if self._has_content:
            if use.prompt:
                attributes["gen_ai.input.messages"] = content.messages(use.prompt)
            if use.text or use.calls:
                attributes["gen_ai.output.messages"] = content.answer(use.text, use.calls, use.cut_off)
        times = (use.began, min(use.ended or stretch.end, stretch.end))
        key, kind = f"model {use.call}", use.error_type or "_OTHER"
        name = f"chat {use.model}".strip()
        yield self._span(key, name, times, parent, attributes, error=use.error, kind=kind, is_request=True)

    def _tool(
        self, use: ToolUse, stretch: Stretch, key: str, parent: str, attempt: AttemptHistory
    ) -> Iterator[TraceSpan]:
        if not stretch.began <= use.began <= stretch.end:
            return
        step, _, call = use.call.partition("-")
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": use.tool,
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.id": call if step.isdigit() and call else use.call,  # the model's own id
            "gen_ai.agent.name": attempt.agent,
        }
        if self._has_content:
            attributes["gen_ai.tool.call.arguments"] = content.plain(use.args)
            if use.answer:
                attributes["gen_ai.tool.call.result"] = content.plain(use.answer)
        times = (use.began, min(use.ended or stretch.end, stretch.end))
        kind = "refused" if use.refused else "tool_error"
        # Words of a tool or a person are content. The kind of the failure is told in any case.
        why = (use.error or use.refused) if self._has_content else (use.error or use.refused) and kind
        yield self._span(key, f"execute_tool {use.tool}", times, parent, attributes, error=why, kind=kind)

    def _reviews(self, number: int) -> Iterator[TraceSpan]:
        """Yield the waits for humans that were over in a stretch, or before it since the last one."""
        before = self._task.stretches[number - 1].end if number else None
        for asked in self._task.reviews:
            answered = asked.answered
            is_own = answered is not None and answered <= self._task.stretches[number].end
            if answered is None or not is_own or (before is not None and answered <= before):
                continue
            attributes = {
                "orchestrator.review.id": str(asked.review.get("id", "")),
                "orchestrator.review.kind": str(asked.review.get("kind", "")),
                "orchestrator.review.decision": str(asked.decision.get("action", "")),
            }
            key, name = f"review {asked.review.get('id', '')}", f"review {asked.review.get('kind', '')}"
            times = (asked.asked, max(asked.asked, answered))
            yield self._span(key, name, times, self._asker(asked), attributes)

    def _asker(self, asked: Asked) -> str:
        """Return the key of the span in which a question was asked."""
        ends = [stretch.end for stretch in self._task.stretches]
        number = next((n for n, end in enumerate(ends) if asked.asked <= end), len(ends) - 1)
        for attempt, name in zip(self._task.attempts, self._names, strict=True):
            if attempt.began is not None and any(each is asked for each in attempt.reviews):
                return f"run {number} attempt {name}"
        return f"run {number}"

    def _span(
        self,
        key: str,
        name: str,
        times: tuple[datetime, datetime],
        parent: str,
        attributes: dict[str, Any],
        *,
        error: str = "",
        kind: str = "",
        is_request: bool = False,
    ) -> TraceSpan:
        told = {"gen_ai.conversation.id": self._thread_id, **attributes, **({"error.type": kind} if error else {})}
        return TraceSpan(self._task.key, key, name, *times, parent, told, error, is_request)


def _within(stretch: Stretch, began: datetime, ended: datetime | None) -> tuple[datetime, datetime] | None:
    """Return the part of a time that lies in a stretch; None without one."""
    begin, end = max(began, stretch.began), min(ended or stretch.end, stretch.end)
    return (begin, end) if begin <= end else None
