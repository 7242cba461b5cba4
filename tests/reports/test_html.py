"""The HTML of a run: whatever texts stand in it, they stay texts."""

from html.parser import HTMLParser

import pytest

from orchestrator import Outcome, Plan, Review, Run, SubTask, SubTaskResult, ToolCallRecord
from orchestrator.control_characters import visible
from orchestrator.persistence.workspace import Artifact
from orchestrator.reports.html import run_html

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</svg></table></blockquote><iframe src=//evil.example>",
    "<!-- x",
    "]]><![CDATA[",
    "&lt;script&gt; &amp; &#60;b&#62;",
    "\u202e<b>\x1b[2J",
]
OURS = {"p", "b", "br", "code", "div", "table", "tr", "th", "td", "blockquote", "details", "summary"} | {
    *("svg", "defs", "marker", "path", "g", "title", "rect", "text")
}


class Shown(HTMLParser):
    """What a browser makes of the page: its elements, their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.comments = 0
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.comments += 1

    def handle_decl(self, decl: str) -> None:
        self.comments += 1

    def unknown_decl(self, data: str) -> None:
        self.comments += 1


def result_of(text: str) -> SubTaskResult:
    verdict = {"verdict": f"verdict {text}", "reason": f"reason {text}"}
    calls = (
        ToolCallRecord(f"tool {text}", {f"name {text}": f"value {text}"}, f"reply {text}"),
        ToolCallRecord("tool", {}, refused=f"refusal {text}"),
    )
    texts = (f"text {text}", "failed", f"agent {text}", (f"source {text}",), calls, verdict, (f"taint {text}",))
    return SubTaskResult(*texts, f"cause {text}", (f"gap {text}",))


def run_of(text: str) -> Run:
    """A run that has this text wherever a model, a tool, a document or a user may have put it."""
    return Run(
        thread_id=f"thread {text}",
        status="waiting",
        task=text,
        answer=f"answer {text}",
        plan=Plan(sub_tasks=(SubTask(id="a", description=f"do {text}", target_agent=f"agent {text}"),)),
        outcomes={"a": Outcome(id="a", key="k", status="failed", error=f"error {text}", digest=text)},
        reviews=(Review(id=f"id {text}", kind="tool", question=f"question {text}", subject={"tool": text}),),
        errors=(f"missing {text}",),
        results={"a": result_of(text)},
        artifacts=(Artifact(f"file {text}", 10),),
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_becomes_no_markup(text: str) -> None:
    shown, harmless = Shown(run_html(run_of(text))), Shown(run_html(run_of("harmless")))
    assert shown.tags == harmless.tags <= OURS
    assert shown.attributes == harmless.attributes
    assert shown.comments == 0
    for part in ("thread", "answer", "do", "agent", "error", "id", "question", "missing", "file"):
        assert f"{part} {visible(text)}" in shown.text
    for part in ("tool", "reply", "refusal", "verdict", "reason", "text", "source", "taint", "gap"):
        assert f"{part} {visible(text)}" in shown.text


def test_a_result_is_shown_where_there_is_no_error() -> None:
    plan = Plan(sub_tasks=(SubTask(id="a", description="x", target_agent="w"),))
    outcome = Outcome(id="a", key="k", status="succeeded", digest="<b>42</b>")
    shown = Shown(run_html(Run(thread_id="t", status="done", plan=plan, outcomes={"a": outcome})))
    assert "<b>42</b>" in shown.text
