"""The workspace of a thread: its path for tools, its files in the result, and its end with the thread."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, StructuredTool

from orchestrator import declare
from orchestrator.persistence.workspace import artifacts_in, workspace_of
from orchestrator.testing import TeamScript, call, say
from tests.support.teams import open_team, step


class Notebook(StructuredTool):
    """A tool that keeps something for each sub-task."""

    def end_sub_task(self, key: str) -> None:
        """The sub-task is over."""
        ENDED.append(key)


ENDED: list[str] = []


def keeping(seen: list[dict[str, Any]]) -> BaseTool:
    def keep(text: str, config: RunnableConfig) -> str:
        """Keeps a text in a file."""
        place = dict(config["configurable"])
        seen.append(place)
        folder = Path(place["workspace"])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{text}.txt").write_text(text)
        return "kept"

    made = Notebook.from_function(func=keep)
    return declare(made, risk="write", effect="idempotent", contained=True)


PLAN = [step("a", agent="tooled"), step("b", agent="tooled")]
RESULTS: Any = {"a": [call("keep", text="one"), say("x")], "b": [call("keep", text="two"), say("y")]}


def test_workers_share_a_folder_and_each_sub_task_has_a_key_of_its_own(tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []
    ENDED.clear()
    with open_team(TeamScript(PLAN, results=RESULTS), tmp_path / "x.db", keeping(seen)) as team:
        run = team.run("go", thread_id="t", auto_approve=True)
        assert run.status == "done"
        assert [(a.name, a.bytes) for a in run.artifacts] == [("one.txt", 3), ("two.txt", 3)]
        assert run.to_dict()["artifacts"][0] == {"name": "one.txt", "bytes": 3}
        assert "one.txt" in run._repr_html_()
        assert {place["workspace"] for place in seen} == {str(team.workspace_of("t"))}
        assert team.workspace_of("t").is_relative_to(tmp_path)
        keys = {place["sub_task_key"] for place in seen}
        assert keys == set(ENDED)
        assert len(keys) == 2
        team.run("go", thread_id="other", auto_approve=True)
        assert not keys & {place["sub_task_key"] for place in seen[2:]}, "the same plan on another thread"
        team.delete("t")
        assert not team.workspace_of("t").exists()


@pytest.mark.parametrize("thread_id", ["..", ".", "../x", "a/b", "a\\b", ".hidden", "%2E"])
def test_no_name_of_a_thread_leads_out_of_the_folder_of_workspaces(tmp_path: Path, thread_id: str) -> None:
    root = workspace_of(tmp_path / "x.db", "plain").parent
    assert workspace_of(tmp_path / "x.db", thread_id).parent == root
    assert workspace_of(tmp_path / "x.db", thread_id).resolve().parent == root.resolve()


@given(st.text(min_size=1), st.text(min_size=1))
def test_two_threads_never_share_a_folder(one: str, other: str) -> None:
    try:
        same = workspace_of(Path("/x.db"), one) == workspace_of(Path("/x.db"), other)
    except UnicodeEncodeError:  # a lone surrogate does not print, and no thread may be called so
        return
    assert same == (one == other)


def test_links_and_hidden_files_are_no_artifacts(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_text("x")
    (tmp_path / ".secret").write_text("x")
    (tmp_path / "link").symlink_to("/etc/passwd")
    assert [a.name for a in artifacts_in(tmp_path)] == ["in/file"]
    assert artifacts_in(tmp_path / "nowhere") == ()
