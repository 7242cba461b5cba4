"""A user's own checkpointer and store: used where they work, refused in one line where they cannot."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.store.base import BaseStore, Op, Result
from langgraph.store.memory import InMemoryStore
from langgraph.store.sqlite import AsyncSqliteStore, SqliteStore

from orchestrator import OrchestratorClient, Persistence, TaskOrchestrator, compile_graph
from orchestrator.errors import ConfigError, OrchestratorError
from orchestrator.persistence.location import default_url
from orchestrator.testing import TeamScript
from tests.support.teams import make_team, model_of, statuses, step, worked

PLAN = [step("a"), step("reviewed", "a", approval=True), step("b", "a", "reviewed")]
CONFIG: Any = {"configurable": {"thread_id": "t"}}


class ForThreads(BaseStore):
    """A store whose author left the asynchronous half out."""

    def __init__(self) -> None:
        self.inner = InMemoryStore()

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        return self.inner.batch(ops)

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        raise NotImplementedError


class SaverForThreads(BaseCheckpointSaver[str]):
    """A saver like PostgresSaver, which has no asynchronous methods of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = InMemorySaver()

    def __getattribute__(self, name: str) -> Any:
        if name in ("get_tuple", "list", "put", "put_writes", "delete_thread", "get_next_version"):
            return getattr(super().__getattribute__("inner"), name)
        return super().__getattribute__(name)


def open_own(checkpointer: Any = None, store: Any = None, db: Path | None = None) -> TaskOrchestrator:
    return TaskOrchestrator(team=make_team(TeamScript(PLAN)), db=db, checkpointer=checkpointer, store=store)


def carry_through(checkpointer: Any, store: Any, db: Path | None = None) -> None:
    """Run to the end over two reviews, each step by another orchestrator, as in another process."""
    with open_own(checkpointer, store, db) as team:
        [review] = team.run("go", thread_id="t").reviews
    with OrchestratorClient(db, checkpointer=checkpointer, store=store) as client:
        assert [each.id for each in client.reviews()] == [review.id]
        client.decide(review.id, "approve")
    with open_own(checkpointer, store, db) as team:
        [review] = team.resume("t").reviews
        assert review.sub_task_id == "reviewed"
        team.decide(review.id, "approve")
        assert team.resume("t").status == "done"
        assert worked(model_of(team)) == ["a", "reviewed", "b"]
        assert [entry.sub_task_id for entry in team.memory_of("t").all()] == ["a", "reviewed", "b"]
        assert [record.id for record in team.threads()] == ["t"]
        team.delete("t")
        assert team.threads() == []
        assert not team.has_thread("t")


def test_everything_in_memory_leaves_no_database_behind() -> None:
    carry_through(InMemorySaver(), InMemoryStore())
    assert not Path(default_url().removeprefix("sqlite:///")).exists()


def test_a_saver_and_a_store_for_threads_serve_the_blocking_and_the_async_methods(tmp_path: Path) -> None:
    stored = SqliteStore.from_conn_string(str(tmp_path / "store.db"))
    with SqliteSaver.from_conn_string(str(tmp_path / "saver.db")) as saver, stored as store:
        store.setup()
        carry_through(saver, store, tmp_path / "x.db")
    carry_through(SaverForThreads(), ForThreads(), tmp_path / "y.db")

    async def arun() -> str:
        with open_own(SaverForThreads(), ForThreads(), tmp_path / "z.db") as team:
            return (await team.arun("go", thread_id="t", auto_approve=True)).status

    assert asyncio.run(arun()) == "done"


def test_only_a_store_keeps_the_checkpoints_in_the_database(tmp_path: Path) -> None:
    carry_through(None, InMemoryStore(), tmp_path / "x.db")
    store = InMemoryStore()
    with open_own(None, store, tmp_path / "x.db") as team:
        team.run("go", thread_id="t", auto_approve=True)
        assert store.search(("orchestrator", "memory", "t"))
    with Persistence(tmp_path / "x.db") as database:
        assert database.thread_ids() == ["t"]
        assert not database.store.search(("orchestrator", "memory", "t"))


def test_a_store_without_the_results_of_a_thread_says_so(tmp_path: Path) -> None:
    db = tmp_path / "x.db"
    with open_own(None, store := InMemoryStore(), db) as team:
        [review] = team.run("go", thread_id="t").reviews
        team.decide(review.id, "approve")
        team.resume("t")
    with (
        open_own(None, InMemoryStore(), db) as team,
        pytest.raises(OrchestratorError, match="the result of a on thread 't' is not in the shared memory any more"),
    ):
        team.resume("t")
    with open_own(None, store, db) as team:
        [review] = team.reviews("t")
        team.decide(review.id, "approve")
        assert team.resume("t").status == "done"


def test_a_saver_and_a_store_of_an_event_loop_work_there_and_are_refused_elsewhere(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            AsyncSqliteSaver.from_conn_string(str(tmp_path / "saver.db")) as saver,
            AsyncSqliteStore.from_conn_string(str(tmp_path / "store.db")) as store,
        ):
            for own in ({"checkpointer": saver}, {"store": store}, {"checkpointer": saver, "store": store}):
                names = " or ".join(type(part).__name__ for part in own.values())
                kind = next(iter(own.values())).__class__.__name__.removeprefix("Async")
                thread_id = names.replace(" or ", "-")
                with TaskOrchestrator(team=make_team(TeamScript(PLAN)), db=tmp_path / "x.db", **own) as team:
                    run = await team.arun("go", thread_id=thread_id, auto_approve=True)
                    assert statuses(run.outcomes) == dict.fromkeys(["a", "reviewed", "b"], "succeeded")
                    assert (await team.ashow(thread_id)).status == "done"
                    for act in (lambda: team.run("again", auto_approve=True), lambda: team.show("t"), team.threads):
                        with pytest.raises(ConfigError, match=f"belongs to the event loop that made it: .*a {kind}"):
                            await asyncio.to_thread(act)
                    await team.adelete(thread_id)

    asyncio.run(asyncio.wait_for(main(), 60))


@pytest.mark.parametrize(
    ("own", "problem"),
    [
        ({"store": InMemoryStore}, "store has to be a store of LangGraph"),
        ({"store": "postgres://x"}, "store has to be a store of LangGraph"),
        ({"checkpointer": SqliteSaver.from_conn_string(":memory:")}, "checkpointer has to be .* open already"),
        ({"checkpointer": InMemorySaver}, "checkpointer has to be a checkpointer of LangGraph"),
        ({"db": Persistence("memory://"), "store": InMemoryStore()}, "an open Persistence has its own store"),
    ],
    ids=["class", "url", "context manager", "saver class", "twice"],
)
def test_what_is_no_store_and_no_saver_is_refused_in_one_line(own: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        TaskOrchestrator(team=make_team(TeamScript(PLAN)), **own)


# -- the bare graph ------------------------------------------------------------------------------------------------


def test_a_saver_for_threads_serves_ainvoke(tmp_path: Path) -> None:
    with SqliteSaver.from_conn_string(str(tmp_path / "x.db")) as saver:
        graph = compile_graph(make_team(TeamScript(PLAN)), checkpointer=saver)
        assert isinstance(graph.checkpointer, SqliteSaver)
        state = asyncio.run(graph.ainvoke({"task": "go", "auto_approve": True}, CONFIG))
        assert state["status"] == "done"
        assert graph.get_state(CONFIG).values["answer"] == state["answer"]
    state = asyncio.run(
        compile_graph(make_team(TeamScript(PLAN)), checkpointer=SaverForThreads(), store=ForThreads()).ainvoke(
            {"task": "go", "auto_approve": True}, CONFIG
        )
    )
    assert state["status"] == "done"


def test_a_saver_of_an_event_loop_says_so_under_invoke_and_does_not_wait_for_ever(tmp_path: Path) -> None:
    async def main() -> Any:
        async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "x.db")) as saver:
            graph = compile_graph(make_team(TeamScript(PLAN)), checkpointer=saver)
            with pytest.raises(ConfigError, match=r"AsyncSqliteSaver has no blocking methods here: .*a SqliteSaver"):
                graph.invoke({"task": "go", "auto_approve": True}, CONFIG)
            assert (await graph.ainvoke({"task": "go", "auto_approve": True}, CONFIG))["status"] == "done"
            return graph

    graph = asyncio.run(main())
    with pytest.raises(ConfigError, match="AsyncSqliteSaver has no blocking methods here"):  # its loop has ended
        graph.invoke({"task": "go", "auto_approve": True}, CONFIG)
