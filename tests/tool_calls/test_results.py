"""Results of tools as a worker is shown them."""

from pathlib import Path

from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool, tool
from langgraph.store.memory import InMemoryStore

from orchestrator import declare
from orchestrator.concurrency import BLOCKING, run_blocking
from orchestrator.memory.entry import Entry
from orchestrator.memory.shared_memory import SharedMemory
from orchestrator.testing import TeamScript, call
from orchestrator.tool_calls.declaration import Trust
from orchestrator.tool_calls.results import entry_under, reread, result_allowance, shown_text, source_labels
from orchestrator.trust import tainted_by
from tests.support.teams import model_of, open_team, step


def fetcher(trust: Trust = "untrusted", output_limit: int | None = None) -> BaseTool:
    @tool
    def fetch(url: str) -> str:
        """Fetches a page."""
        return url

    return declare(fetch, trust=trust, output_limit=output_limit)


def test_a_short_result_is_shown_whole() -> None:
    assert shown_text(fetcher("trusted"), "a page", "call-1", 8000) == ("a page", False)


def test_a_long_result_is_shortened_and_its_note_stands_outside_the_marks_of_data() -> None:
    shown, is_shortened = shown_text(fetcher(output_limit=100), "word " * 100, "call-1", 8000)
    assert is_shortened
    data, note = shown.split("</data>")
    assert data.startswith('<data from="fetch" untrusted>')
    assert 'read_memory(key="call-1", start=' in note


def test_a_result_takes_a_share_of_the_window_and_never_more_than_a_fixed_size() -> None:
    assert result_allowance(1000) == 300
    assert result_allowance(10**6) == 6000


def test_only_untrusted_tools_leave_a_label() -> None:
    assert source_labels(fetcher("trusted"), "t1", {"url": "x"}) == ()
    assert source_labels(fetcher(), "t1", {"url": "x"}) == ("t1: fetch(url='x')",)


def test_a_text_that_is_read_again_is_as_trusted_as_it_was() -> None:
    memory = SharedMemory(InMemoryStore(), "thread")
    inside = Entry(key="own", text="ours", agent="writer")
    outside = Entry(key="page", text="theirs", agent="fetch", trusted=False, tainted_by=("t1: fetch()",))
    run_blocking(memory.write(BLOCKING, inside, outside))
    answer = ToolMessage("a part", tool_call_id="a")
    assert reread(answer, memory, "own") is answer
    assert reread(answer, memory, "nothing") is answer
    marked = reread(answer, memory, "page")
    assert marked.text == '<data from="fetch" untrusted>\na part\n</data>'
    assert tainted_by([marked]) == ("t1: fetch()",)


def test_a_key_may_be_the_id_of_a_sub_task_and_means_its_latest_result() -> None:
    memory = SharedMemory(InMemoryStore(), "thread")
    for task, text in ((1, "earlier"), (2, "later")):
        entry = Entry(key=f"{task}.t1", text=text, sub_task_id="t1", agent="worker", status="final")
        run_blocking(memory.write(BLOCKING, entry))
    assert [getattr(entry_under(memory, key), "text", None) for key in ("t1", "1.t1", "t2")] == [
        "later",
        "earlier",
        None,
    ]


def test_a_worker_reads_on_in_a_result_and_is_told_of_a_key_that_is_none(tmp_path: Path) -> None:
    text = " ".join(f"word{number}" for number in range(5000))
    reads = [("a", 20_000), ("a", -5), ("nothing", 0)]
    calls = [call("read_memory", key=key, start=start) for key, start in reads]
    script = TeamScript([step("a"), step("b", "a", agent="tooled")], results={"a": text, "b": [*calls, "done"]})
    with open_team(script, tmp_path / "x.db", fetcher()) as team:
        assert team.run("go", auto_approve=True).status == "done"
        [last] = [r for r in model_of(team).requests if len([1 for role, _ in r.messages if role == "tool"]) == 3]
    later, earlier, none = [shown for role, shown in last.messages if role == "tool"]
    assert text[20_000:20_500] in later
    assert text[:500] not in later
    assert earlier.startswith(text[:500])
    assert none.startswith("error: there is nothing under the key 'nothing'")
