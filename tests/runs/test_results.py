"""A run has the whole results of its sub-tasks, with what they rest on."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from langchain_core.tools import BaseTool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.base import Op, Result, SearchOp
from langgraph.store.memory import InMemoryStore
from typer.testing import CliRunner

from orchestrator import OrchestratorClient, TaskOrchestrator, compile_graph, declare
from orchestrator.cli.commands import app
from orchestrator.testing import TeamScript, call, fail, say
from tests.support.teams import make_team, open_team, retry, step, writer

LONG = "lakes " * 400
FINISH: Any = [{"reason": "that is enough", "decision": "finish", "changes": []}]
AGAIN: Any = {"reason": "it may work now", "decision": "revise", "changes": [retry("a")]}
CALLS: dict[Any, Any] = {"a": [call("write", text="lakes"), say(LONG)]}


def lookup() -> BaseTool:
    """Return a tool that reads from outside."""
    return declare(writer([], risk="read"), trust="untrusted")


def tooled(results: dict[Any, Any] = CALLS) -> TeamScript:
    return TeamScript([step("a", agent="tooled"), step("c", "a", agent="reviewer")], results=results)


def test_a_result_is_whole_and_has_its_sources_its_tool_calls_and_its_verdict(tmp_path: Path) -> None:
    with open_team(tooled(), tmp_path / "x.db", lookup()) as team:
        run = team.run("count", thread_id="t", auto_approve=True)
    result = run.results["a"]
    assert (result.text, result.status, result.agent) == (LONG.strip(), "succeeded", "tooled")
    assert (result.sources, result.gaps) == (("write",), ())
    [used] = result.tool_calls
    assert (used.tool, used.args, used.answer, used.error) == ("write", {"text": "lakes"}, "wrote lakes", "")
    assert used.seconds is not None
    assert result.tainted_by == ("a: write(text='lakes')",)
    assert run.results["c"].verdict is not None
    assert run.results["c"].verdict["verdict"] == "accept"
    plain = run.to_dict()["results"]["a"]
    assert (plain["text"], plain["tool_calls"][0]["answer"]) == (LONG.strip(), "wrote lakes")
    with OrchestratorClient(str(tmp_path / "x.db")) as client:
        assert client.show("t").results == run.results


def test_a_failed_sub_task_has_its_reason_and_a_skipped_one_misses_nothing(tmp_path: Path) -> None:
    script = TeamScript([step("a"), step("b", "a")], results={"a": fail(RuntimeError("broken"))}, revisions=FINISH)
    with open_team(script, tmp_path / "x.db") as team:
        results = team.run("count", thread_id="t", auto_approve=True).results
    assert {name: result.status for name, result in results.items()} == {"a": "failed", "b": "skipped"}
    assert "broken" in results["a"].error
    assert [result.gaps for result in results.values()] == [(), ()]


def test_a_result_has_the_calls_of_its_own_attempt(tmp_path: Path) -> None:
    results: dict[Any, Any] = {
        ("a", 1): [call("write", text="first"), fail(RuntimeError("broken"))],
        ("a", 2): [call("write", text="second"), "done"],
    }
    script = TeamScript([step("a", agent="tooled")], results=results, revisions=[AGAIN])
    with open_team(script, tmp_path / "x.db", lookup()) as team:
        run = team.run("count", thread_id="t", auto_approve=True)
    assert [used.args["text"] for used in run.results["a"].tool_calls] == ["second"]


def test_the_second_task_of_a_thread_has_its_own_results(tmp_path: Path) -> None:
    with open_team(tooled(), tmp_path / "x.db", lookup()) as team:
        team.run("count", thread_id="t", auto_approve=True)
    with open_team(TeamScript([step("a")], results={"a": "rivers"}), tmp_path / "x.db") as team:
        results = team.run("count again", thread_id="t", auto_approve=True).results
    assert {name: (result.text, result.tool_calls) for name, result in results.items()} == {"a": ("rivers", ())}


def test_a_bare_graph_on_own_stores_has_the_same_results() -> None:
    saver, store = InMemorySaver(), InMemoryStore()
    graph = compile_graph(make_team(tooled(), lookup()), checkpointer=saver, store=store)
    output = graph.invoke({"task": "count", "auto_approve": True}, {"configurable": {"thread_id": "t"}})
    assert output["results"]["a"]["tainted_by"] == ["a: write(text='lakes')"]
    assert output["results"]["c"]["verdict"]["verdict"] == "accept"
    with OrchestratorClient(checkpointer=saver, store=store) as client:
        results = client.show("t").results
    assert results["a"].tool_calls[0].answer == "wrote lakes"


def test_a_store_that_has_lost_its_items_is_told() -> None:
    saver = InMemorySaver()
    with TaskOrchestrator(team=make_team(tooled(), lookup()), checkpointer=saver, store=InMemoryStore()) as team:
        team.run("count", thread_id="t", auto_approve=True)
    with OrchestratorClient(checkpointer=saver, store=InMemoryStore()) as client:
        result = client.show("t").results["a"]
    assert result.text.startswith("lakes lakes")
    assert len(result.text) < len(LONG)
    assert [gap.split()[:3] for gap in result.gaps] == [["the", "journal", "of"], ["the", "shared", "memory"]]


class Watched(InMemoryStore):
    """A store that counts the looks at journals."""

    looks = 0

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        listed = list(ops)
        self.looks += sum(isinstance(op, SearchOp) and "journal" in op.namespace_prefix for op in listed)
        return await super().abatch(listed)


def test_only_a_run_that_is_shown_is_read_with_its_journal() -> None:
    saver, store = InMemorySaver(), Watched()
    with TaskOrchestrator(team=make_team(tooled(), lookup()), checkpointer=saver, store=store) as orchestrator:
        orchestrator.run("count", thread_id="t")
        before = store.looks
        [review] = orchestrator.reviews("t")
        orchestrator.decide(review.id, "approve")
        assert store.looks == before
        orchestrator.resume("t")
        before = store.looks
        orchestrator.show("t")
        assert store.looks == before + 1


def test_a_notebook_unfolds_results_and_escapes_them(tmp_path: Path) -> None:
    results: dict[Any, Any] = {"a": [call("write", text="<b>"), say(f"<script>{LONG}")]}
    with open_team(tooled(results), tmp_path / "x.db", lookup()) as team:
        page = team.run("count", thread_id="t", auto_approve=True)._repr_html_()
    assert "<details><summary>" in page
    assert "wrote &lt;b&gt;" in page
    assert LONG.strip() in page
    assert "<script>" not in page
    assert "<b>" not in page.replace("<b>t</b>", "")


def test_show_tells_how_a_result_begins(tmp_path: Path) -> None:
    with open_team(tooled(), tmp_path / "x.db", lookup()) as team:
        team.run("count", thread_id="t", auto_approve=True)
    shown = CliRunner().invoke(app, ["show", "t", "--db", str(tmp_path / "x.db")]).stdout
    [line] = [line for line in shown.splitlines() if line.startswith("a: ")]
    assert line.startswith("a: lakes lakes ")
    assert 100 < len(line) < 220


def test_a_look_without_results_is_the_same_but_for_them(tmp_path: Path) -> None:
    with open_team(TeamScript([step("a")]), tmp_path / "x.db") as team:
        team.run("one", thread_id="t", auto_approve=True)
        whole, bare = team.show("t"), team.show("t", results=False)
    assert whole.results
    assert bare == replace(whole, results={})
