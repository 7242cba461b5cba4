"""SubTaskPrinter: prints what happened with a sub-task, attempt by attempt."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.text import Text

from orchestrator.budget.spend import Spend
from orchestrator.cli.console import out
from orchestrator.cli.echo import echo
from orchestrator.planning.status_colours import TERMINAL_STYLES
from orchestrator.reports.history.objections import objections_to
from orchestrator.reports.history.task import AttemptHistory, TaskHistory
from orchestrator.reports.history.uses import Asked, ModelUse, ToolUse
from orchestrator.reports.wording import WAIT_WORDS, amount_text, called, clock_text, seconds_text

_MOST_LINES = 24
_MOST_CHARS = 1600


class SubTaskPrinter:
    """Prints one sub-task.

    Args:
        task: The task that it belongs to.
        spec: The sub-task in the plan, JSON-plain.
        whole: The command that shortens nothing.
        full: Shorten nothing.
        is_running: True if a process runs the thread now.
    """

    def __init__(self, task: TaskHistory, spec: dict[str, Any], whole: str, *, full: bool, is_running: bool) -> None:
        self._task = task
        self._spec = spec
        self._whole = whole
        self._full = full
        self._is_running = is_running
        self._has_shortened = False

    def print(self, attempts: Sequence[AttemptHistory], place: tuple[int, int]) -> None:
        """Print the attempts.

        Args:
            attempts: The attempts, in order.
            place: The number of the sub-task in the plan and their count; 0 for one of an earlier plan.
        """
        spec, (number, count) = self._spec, place
        where = f"sub-task {number} of {count}" if number else "a sub-task of an earlier plan"
        status = self._status(attempts[-1]) if attempts else "pending"
        head = (status, TERMINAL_STYLES.get(status, ""))  # type: ignore[call-overload] # "interrupted" has no colour
        out.print(Text.assemble((str(spec["id"]), "bold"), f", {where}: ", head), soft_wrap=True)
        description = spec.get("description") or next((each.description for each in attempts), "")
        self._text(str(description), "  ")
        agent = spec.get("target_agent") or next((each.agent for each in attempts if each.agent), "")
        facts = [f"agent {agent}"]
        if spec.get("depends_on"):
            facts.append(f"needs {', '.join(spec['depends_on'])}")
        if spec.get("requires_approval"):
            facts.append("a human approves its result")
        tools = sum(len(each.tool_uses) for each in attempts)
        total = sum((each.spent for each in attempts), Spend())
        echo(f"  {' · '.join(facts)}")
        echo(f"  cost {amount_text(total)} in {total.model_calls} model calls, {tools} tool calls")
        for attempt in attempts:
            self._attempt(attempt)
        if not attempts:
            echo("\nit has not begun")
        if self._has_shortened:
            echo(f"\ntexts are shortened; whole: {self._whole}")

    def _status(self, attempt: AttemptHistory) -> str:
        return attempt.status if attempt.ended is not None or self._is_running else "interrupted"

    def _attempt(self, attempt: AttemptHistory) -> None:
        facts = [self._status(attempt)]
        if attempt.began is not None:
            end = attempt.ended
            facts.append(f"{clock_text(attempt.began)} to {clock_text(end)}" if end else clock_text(attempt.began))
        if seconds := attempt.outcome.get("seconds"):
            facts.append(f"{seconds_text(float(seconds))} of work")
        facts.append(amount_text(attempt.spent))
        if attempt.is_retracted:
            facts.append("its result does not count any more")
        echo("")
        out.print(Text.assemble((f"attempt {attempt.attempt}", "bold"), f" · {' · '.join(facts)}"), soft_wrap=True)
        self._waits(attempt)
        # The same for all sub-tasks of a worker, and long.
        if self._full:
            self._section("prompt", attempt.prompt)
        self._section("told", attempt.message)
        self._tools(attempt.tool_uses)
        self._models(attempt.models)
        for asked in attempt.reviews:
            self._review(asked)
        self._end(attempt)

    def _waits(self, attempt: AttemptHistory) -> None:
        for wait in attempt.waits:
            lasted = (wait.ended or attempt.ended or datetime.now(UTC)) - wait.began
            # The moment in which a sub-task looks at results that are there already is no wait.
            if lasted.total_seconds() < 0.05 and wait.ended:
                continue
            of = WAIT_WORDS.get(wait.reason, "")
            names = ", ".join(wait.names)
            subject = f"{of} ({names})" if of and names else of or names or wait.reason
            verb = "waited" if wait.ended else "waits"
            echo(f"  {verb} {seconds_text(lasted.total_seconds())} for {subject}")

    def _tools(self, uses: Sequence[ToolUse]) -> None:
        if uses:
            echo(f"  tool calls ({len(uses)})")
        for use in uses:
            lasted = f"  {seconds_text((use.ended - use.began).total_seconds())}" if use.ended else "  not answered"
            self._text(called(use.tool, use.args) + ("  refused" if use.refused else lasted), "    ")
            answer = use.answer or (f"error: {use.error}" if use.error else "") or use.refused
            if answer:
                self._text(answer, "      → ")
            if use.tainted_by:
                echo(f"        from outside: {', '.join(use.tainted_by)}")

    def _models(self, uses: Sequence[ModelUse]) -> None:
        if uses:
            echo(f"  requests to models ({len(uses)})")
        for number, use in enumerate(uses, 1):
            parts = [use.model]
            if use.ended:
                spent = use.spent
                parts.append(seconds_text((use.ended - use.began).total_seconds()))
                parts.append(f"{spent.input_tokens:,} tokens in, {spent.output_tokens:,} out")
                parts += [f"${spent.cost_usd:.4f}"] if spent.nano_usd else []
            else:
                parts.append("not answered")
            parts += [f"calls {call.get('name', '')}" for call in use.calls]
            parts += [f"cut off: {use.cut_off}"] if use.cut_off else []
            echo(f"    {number}. {' · '.join(parts)}")
            if use.error:
                self._text(f"failed: {use.error}", "       ")
            # The last of them is the result, which follows anyway.
            elif self._full and use.text:
                self._text(use.text, "       ")

    def _review(self, asked: Asked) -> None:
        decision = asked.decision
        echo(f"  asked of a human at {clock_text(asked.asked)}: {asked.review.get('question', '')}")
        # The question does not say which draft it was.
        if result := asked.review.get("subject", {}).get("result"):
            self._text(str(result), "    about ")
        if asked.answered is None:
            echo(f"    open: {asked.review.get('id', '')}")
            return
        echo(f"    {decision.get('action')} by {asked.by or 'a human'} at {clock_text(asked.answered)}")
        if text := str(decision.get("text") or ""):
            self._text(text, "      ")

    def _end(self, attempt: AttemptHistory) -> None:
        self._section("result" if attempt.ended else "draft", attempt.text)
        if sources := attempt.outcome.get("sources"):
            echo(f"  sources: {', '.join(map(str, sources))}")
        if tainted := attempt.outcome.get("tainted_by"):
            echo(f"  rests on what came from outside: {', '.join(map(str, tainted))}")
        if attempt.error:
            self._section("error", attempt.error)
        if verdict := attempt.outcome.get("verdict"):
            about = f" of {verdict['sub_task_id']}" if verdict.get("sub_task_id") else ""
            self._section(f"verdict{about}: {verdict.get('verdict')}", str(verdict.get("reason", "")))
        for objection in objections_to(self._task, attempt):
            self._section(f"not accepted by {objection.by}", objection.text)

    def _section(self, name: str, text: str) -> None:
        if text:
            out.print(Text(f"  {name}", style="bold"), soft_wrap=True)
            self._text(text, "    ")

    def _text(self, text: str, indent: str) -> None:
        """Print a text line by line, its first line behind `indent`, and shortened unless all was asked for."""
        lines = text.strip("\n").splitlines() or [""]
        if not self._full:
            lines = self._shortened(lines)
        for number, line in enumerate(lines):
            echo((indent if number == 0 else " " * len(indent)) + line)

    def _shortened(self, lines: list[str]) -> list[str]:
        whole = "\n".join(lines)
        kept = whole[:_MOST_CHARS].splitlines()[:_MOST_LINES]
        missing = len(whole) - len("\n".join(kept))
        if missing <= 0:
            return lines
        self._has_shortened = True
        return [*kept, f"… {missing:,} more characters"]
