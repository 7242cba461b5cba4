"""Threads for the tests of reports, and a report as a reader's program takes it apart."""

import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from langchain_core.tools import BaseTool, tool

from orchestrator import Decision, Plan, Review, Run, declare
from orchestrator.reports.history.task import AttemptHistory, TaskHistory
from orchestrator.reports.history.uses import ModelUse, ToolUse
from orchestrator.reports.report.contents import Source
from orchestrator.testing import TeamScript, call, say
from tests.support.teams import open_team, step

_XHTML = "{http://www.w3.org/1999/xhtml}"


class Shown:
    """A report in HTML. It has to be well-formed, since a parser that forgives nothing reads it.

    Args:
        html: The report.
    """

    def __init__(self, html: str) -> None:
        self.root = ET.fromstring(html)
        self.tags = {element.tag.rpartition("}")[2] for element in self.root.iter()}
        self.attributes = {name for element in self.root.iter() for name in element.attrib}
        self.ids = [element.attrib["id"] for element in self.root.iter() if "id" in element.attrib]
        self.by_id = {element.attrib["id"]: element for element in self.root.iter() if "id" in element.attrib}
        self.text = text_of(self.root.find(f"{_XHTML}body"))

    def links(self, inside: ET.Element | None = None) -> dict[str, str]:
        """Return the addresses of links by their words, in one element or in all."""
        start = self.root if inside is None else inside
        return {text_of(link): link.attrib["href"] for link in start.iter(f"{_XHTML}a")}

    def target(self, link: str) -> str:
        """Return the text at the place that a link leads to."""
        return text_of(self.by_id[link.removeprefix("#")])


def text_of(element: ET.Element | None) -> str:
    """Return all text in an element."""
    return "" if element is None else "".join(element.itertext())


def reading_tool(answer: str) -> BaseTool:
    """Return a tool that answers with a text from outside."""

    @tool
    def look(place: str) -> str:
        """Look somewhere."""
        return f"{place}: {answer}"

    return declare(look, trust="untrusted")


def lakes(db: Path | str, words: str = "seven lakes", task: str = "Count the lakes.", thread: str = "t") -> None:
    """Run a task in which a worker reads outside, another builds on it, and mira rejects one result."""
    plan = [step("found", agent="tooled"), step("sum", "found", approval=True)]
    results: dict[Any, Any] = {
        "found": [call("look", place=f"north {words}"), call("look", place="south"), say(f"found {words}")],
        "sum": f"draft {words}",
        ("sum", 2): f"sum {words}",
    }
    script = TeamScript(plan, results=results, summary=f"answer {words}")
    with open_team(script, db, reading_tool(f"outside {words}")) as team:
        assert team.run(task, thread_id=thread, on_review=_reject_once(words)).status == "done"


def _reject_once(words: str) -> Any:
    def decide(review: Review) -> Decision:
        if review.kind == "result" and str(review.subject["result"]).startswith("draft"):
            return Decision(review_id=review.id, action="reject", text=f"reason {words}", by="mira")
        return Decision(review_id=review.id, action="approve", by="mira")

    return decide


def wide(count: int) -> Source:
    """Return what a report of a run of so many sub-tasks is made from, each with a request and a tool call."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    plan = [step(f"t{n}", *([f"t{n - 1}"] if n % 4 != 1 else [])) for n in range(1, count + 1)]
    task = TaskHistory("Do much.", 1, at, at, "done", plans=[(at, {"sub_tasks": plan})])
    for spec in plan:
        attempt = AttemptHistory(spec["id"], 1, "worker", began=at, ended=at, status="succeeded", message="told " * 400)
        attempt.text, attempt.outcome = "in some words " * 20, {"key": spec["id"], "sources": ["look"]}
        attempt.models = [ModelUse("worker", "a model", f"{spec['id']}-0", at, at, "in some words " * 20)]
        attempt.tool_uses = [ToolUse("look", "1", {"place": "there"}, at, at, "a long answer " * 400)]
        task.attempts.append(attempt)
    return Source(Run("t", "done", "Do much.", plan=Plan.parse(plan)), [task], [], (1, "hash"), "1.0", at)
