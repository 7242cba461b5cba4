"""A report as Markdown, to be read as it is or rendered by any program.

Texts of people, models and tools never become markup: words on a line are escaped, results are quoted where nothing in
them is more than Markdown, and all else stands in fences that no text can close.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.control_characters import visible
from orchestrator.reports.markdown import is_harmless
from orchestrator.reports.report import words
from orchestrator.reports.report.contents import strings
from orchestrator.reports.report.excerpts import excerpt_of, fitting_limit
from orchestrator.reports.report.linking import linked
from orchestrator.reports.wording import called, seconds_text
from orchestrator.text import normal_text

# Only what would be markup, so that the text reads well as it is: an underscore within a word is none.
_SPECIAL = re.compile(r"([\\`*\[\]<|~$]|(?<!\w)_|_(?!\w)|&(?=[#\w]+;))")
_OPENING = re.compile(r"^(\d+)([.)])(?=\s|$)|^([-=+>#])")
_BACKTICKS = re.compile("`+")


def report_markdown(plain: Mapping[str, Any]) -> str:
    """Return a report as Markdown.

    Args:
        plain: Its contents.
    """
    limit = fitting_limit(strings(plain))
    report = linked(dict(plain))
    lines = [line for task in report["tasks"] for line in _MarkdownTask(report, task, limit).lines()]
    return "\n".join([*lines, *_made(report, limit)]) + "\n"


def inline(text: Any) -> str:
    """Return a text as words on one line, escaped."""
    return _OPENING.sub(r"\1\\\2\3", _SPECIAL.sub(r"\\\1", normal_text(visible(str(text)))))


def _cell(text: Any) -> str:
    return inline(text) or " "


def fenced(text: str) -> list[str]:
    """Return a text between fences that are longer than any in it."""
    shown = visible(text)
    fence = "`" * max(3, 1 + max((len(run) for run in _BACKTICKS.findall(shown)), default=0))
    return [f"{fence}text", *shown.splitlines(), fence, ""]


def _link(name: Any, anchor: str) -> str:
    return f"[{inline(name)}](#{anchor})" if anchor else inline(name)


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    lines = [" | ".join(row) for row in ([head, ["---"] * len(head), *rows] if rows else [])]
    return [*(f"| {line} |" for line in lines), ""]


class _MarkdownTask:
    """The lines about one task.

    Args:
        report: The contents of the report, with links.
        task: The task.
        limit: The most characters of a text.
    """

    def __init__(self, report: dict[str, Any], task: dict[str, Any], limit: int) -> None:
        self._report = report
        self._task = task
        self._limit = limit

    def lines(self) -> Iterator[str]:
        """Yield the lines."""
        yield from self._head()
        yield from self._answer()
        yield from self._plan()
        yield from self._decisions()
        yield from self._results()
        yield from self._cost()

    def _head(self) -> Iterator[str]:
        task, report = self._task, self._report
        whole = excerpt_of(task["task"], self._limit)
        is_short = len(task["task"]) <= 160 and "\n" not in task["task"]
        yield f'<a id="{task["anchor"]}"></a>'
        yield f"# {inline(task['task'] if is_short else whole.head) or 'No task yet'}\n"
        if not is_short:
            yield from self._verbatim(task["task"])
        facts = [f"thread {inline(report['thread_id'])}", f"task {task['number']}", f"**{inline(task['status'])}**"]
        if task["began"]:
            facts.append(f"began {words.when(task['began'])} {words.zone(task['began'])}")
        if task["worked_s"]:
            facts.append(f"worked {seconds_text(task['worked_s'])}")
        yield f"{' · '.join([*facts, words.amount(task['usage'])])}\n"
        if task["status"] in ("running", "waiting", "interrupted"):
            yield f"The run has not ended: this is how it stood on {words.when(report['made']['at'])}.\n"

    def _answer(self) -> Iterator[str]:
        task = self._task
        yield "## Answer\n"
        yield from self._prose(task["answer"]) if task["answer"] else ["There is no answer.\n"]
        if task["references"]:
            yield "It rests on:\n"
        for each in task["references"]:
            agent = f" ({inline(each['agent'])})" if each["agent"] else ""
            yield f"- {_link(each['sub_task_id'], each['anchor'])}{agent}{self._origin(each)}"
        missing = [text for text in (task["why"], *task["missing"], *task["gaps"]) if text]
        if missing:
            yield "\n## What is missing\n"
        yield from (f"- {inline(excerpt_of(text, self._limit).text)}" for text in missing)
        yield ""

    def _origin(self, part: dict[str, Any]) -> str:
        made = [_link(each["name"], next(iter(each["anchors"]), "")) for each in part["origin"]]
        outside = [_link(each["name"], each["anchor"]) for each in part["outside"]]
        told = f", made with {', '.join(made)}" if made else ""
        return told + (f", from outside: {', '.join(outside)}" if outside else "")

    def _plan(self) -> Iterator[str]:
        planned = [each for each in self._task["sub_tasks"] if each["number"]]
        if planned:
            yield "## The plan as it was carried out\n"
        rows = [
            [
                _link(each["id"], each["anchor"]),
                _cell(each["agent"]),
                ", ".join(_link(need["name"], need["anchor"]) for need in each["needs"]) or " ",
                _cell(each["status"]),
                str(len(each["attempts"]) or each["attempt"] or " "),
                seconds_text(each["seconds"]) if each["seconds"] else " ",
                _cell(words.amount(each["spent"])),
            ]
            for each in planned
        ]
        yield from _table(["sub-task", "agent", "needs", "status", "attempts", "work", "spent"], rows)

    def _decisions(self) -> Iterator[str]:
        task = self._task
        if task["decisions"] or task["auto_approve"]:
            yield "## Decisions\n"
        if task["auto_approve"]:
            yield "No human was asked: the run was started to let every review pass.\n"
        for each in task["decisions"]:
            if each["action"]:
                head = f"**{inline(each['by'] or 'a human')}** {inline(words.decided(each))}"
                yield f"- {words.when(each['at'])}: {head}"
            else:
                yield f"- open since {words.when(each['asked'])}"
            if each["question"]:
                yield f"  {inline(each['question'])} {inline(each['stake'])}".rstrip()
            for text in (each["text"], words.pretty(each["data"]) if each["data"] else ""):
                if text:
                    yield from ["", *(f"  {line}" for line in self._verbatim(text))]
        yield ""

    def _results(self) -> Iterator[str]:
        if self._task["sub_tasks"] or self._task["earlier"]:
            yield "## Results\n"
        for each in (*self._task["sub_tasks"], *self._task["earlier"]):
            yield from self._sub_task(each)

    def _sub_task(self, sub_task: dict[str, Any]) -> Iterator[str]:
        facts = [sub_task["agent"], sub_task["status"], words.amount(sub_task["spent"])]
        yield f'<a id="{sub_task["anchor"]}"></a>'
        yield f"### {inline(sub_task['id'])} · {inline(' · '.join(fact for fact in facts if fact))}\n"
        if sub_task["description"]:
            yield f"{inline(excerpt_of(sub_task['description'], self._limit).text)}\n"
        if sub_task["error"]:
            yield f"**Error:** {inline(excerpt_of(sub_task['error'], self._limit).text)}\n"
        if sub_task["text"]:
            yield from self._prose(sub_task["text"])
        if origin := self._origin(sub_task).removeprefix(", "):
            yield f"{origin[0].upper()}{origin[1:]}\n"
        yield from (f"**Missing:** {inline(gap)}\n" for gap in sub_task["gaps"])
        for attempt in sub_task["attempts"]:
            yield from self._attempt(attempt)

    def _attempt(self, attempt: dict[str, Any]) -> Iterator[str]:
        retracted = ", does not count any more" if attempt["is_retracted"] else ""
        began = f" · {words.clock(attempt['began'])}" if attempt["began"] else ""
        spent = words.amount(attempt["spent"])
        yield f'<a id="{attempt["anchor"]}"></a>'
        yield f"**Attempt {attempt['attempt']}** · {inline(attempt['status'])}{retracted}{began} · {inline(spent)}\n"
        if attempt["text"] and not attempt["counts"]:
            yield from self._prose(attempt["text"])
        for use in attempt["tool_uses"]:
            yield f'<a id="{use["anchor"]}"></a>'
            yield from self._verbatim(called(use["tool"], use["args"]))
            told = (("refused", use["refused"]), ("error", use["error"]), ("answer", use["answer"]))
            for label, text in told:
                if text:
                    yield from [f"{label}:\n", *self._verbatim(text)]
        for each in attempt["objections"]:
            yield from [f"Not accepted by {inline(each['by'])}:\n", *self._verbatim(each["text"])]

    def _cost(self) -> Iterator[str]:
        usage = self._task["usage"]
        requests = words.counted(usage.get("model_calls", 0), "request")
        calls = words.counted(usage.get("tool_calls", 0), "tool call")
        tokens = f"{usage.get('input_tokens', 0):,} tokens in, {usage.get('output_tokens', 0):,} out"
        price = words.dollars(usage["cost_usd"]) if usage["cost_usd"] else "no price is known"
        yield "## Models and cost\n"
        yield f"{requests} to models · {calls} · {tokens} · {price}\n"
        for title in ("model", "worker"):
            rows = [
                [_cell(name), *(f"{row[each]:,}" for each in ("model_calls", "input_tokens", "output_tokens"))]
                for name, row in sorted(usage[f"by_{title}"].items())
            ]
            yield from _table([{"worker": "agent"}.get(title, title), "requests", "tokens in", "tokens out"], rows)

    def _prose(self, text: str) -> list[str]:
        """Return a text of an agent: quoted, so that it stays together, or verbatim if it holds more than Markdown."""
        part = excerpt_of(text, self._limit)
        # Half a text may open a fence or a table, and never close it.
        if part.left or not is_harmless(part.text):
            return self._verbatim(text)
        # In a quotation, whatever it leaves open ends with it.
        return [*(f"> {line}".rstrip() for line in visible(part.text).splitlines()), ""]

    def _verbatim(self, text: str) -> list[str]:
        part = excerpt_of(text, self._limit)
        cut = [f"{part.left:,} further characters are not in this file.\n"] if part.left else []
        return [*fenced(part.text), *cut]


def _made(report: dict[str, Any], limit: int) -> Iterator[str]:
    made = report["made"]
    journal = made["journal"]
    yield "## How it was made\n"
    origin = f"{journal['records']:,} records of the journal of the thread" if journal["records"] else "the state alone"
    yield (
        f"Made with agent-task-orchestrator {inline(made['version'])} on {words.when(made['at'])} "
        f"{words.zone(made['at'])}, out of {origin}."
    )
    if journal["records"]:
        yield f"The newest record has the hash `{journal['hash']}`."
    yield ""
    rows = [
        [str(task["number"]), _cell(name), _cell(model.get("model", "")), _cell(model.get("endpoint", ""))]
        for task in report["tasks"]
        for name, model in sorted((task["models"].get("agents") or {}).items())
    ]
    yield from _table(["task", "agent", "model", "endpoint"], rows)
    if files := [f"{inline(each['name'])} ({each['bytes']:,} bytes)" for each in report["files"]]:
        yield f"Files that the workers left, which are not in this report: {', '.join(files)}\n"
    yield f"Texts of up to {limit:,} characters are whole. Known keys and passwords are replaced by \\*\\*\\*."
