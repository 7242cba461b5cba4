"""SharedMemory: results stay with their origin, and retracted ones are not offered to agents."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore

from orchestrator import Entry, Persistence, Result, SharedMemory, SubTask
from orchestrator.concurrency import BLOCKING, run_blocking
from orchestrator.errors import ConfigError
from orchestrator.memory.briefing import brief, fit
from orchestrator.memory.recall import LexicalIndex, SemanticIndex
from orchestrator.text import count_tokens


@pytest.fixture(params=["in memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BaseStore]:
    if request.param == "in memory":
        yield InMemoryStore()
    else:
        with Persistence(str(tmp_path / "memory.db")) as persistence:
            yield persistence.store


def test_results_come_back_in_the_order_of_storing(store: BaseStore) -> None:
    memory = SharedMemory(store, "thread")
    for number in range(5):
        memory.store(f"t{number}", f"result {number}", agent="coder")
    assert [entry.text for entry in memory.all()] == [f"result {i}" for i in range(5)]
    assert [entry.text for entry in memory.get_recent(2)] == ["result 3", "result 4"]
    assert memory.get_recent(0) == []


def test_another_object_on_the_same_store_sees_what_was_stored_with_its_origin(store: BaseStore) -> None:
    SharedMemory(store, "thread").store("t1", "found", agent="researcher", sources=("search",), trusted=False)
    (entry,) = SharedMemory(store, "thread").all()
    assert (entry.sub_task_id, entry.agent, entry.sources, entry.trusted) == (
        "t1",
        "researcher",
        ("search",),
        False,
    )


def test_without_a_store_it_lives_in_the_process() -> None:
    memory, other = SharedMemory(), SharedMemory()
    memory.store("t1", "found")
    assert [entry.text for entry in memory.all()] == ["found"]
    assert other.all() == []


def test_a_result_is_stored_with_its_origin(store: BaseStore) -> None:
    memory = SharedMemory(store, "thread")
    memory.store("t1", Result("found", sources=("search",), tainted_by=("t1: search(q)",)), agent="researcher")
    memory.store("t2", Result("computed"))
    tainted, clean = SharedMemory(store, "thread").get_recent()
    assert (tainted.text, tainted.sources, tainted.agent, tainted.trusted) == (
        "found",
        ("search",),
        "researcher",
        False,
    )
    assert tainted.taint == ("t1: search(q)",)
    assert (clean.text, clean.trusted) == ("computed", True)


def test_what_is_no_result_is_refused_in_one_line() -> None:
    memory: Any = SharedMemory()
    for arguments, told in (
        (("t1", 5), "store a Result or a text, not an int"),
        (
            (SubTask(id="t1", description="d", target_agent="a"), "x"),
            "under the id of its sub-task, not under a SubTask",
        ),
    ):
        with pytest.raises(ConfigError, match=told):
            memory.store(*arguments)
    with pytest.raises(ConfigError, match="an entry has no field 'author': use one of key, text, sub_task_id, agent"):
        memory.store("t1", "found", author="me")
    assert memory.all() == []


@pytest.mark.parametrize("thread", ["plain", "with.dots", "50%.2E", "ünïcödé/slash", "a b"])
def test_any_thread_id_has_a_memory_of_its_own(store: BaseStore, thread: str) -> None:
    SharedMemory(store, thread).store("t1", "mine")
    assert SharedMemory(store, thread).all()[0].text == "mine"
    assert SharedMemory(store, thread + "x").all() == []


def test_recall_finds_by_words(store: BaseStore) -> None:
    memory = SharedMemory(store, "thread")
    memory.store("t1", "Iceland has 360,872 people")
    memory.store("t2", "The quick brown fox")
    memory.store("t3", "Mongolia is sparsely settled")
    assert memory.recall("How many people live in Iceland?", 1)[0].sub_task_id == "t1"


@pytest.mark.parametrize("query", ["", '"', "a AND (b", "NEAR(", "😀", "x" * 5000, "col:val*"])
def test_any_text_is_a_valid_query(query: str) -> None:
    memory = SharedMemory(InMemoryStore(), "thread")
    memory.store("t1", "one")
    memory.store("t2", "two")
    assert len(memory.recall(query, 5)) <= 2


def retract_all_but(memory: SharedMemory, *keys: str) -> None:
    run_blocking(memory.load(BLOCKING))
    run_blocking(memory.retract_all_but(BLOCKING, keys))


def test_what_is_not_stood_by_is_not_offered_but_can_be_read_by_key(store: BaseStore) -> None:
    memory = SharedMemory(store, "thread")
    memory.store("t1", "wrong figure")
    memory.store("t2", "right figure")
    memory.recall("figure", 2)
    retract_all_but(memory, "t2")
    assert [entry.sub_task_id for entry in memory.all()] == ["t2"]
    assert [entry.sub_task_id for entry in memory.recall("figure", 5)] == ["t2"]
    kept = SharedMemory(store, "thread").read("t1")
    assert kept is not None
    assert kept.text == "wrong figure"


def test_what_was_withdrawn_comes_back_in_its_place_when_it_is_stood_by_again(store: BaseStore) -> None:
    memory = SharedMemory(store, "thread", clock=iter(range(1, 100)).__next__)
    for name in ("t1", "t2", "t3"):
        memory.store(name, f"figure {name}")
    retract_all_but(memory, "t3")
    for _ in range(2):  # doing it twice changes nothing
        retract_all_but(memory, "t1", "t3")
    assert {entry.sub_task_id for entry in memory.recall("figure", 5)} == {"t1", "t3"}
    assert [entry.sub_task_id for entry in SharedMemory(store, "thread").all()] == ["t1", "t3"]


def test_a_draft_and_a_note_are_neither_withdrawn_nor_accepted_by_a_plan(store: BaseStore) -> None:
    memory = SharedMemory(store, "thread")
    memory.store("t1", "not approved yet", status="draft")
    memory.store("t2", "half of it", status="note", outcome={"status": "failed"})
    for keys in ([], ["t1", "t2"]):
        retract_all_but(memory, *keys)
        assert memory.all() == []
        found = [memory.read(name) for name in ("t1", "t2")]
        assert [entry.status for entry in found if entry is not None] == ["draft", "note"]
    assert [entry.key for entry in memory.entries() if entry.has_failed] == ["t2"]


def test_more_results_than_one_page_of_the_store_are_all_read() -> None:
    store = InMemoryStore()
    memory = SharedMemory(store, "thread", clock=iter(range(1, 2000)).__next__)
    for number in range(1203):
        memory.store(f"t{number}", str(number))
    assert [entry.text for entry in SharedMemory(store, "thread").all()] == [str(i) for i in range(1203)]


def test_semantic_recall_ranks_by_the_nearest_passage() -> None:
    pytest.importorskip("numpy")

    class Letters:
        def query(self, text: str) -> list[float]:
            return [float(text.count("a")), float(text.count("b"))]

        def passages(self, texts: list[str]) -> list[list[float]]:
            return [self.query(text) for text in texts]

    index = SemanticIndex(Letters(), passage_chars=4)
    index.add("many-b", "bbbb")
    index.add("a-at-the-end", "bbbbaaaa")
    assert index.search("aa", 2) == ["a-at-the-end", "many-b"]
    index.clear()
    assert index.search("aa", 2) == []


def test_a_lexical_index_can_be_emptied() -> None:
    index = LexicalIndex()
    index.add("k", "word")
    assert index.search("word", 1) == ["k"]
    index.clear()
    assert index.search("word", 1) == []


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("公司净利润为四千万元", "净利润"),
        ("東京都の人口は千四百万人", "人口は何人"),
        ("서울의인구는 구백만명이다", "인구"),
        ("ประเทศไทยมีประชากรหกสิบหกล้านคน", "ประชากร"),
    ],
)
def test_a_lexical_index_finds_words_that_no_space_separates(text: str, query: str) -> None:
    index = LexicalIndex()
    index.add("other", "nothing to do with it")
    index.add("k", text)
    assert index.search(query, 2) == ["k"]


def test_a_context_gives_short_results_whole_and_shortens_long_ones_with_their_key() -> None:
    entries = [
        Entry(key="long-1", text="many words " * 900, sub_task_id="a"),
        Entry(key="s", text="brief", sub_task_id="b"),
    ]
    context = fit(entries, 600)
    assert count_tokens(context.text) <= 700
    assert "brief" in context.text
    assert 'read_memory(key="long-1"' in context.text
    assert context.shortened


def test_a_worker_sees_its_dependencies_first_and_never_its_own_earlier_result() -> None:
    memory = SharedMemory(InMemoryStore(), "thread")
    memory.store("t1", "the needed figure", key="k1")
    memory.store("t2", "unrelated", key="k2")
    memory.store("t3", "its own old result", key="k3")
    sub_task = SubTask(id="t3", description="use the figure", target_agent="coder", depends_on=("t1",))
    context = run_blocking(brief(BLOCKING, memory, sub_task, ["k1"], 1000))
    assert context.keys[0] == "k1"
    assert "k3" not in context.keys


def test_a_context_made_from_untrusted_results_is_not_trusted() -> None:
    entries = [
        Entry(key="a", text="x", sub_task_id="a"),
        Entry(key="b", text="y", sub_task_id="b", trusted=False, tainted_by=("b: fetch('x')",)),
    ]
    assert fit(entries, 1000).tainted_by == ("b: fetch('x')",)
    assert fit(entries[:1], 1000).tainted_by == ()


class SlowIndex:
    """An index that records the threads of its callers."""

    def __init__(self) -> None:
        self.threads: set[str] = set()

    def add(self, key: str, text: str) -> None:
        self.threads.add(threading.current_thread().name)

    def search(self, query: str, k: int) -> list[str]:
        self.threads.add(threading.current_thread().name)
        return []

    def clear(self) -> None:
        self.threads.add(threading.current_thread().name)


async def test_recall_never_holds_up_the_event_loop() -> None:
    index = SlowIndex()
    memory = SharedMemory(InMemoryStore(), "t", index=index)
    for task_id in ("a", "b", "a"):  # the second "a" replaces the first, so that the index is built anew
        await memory.astore(task_id, f"result of {task_id}")
        await memory.arecall("result", 2)
    assert index.threads
    assert threading.current_thread().name not in index.threads


class CountingIndex(LexicalIndex):
    """An index that counts the added texts."""

    added = 0

    def add(self, key: str, text: str) -> None:
        self.added += 1
        super().add(key, text)


def test_each_result_is_indexed_once_until_one_of_them_changes() -> None:
    index = CountingIndex()
    memory = SharedMemory(InMemoryStore(), "t", index=index)
    for name in ("a", "b", "c"):
        memory.store(name, f"figure {name}")
        memory.recall("figure", 1)
    assert index.added == 3
    memory.store("a", "another figure")
    assert [entry.text for entry in memory.recall("another", 5)] == ["another figure"]
    assert index.added == 6
