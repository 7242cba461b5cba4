"""Editing a review: the editor is opened on its subject, mistakes come back into it, and no text is lost."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator import OrchestratorClient
from orchestrator.planning.plan import Plan
from orchestrator.reviews.review import Review
from orchestrator.testing import TeamScript
from tests.cli.asking.test_review_on_screen import TOOL, Screen, budget
from tests.support.teams import open_team, step
from tests.support.terminal import Terminal

PLAN = Review(
    id="t/plan-1",
    kind="plan",
    question="Shall this plan be carried out?",
    subject={"plan": Plan.parse([step("a"), step("b", "a")]).plain(), "agents": ["tooled", "worker"]},
)
RESULT = Review(id="t/result-1", kind="result", question="Good?", subject={"result": "# It [is] 42."})
TYPED = RESULT.model_copy(
    update={
        "subject": {
            "result": '{"n": 42}',
            "output_schema": {"type": "object", "properties": {"n": {"type": "integer"}}},
        }
    }
)
EDITOR = """
import json, pathlib, sys
folder, file = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
changes = json.loads((folder / "changes.json").read_text())
number = len(list(folder.glob("seen*")))
(folder / f"seen{number}").write_text(file.read_text())
if number < len(changes):
    old, new = changes[number]
    file.write_text(file.read_text().replace(old, new) if old else new)
    sys.exit(new == "FAIL")
"""
Opened = Callable[..., list[str]]


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Sets the changes that the editor makes, one each time that it is opened; without one it saves nothing.

    Called without changes, returns the texts that it was opened on.
    """
    (tmp_path / "editor.py").write_text(EDITOR)
    monkeypatch.setenv("EDITOR", f"{sys.executable} {tmp_path / 'editor.py'} {tmp_path}")
    monkeypatch.delenv("VISUAL", raising=False)
    (tmp_path / "kept").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "kept"))

    def edit(*changes: tuple[str, str]) -> list[str]:
        if changes:
            (tmp_path / "changes.json").write_text(json.dumps(changes))
        return [file.read_text() for file in sorted(tmp_path.glob("seen*"))]

    (tmp_path / "changes.json").write_text("[]")
    return edit


@pytest.mark.parametrize(
    ("review", "change", "expected"),
    [
        (PLAN, ('"do b"', '"do it"'), ("", {"sub_tasks": [step("a"), {**step("b", "a"), "description": "do it"}]})),
        (TOOL, ('"a.md"', '"b.md"'), ("", {**TOOL.subject["args"], "path": "b.md"})),
        (RESULT, ("42", "43"), ("# It [is] 43.", None)),
        (budget(tokens=1000), ("1000", "2000"), ("", {"tokens": 2000})),
    ],
    ids=["plan", "tool call", "result", "budget"],
)
def test_the_editor_is_opened_on_what_is_asked_about(
    editor: Opened, tmp_path: Path, review: Review, change: tuple[str, str], expected: tuple[str, object]
) -> None:
    editor(change)
    decision = Screen().ask(review, "e")
    assert decision is not None
    assert decision.action == "edit"
    if review is PLAN:
        assert Plan.parse(decision.data) == Plan.parse(expected[1])
    else:
        assert (decision.text, decision.data) == expected
    assert list((tmp_path / "kept").iterdir()) == []


def test_a_comment_names_the_agents_and_the_fields(editor: Opened) -> None:
    Screen().ask(PLAN, "e")
    [seen] = editor()
    assert seen.startswith(
        "# agents: tooled, worker\n# fields of a sub-task: id, description, target_agent, depends_on"
    )
    assert "feedback" not in seen


@pytest.mark.parametrize(
    ("review", "wrong", "told", "mended"),
    [
        (PLAN, ('"worker"', '"nobody"'), "nobody", ('"nobody"', '"worker"')),
        (PLAN, ('"do b",', '"do b"'), "Expecting ',' delimiter", ('"do b"', '"do it",')),
        (TOOL, ('"a.md",', '"b.md"'), "Expecting ',' delimiter", ('"b.md"', '"b.md",')),
        (TYPED, ("42", '"many"'), "the edited result cannot be used", ('"many"', "43")),
        (budget(tokens=1000), ("1000", "-1"), "budget", ("-1", "5000")),
    ],
    ids=["plan", "JSON of a plan", "JSON of a tool call", "typed result", "budget"],
)
def test_a_mistake_comes_back_into_the_editor_with_the_text_and_the_error_on_top(
    editor: Opened, review: Review, wrong: tuple[str, str], told: str, mended: tuple[str, str]
) -> None:
    editor(wrong, mended)
    decision = Screen().ask(review, "e")
    assert decision is not None
    assert decision.action == "edit"
    first, second = editor()
    head, _, text = second.partition("# ---- the text begins below this line ----\n")
    assert told in head.replace("\n# ", " ")
    assert wrong[1] in text
    assert first != second


def test_the_line_of_a_mistake_is_the_one_that_the_editor_counts(editor: Opened) -> None:
    editor(('"do b",', '"do b"'))
    Screen().ask(PLAN, "e")
    shown = editor()[1]
    line = int(shown.removeprefix("# line ").partition(",")[0])
    assert shown.split("\n")[line - 2].strip() == '"description": "do b"', "the comma is missed in the line below"


def test_giving_up_keeps_the_text_in_a_file_that_is_named(editor: Opened, tmp_path: Path) -> None:
    editor(('"worker"', '"nobody"'))
    screen = Screen()
    decision = screen.ask(PLAN, "e", "s")
    assert decision is not None
    assert decision.action == "stop", "it asks again"
    [kept] = (tmp_path / "kept").iterdir()
    assert f"your text is kept in {kept}" in screen.text
    assert "nobody" in json.dumps(json.loads(kept.read_text())), "without comments, so that `decide --file` takes it"


def test_an_editor_that_repeats_the_same_mistake_ends(editor: Opened) -> None:
    editor(*[('"worker"', '"nobody"')] * 9)
    assert Screen().ask(PLAN, "e") is None
    assert len(editor()) == 2


@pytest.mark.parametrize("change", [None, ("", ""), ("", "# only a comment")])
def test_an_editor_that_gives_nothing_decides_nothing(editor: Opened, change: tuple[str, str] | None) -> None:
    editor(*[change] * bool(change))  # type: ignore[list-item]
    screen = Screen()
    assert screen.ask(PLAN, "e") is None
    assert "decided" in screen.text


def test_an_editor_that_fails_decides_nothing_and_keeps_the_text(editor: Opened, tmp_path: Path) -> None:
    editor(("42", "FAIL"))
    assert Screen().ask(RESULT, "e") is None
    [kept] = (tmp_path / "kept").iterdir()
    assert kept.read_text() == "# It [is] FAIL."


def test_a_missing_editor_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITOR", "/no/such/editor")
    monkeypatch.delenv("VISUAL", raising=False)
    screen = Screen()
    assert screen.ask(RESULT, "e") is None
    assert "EDITOR names another" in screen.text


def test_the_beginning_of_a_long_result_does_not_replace_the_whole(editor: Opened) -> None:
    note = '\n[… 900 of 1000 characters more: read_memory(key="k", start=100)]'
    editor(("It", "That"), (note.strip(), ""))
    decision = Screen().ask(RESULT.model_copy(update={"subject": {"result": f"It is.{note}"}}), "e")
    assert decision is not None
    assert decision.text.strip() == "That is."
    assert "write the whole new text" in editor()[1]


@pytest.fixture
def waiting(tmp_path: Path) -> Path:
    """A database with a thread `t` whose plan waits for approval."""
    with open_team(TeamScript([step("a")]), tmp_path / "runs.db") as orchestrator:
        orchestrator.run("x", thread_id="t")
    return tmp_path / "runs.db"


def test_decide_edit_without_data_opens_the_editor(editor: Opened, waiting: Path) -> None:
    editor(('"worker"', '"nobody"'), ('"nobody"', '"worker"'))
    with OrchestratorClient(waiting) as client:
        [review] = client.reviews("t")
    terminal = Terminal("decide", review.id, "edit", "--db", str(waiting))
    try:
        terminal.expect("recorded: edit for t/plan-")
        assert terminal.process.wait(60) == 0
    finally:
        terminal.close()
    with OrchestratorClient(waiting) as client:
        assert client.reviews("t") == []
    assert "nobody" in editor()[1]


def test_an_edit_of_a_review_that_was_answered_meanwhile_is_kept(
    editor: Opened, waiting: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor(('"do a"', '"do it"'))
    with OrchestratorClient(waiting) as client:
        [review] = client.reviews("t")
    # The editor itself answers by another process while it is open.
    other = f"{sys.executable} -m orchestrator decide {review.id} approve --db {waiting}"
    (tmp_path / "both.sh").write_text(f'{other} >/dev/null </dev/null\n{os.environ["EDITOR"]} "$1"\n')
    monkeypatch.setenv("EDITOR", f"sh {tmp_path / 'both.sh'}")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "kept"))
    terminal = Terminal("decide", review.id, "edit", "--db", str(waiting))
    try:
        terminal.expect("your edit is kept in ")
        assert terminal.process.wait(60) == 2
    finally:
        terminal.close()
    [kept] = (tmp_path / "kept").glob("orchestrator-plan-*")
    assert "do it" in kept.read_text()
