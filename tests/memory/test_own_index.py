"""The shared memory searched by meaning, with a user's own embedding model or the index of a user's own store."""

import asyncio
import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from langchain_core.embeddings import Embeddings
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore

from orchestrator import SharedMemory, TaskOrchestrator, compile_graph
from orchestrator.errors import ConfigError
from orchestrator.testing import TeamScript
from tests.support.teams import make_team, step

TOPICS = [("car", "automobile", "lorry"), ("bread", "loaf", "bakery"), ("river", "stream", "brook")]
RESULTS = {"a": "The lorry is red.", "b": "The bakery is open.", "c": "The brook is cold."}


def vectors(texts: Sequence[str]) -> list[list[float]]:
    """One number for each topic: texts of one topic are near, although they share no word."""
    return [[float(any(word in text.lower() for word in topic)) for topic in TOPICS] + [0.1] for text in texts]


async def avectors(texts: Sequence[str]) -> list[list[float]]:
    await asyncio.sleep(0)
    return vectors(texts)


class Model(Embeddings):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.texts += texts
        return vectors(texts)

    def embed_query(self, text: str) -> list[float]:
        return vectors([text])[0]


class Broken(Embeddings):
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        raise ConnectionError("the embedding service is down")

    def embed_query(self, text: str) -> list[float]:
        raise ConnectionError("the embedding service is down")


def opened(db: Path | None = None, **own: Any) -> TaskOrchestrator:
    script = TeamScript([step(name) for name in RESULTS], results=dict(RESULTS))
    return TaskOrchestrator(team=make_team(script), db=db or "memory://", **own)


def recalled(team: TaskOrchestrator, query: str = "automobile") -> list[str]:
    assert team.run("go", thread_id="t", auto_approve=True).status == "done"
    return [entry.sub_task_id for entry in team.memory.recall(query, 1)]


@pytest.mark.parametrize(
    "index",
    [Model(), vectors, avectors, {"embed": Model(), "dims": 4}, {"embed": avectors, "fields": ["text", "agent"]}],
    ids=["Embeddings", "function", "async function", "IndexConfig", "fields"],
)
def test_the_memory_is_searched_by_meaning_with_any_form_of_a_model(index: Any) -> None:
    with opened(index=index) as team:
        assert recalled(team) == ["a"]
        assert [entry.sub_task_id for entry in asyncio.run(team.memory.arecall("stream", 1))] == ["c"]
    with opened() as team:
        assert recalled(team) == []  # without a model the words are no help


def test_the_index_of_a_store_is_used_without_further_settings() -> None:
    store = InMemoryStore(index={"embed": vectors, "dims": 4})
    with opened(store=store) as team:
        assert recalled(team) == ["a"]
    found = store.search(("orchestrator", "memory", "t"), query="a loaf", limit=1)
    assert found[0].value["text"] == RESULTS["b"]
    assert [e.sub_task_id for e in SharedMemory(store, "t").recall("a loaf", 1)] == ["b"]


def test_what_is_no_result_is_not_embedded() -> None:
    model = Model()
    with opened(store=InMemoryStore(index={"embed": model, "dims": 4})) as team:
        recalled(team)
    assert sorted(set(model.texts)) == sorted(RESULTS.values())


def test_each_text_is_embedded_once() -> None:
    model = Model()
    with opened(index=model) as team:
        recalled(team)
        team.memory.recall("stream", 1)
    assert sorted(model.texts) == sorted(RESULTS.values())


@pytest.mark.parametrize("is_async", [True, False])
def test_workers_of_the_bare_graph_recall_by_meaning(is_async: bool) -> None:
    names = [f"s{number}" for number in range(9)]
    chain = [step("first"), *(step(name, before) for before, name in zip(["first", *names], names, strict=False))]
    model = Model()
    texts = {"first": "The lorry is red."} | {name: f"Nothing of note: {name}" for name in names}
    team = make_team(TeamScript(chain, results=texts))
    graph = compile_graph(team, checkpointer=InMemorySaver(), store=InMemoryStore(), index=model)
    config: Any = {"configurable": {"thread_id": "t"}}
    task = {"task": "go", "auto_approve": True}
    state = asyncio.run(graph.ainvoke(task, config)) if is_async else graph.invoke(task, config)
    assert state["status"] == "done"
    assert "The lorry is red." in model.texts


@pytest.mark.parametrize(
    "own",
    [
        lambda: {"index": Broken()},
        lambda: {"store": InMemoryStore(index={"embed": Broken(), "dims": 4})},
        lambda: {"index": {"embed": vectors, "dims": 5}},
        lambda: {"index": lambda texts: []},
        lambda: {"index": lambda texts: None},
    ],
    ids=["down", "store down", "dims", "no vectors", "nothing"],
)
def test_a_model_that_fails_fails_no_run_and_is_told_of_once(own: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with opened(**own()) as team:
        assert recalled(team, "who knows about the bakery") == ["b"]
        team.memory.recall("bakery", 1)
        assert len(team.memory.all()) == 3
    assert caplog.text.count("the embedding model failed, and the shared memory is searched by words") == 1


def test_dims_that_do_not_fit_are_named(caplog: pytest.LogCaptureFixture) -> None:
    with opened(index={"embed": vectors, "dims": 5}) as team:
        recalled(team)
    assert "vectors of 4 numbers, and dims is 5: set dims to 4" in caplog.text


def test_vectors_of_another_model_in_a_store_are_no_error(caplog: pytest.LogCaptureFixture) -> None:
    store = InMemoryStore(index={"embed": vectors, "dims": 4})
    with opened(store=store) as team:
        recalled(team)
    assert store.embeddings is not None
    store.embeddings.func = lambda texts: [[1.0] for _ in texts]  # type: ignore[attr-defined]
    assert [e.sub_task_id for e in SharedMemory(store, "t").recall("the bakery", 1)] == ["b"]
    assert "searched by words" in caplog.text


def test_a_model_that_hangs_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.memory.own_embedder.EMBEDDER_S", 0.1)
    never = threading.Event()
    with opened(index=lambda texts: never.wait()) as team:
        assert recalled(team, "the bakery") == ["b"]
    never.set()


@pytest.mark.parametrize(
    ("index", "problem"),
    [
        (3, "index has to be an embedding model"),
        ("nobody:knows", "the embedding model 'nobody:knows' cannot be used"),
        ({"dims": 4}, "index names no embedding model"),
        ({"embed": vectors, "dims": 0}, "dims of index has to be a positive number"),
        ({"embed": vectors, "fields": "text"}, "fields of index has to be a list"),
        ({"embed": vectors, "field": ["text"]}, "index has no setting 'field'"),
    ],
    ids=["number", "name", "no model", "dims", "fields", "unknown"],
)
def test_settings_that_are_none_are_refused_in_one_line(index: Any, problem: str) -> None:
    for make in (lambda: opened(index=index), lambda: compile_graph(make_team(TeamScript([])), index=index)):
        with pytest.raises(ConfigError, match=problem):
            make()
