"""The subject of a review in an editor. A mistake comes back into the editor with the text, and no text is lost.

Leaving the editor without a change gives up. What was written by then is kept in a file, and the file is named.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

from orchestrator.budget.budget import DIMENSIONS
from orchestrator.cli.interruption import CTRL_C
from orchestrator.control_characters import visible, visible_json
from orchestrator.errors import DecisionError
from orchestrator.planning.sub_task import SubTask
from orchestrator.reviews.review import Decision, Review, check_decision
from orchestrator.text import ReadOnNote

_RULE = "# ---- the text begins below this line ----"
_SUBJECTS = {"result": "result", "plan": "plan", "steer": "budget"}
_SET_BY_ENGINE = ("attempt", "feedback")


def edited(review: Review, console: Console) -> Decision | None:
    """Open the subject in an editor until it can be used. Return None if the person gives up."""
    before = text = subject_text(review)
    problem: DecisionError | json.JSONDecodeError | None = None
    path = _new_file(review)
    while True:
        path.write_text(_header(review, problem) + text, encoding="utf-8")
        saved, is_left = _edit(path, console)
        if is_left or not saved.strip() or (problem is not None and saved.rstrip() == text.rstrip()):
            _give_up(path, saved if saved.strip() else text, before, console)
            return None
        # Most editors end the last line of a file, which a result need not.
        text = saved if before.endswith("\n") else saved.removesuffix("\n")
        try:
            decision = check_decision(review, decision_of(review, text))
        except (DecisionError, json.JSONDecodeError) as error:
            problem = error
        else:
            path.unlink()
            return decision


def keep(review: Review, decision: Decision) -> Path:
    """Write an edit that was not taken into a new file, and return the file."""
    path = _new_file(review)
    path.write_text(decision.text if decision.data is None else _pretty(decision.data), encoding="utf-8")
    return path


def _give_up(path: Path, text: str, before: str, console: Console) -> None:
    if text.rstrip() == before.rstrip():
        path.unlink()
        console.print("  nothing was saved, so nothing is decided")
    else:
        path.write_text(text, encoding="utf-8")
        console.print(f"  nothing is decided; your text is kept in {path}", soft_wrap=True)


def _new_file(review: Review) -> Path:
    handle, name = tempfile.mkstemp(
        prefix=f"orchestrator-{review.kind}-", suffix=".txt" if review.kind == "result" else ".json"
    )
    os.close(handle)
    return Path(name)


def _edit(path: Path, console: Console) -> tuple[str, bool]:
    """Return the text in the file without the header, and True if nothing was saved or the editor failed."""
    import click

    # An editor may save within the clock's resolution, so the file is made older than it is.
    status = path.stat()
    os.utime(path, (status.st_atime, status.st_mtime - 2))
    before = path.stat().st_mtime_ns
    is_left = False
    try:
        with CTRL_C.ignored():  # to an editor it is a key like others
            click.edit(filename=str(path))
    except click.ClickException as error:
        is_left = True  # `:cq` in vi says so on purpose
        console.print(f"no editor: {error.format_message()}; EDITOR names another", style="red")
    is_left = is_left or path.stat().st_mtime_ns == before
    return _without_header(path.read_text(encoding="utf-8", errors="replace")), is_left


def _header(review: Review, problem: DecisionError | json.JSONDecodeError | None) -> str:
    """Return comment lines for the top of the file: the problem, what can be named, and what saving does."""
    notes = list(_notes(review))
    if problem is None and not notes:
        return ""
    lines = [*notes, "save it to decide; leave it as it is to decide nothing"]
    if isinstance(problem, json.JSONDecodeError):
        # The line as an editor counts it, which shows this header above the text.
        lines.insert(0, f"line {problem.lineno + len(lines) + 2}, column {problem.colno}: {problem.msg}")
    elif problem is not None:
        lines[:0] = visible(str(problem)).splitlines()
    return "".join(f"# {line}\n" for line in lines) + f"{_RULE}\n"


def _notes(review: Review) -> list[str]:
    subject = review.subject
    if review.kind == "plan":
        fields = [name for name in SubTask.model_fields if name not in _SET_BY_ENGINE]
        agents = ", ".join(map(visible, subject.get("agents", ())))
        return [f"agents: {agents}", f"fields of a sub-task: {', '.join(fields)}"]
    if review.kind == "steer":
        return [f"limits: {', '.join(DIMENSIONS)}"]
    properties = subject.get("args_schema", {}).get("properties", {})
    return [f"arguments: {', '.join(visible(name).replace(chr(10), ' ') for name in properties)}"] if properties else []


def _without_header(text: str) -> str:
    _, rule, below = text.partition(f"{_RULE}\n")
    return below if rule else text


def subject_text(review: Review) -> str:
    """Return the subject as a text that a person edits."""
    value = review.subject[_SUBJECTS.get(review.kind, "args")]
    return str(value) if review.kind == "result" else _pretty(value)


def _pretty(value: Any) -> str:
    return visible_json(value, indent=2) + "\n"


def decision_of(review: Review, text: str) -> Decision:
    """Return the edit that a text means.

    Raises:
        JSONDecodeError: The text is no JSON.
        DecisionError: The text cannot be an edit.
    """
    if review.kind != "result":
        # Without its header, a text may still begin with comment lines that a person left there.
        body = "\n".join("" if line.startswith("#") else line for line in text.split("\n"))
        try:
            return Decision(review_id=review.id, action="edit", data=json.loads(body))
        except RecursionError:
            raise DecisionError("it is nested too deeply") from None
    if ReadOnNote.split(text.rstrip("\n"))[1] is not None:
        raise DecisionError("the review shows the beginning of the result only: write the whole new text")
    return Decision(review_id=review.id, action="edit", text=text)
