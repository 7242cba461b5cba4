"""The graphs as LangGraph Studio sees them: a real `langgraph dev`, driven through langgraph-sdk."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.store.base import PutOp

from orchestrator import OrchestratorClient, Persistence, SharedMemory
from orchestrator.budget.ledger_store import row_op
from orchestrator.concurrency import BLOCKING, run_blocking
from orchestrator.errors import PersistenceError
from orchestrator.memory.entry import Entry
from orchestrator.persistence.namespaces import namespace
from orchestrator.server.studio import Database, ServerSaver, ServerStore, checkpointer, store
from orchestrator.testing import Gate, OpenAIServer, Reply, Request, TeamScript, call
from tests.support.studio import Studio

TASK = "How many people live in Chile and Peru together?"
DESK_TASK = "What is the capital of Chile?"
TEAM_SCRIPT = TeamScript(
    [
        {
            "id": "t1",
            "description": "Find Chile's population.",
            "target_agent": "researcher",
            "requires_approval": True,
        },
        {"id": "t2", "description": "Find Peru's population.", "target_agent": "researcher", "requires_approval": True},
        {"id": "t3", "description": "Add the figures up.", "target_agent": "coder", "depends_on": ["t1", "t2"]},
        {"id": "t4", "description": "Check the sum.", "target_agent": "reviewer", "depends_on": ["t3"]},
    ],
    results={
        "t1": [call("search_documents", query="Chile population"), "Chile has 18 million people."],
        "t2": [call("search_documents", query="Peru population"), "Peru has 32 million people."],
        "t3": [call("calculate", expression="18 + 32"), "Together 50 million."],
    },
    summary="50 million people [t3].",
)
DESK_SCRIPT = TeamScript(
    [{"id": "d1", "description": "Find the capital.", "target_agent": "reader"}], summary="Santiago [d1]."
)


SLOW_TASK = "What is the capital of Peru?"
SLOW_SCRIPT = TeamScript(
    [{"id": "d1", "description": "Find the capital.", "target_agent": "reader"}], summary="Lima [d1]."
)
GATES = [Gate()]
"""Hold back the first request of a worker for the slow task."""


def script(request: Request) -> Reply:
    if SLOW_TASK in request.text:
        is_worker = not request.title and "Sub-task d1: " in request.last_user
        reply = SLOW_SCRIPT(request)
        return reply.behind(GATES.pop()) if is_worker and GATES else reply
    return (DESK_SCRIPT if DESK_TASK in request.text else TEAM_SCRIPT)(request)


@pytest.fixture(scope="module")
def model() -> Iterator[OpenAIServer]:
    with OpenAIServer(script) as server:
        yield server


@pytest.fixture(scope="module")
def studio(model: OpenAIServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    studio = Studio(tmp_path_factory.mktemp("studio"), model.base_url)
    try:
        studio.start()
        yield studio
    finally:
        studio.end()


def requests_of(model: OpenAIServer, thread_from: int, sub_task: str) -> int:
    """Return how often a worker asked the model about a sub-task since request number `thread_from`."""
    begins = re.compile(rf"^Sub-task {sub_task}: ", re.MULTILINE)
    return sum(any(begins.search(str(m["content"])) for m in body["messages"]) for body in model.bodies[thread_from:])


@pytest.mark.timeout(600)
def test_a_run_is_approved_killed_and_answered_question_by_question(studio: Studio, model: OpenAIServer) -> None:
    before = len(model.bodies)
    thread = studio.client.threads.create()["thread_id"]
    studio.run(thread, input={"task": TASK})
    state = studio.client.threads.get_state(thread)
    assert state["next"] == ["approve_plan"]
    (review,) = state["values"]["reviews"]
    assert state["values"]["status"] == "waiting"
    assert [task["id"] for task in review["subject"]["plan"]] == ["t1", "t2", "t3", "t4"]

    # Studio's "continue" is no decision: the gate asks its question.
    studio.run(thread, input=None)
    assert studio.questions(thread)["plan"]["value"]["id"] == review["id"]
    assert requests_of(model, before, "t1") == 0

    studio.run(thread, command={"resume": {"review_id": review["id"], "action": "approve"}})
    questions = studio.questions(thread)
    assert set(questions) == {"t1", "t2"}
    assert questions["t1"]["value"]["subject"]["result"] == "Chile has 18 million people."

    def approve(sub_task: str) -> None:
        asked = questions[sub_task]
        answer = {"review_id": asked["value"]["id"], "action": "approve"}
        studio.run(thread, command={"resume": {asked["id"]: answer}})

    approve("t1")
    assert set(studio.questions(thread)) == {"t2"}
    assert requests_of(model, before, "t3") == 0

    studio.kill_and_start()
    studio.client.threads.create(thread_id=thread, graph_id="research_team", if_exists="do_nothing")
    studio.settle(thread)
    questions = studio.questions(thread)
    assert set(questions) == {"t2"}
    approve("t2")
    state = studio.client.threads.get_state(thread)
    assert state["next"] == [], state["values"]["review"]
    assert state["values"]["status"] == "done"
    assert state["values"]["answer"] == "50 million people."
    outcomes = state["values"]["outcomes"]
    assert {task_id: outcome["status"] for task_id, outcome in outcomes.items()} == dict.fromkeys(
        ["t1", "t2", "t3", "t4"], "succeeded"
    )
    assert [requests_of(model, before, task_id) for task_id in ("t1", "t2", "t3", "t4")] == [2, 2, 2, 1]

    steps = [snapshot["next"] for snapshot in studio.client.threads.get_history(thread, limit=50)]
    assert steps[0] == []
    assert ["summarize"] in steps
    assert ["researcher", "researcher", "coder", "reviewer"] in steps
    assert ["approve_plan"] in steps


@pytest.mark.timeout(600)
def test_an_answer_that_is_no_decision_is_asked_again(studio: Studio, model: OpenAIServer) -> None:
    before = len(model.bodies)
    thread = studio.client.threads.create()["thread_id"]
    studio.run(thread, input={"task": TASK})
    studio.run(thread, command={"resume": "yes, go on"})
    asked = studio.questions(thread)["plan"]["value"]
    assert '"action": "approve"' in asked["problem"]

    studio.run(thread, command={"resume": {"review_id": "another/plan-0", "action": "approve"}})
    assert "another/plan-0" in studio.questions(thread)["plan"]["value"]["problem"]

    studio.run(thread, command={"resume": {"review_id": asked["id"], "action": "stop"}})
    state = studio.client.threads.get_state(thread)
    assert state["next"] == []
    assert state["values"]["status"] == "stopped"
    assert requests_of(model, before, "t1") == 0


@pytest.mark.timeout(600)
def test_the_output_of_a_run_carries_its_review_which_is_answered_at_the_first_stop(studio: Studio) -> None:
    thread = studio.client.threads.create()["thread_id"]
    output = studio.run(thread, input={"task": TASK})
    assert output.keys() <= {"task", "status", "answer", "references", "results", "reviews", "usage"}
    (review,) = output["reviews"]
    assert (output["status"], review["kind"], review["allowed"][0]) == ("waiting", "plan", "approve")

    output = studio.run(thread, command={"resume": {"decisions": [{"type": "approve"}]}})
    assert output.keys() == {"__interrupt__"}, "all that the server's `wait` returns of a run with interrupts"
    asked = studio.questions(thread)
    assert asked["t1"]["response_schema"] == asked["t1"]["value"]["schema"]
    accept = [{"type": "accept", "args": None}]
    studio.run(thread, command={"resume": {asked["t1"]["id"]: accept}})
    output = studio.run(thread, command={"resume": "approve"})
    assert (output["status"], output["answer"]) == ("done", "50 million people.")
    assert output["results"]["t3"]["text"] == "Together 50 million."


@pytest.mark.timeout(600)
def test_the_other_team_streams_and_a_deleted_thread_leaves_nothing(studio: Studio) -> None:
    graphs = {found["graph_id"]: found["description"] for found in studio.client.assistants.search()}
    assert graphs.keys() == {"research_team", "document_desk", "data_analyst"}
    assert "database" in graphs["data_analyst"]
    assert all(description.startswith("Answers questions") for description in graphs.values())
    thread = studio.client.threads.create()["thread_id"]
    chunks = list(
        studio.client.runs.stream(
            thread,
            "document_desk",
            input={"task": DESK_TASK, "auto_approve": True},
            stream_mode=["custom", "messages-tuple"],
        )
    )
    told = [chunk.data["event"] for chunk in chunks if chunk.event == "custom"]
    assert [event for event in told if event not in ("spend", "text", "model_asked", "model_returned")] == [
        "planning",
        "plan",
        "round",
        "sub_task",
        "sub_task",
        "summarize",
        "answer",
    ]
    spoken = "".join(chunk.data[0]["content"] for chunk in chunks if chunk.event == "messages")
    assert spoken.endswith("Santiago [d1].")

    config = {"configurable": {"thread_id": thread}}
    with Persistence(str(studio.db)) as persistence:  # the file is the one that every other part of the project reads
        saved = persistence.checkpointer.get_tuple(config)
        assert saved is not None
        assert saved.checkpoint["channel_values"]["answer"] == "Santiago."
        assert [entry.sub_task_id for entry in SharedMemory(persistence.store, thread).all()] == ["d1"]

        studio.client.threads.delete(thread)
        assert persistence.checkpointer.get_tuple(config) is None
        assert SharedMemory(persistence.store, thread).all() == []


@pytest.mark.timeout(600)
def test_a_run_of_the_server_is_cancelled_from_another_process_and_goes_on(studio: Studio) -> None:
    [gate] = GATES
    thread = studio.client.threads.create()["thread_id"]
    run = studio.client.runs.create(thread, "document_desk", input={"task": SLOW_TASK, "auto_approve": True})
    try:
        assert gate.entered.wait(60)
        with OrchestratorClient(str(studio.db)) as client:
            assert client.cancel(thread) == "cancelled"
    finally:
        gate.release()
    studio.client.runs.join(thread, run["run_id"])
    assert studio.client.threads.get_state(thread)["next"], "something is left to do"
    output = studio.client.runs.wait(thread, "document_desk", input=None)
    assert (output["status"], output["answer"]) == ("done", "Lima.")


# -- the checkpointer and the store, without a server -----------------------------------------------------------------


def saved_under(thread_id: str, run_id: str = "r1") -> tuple[Any, Any, Any]:
    config = {"configurable": {"thread_id": thread_id, "checkpoint_ns": ""}}
    return config, empty_checkpoint(), {"source": "loop", "step": 0, "run_id": run_id}


async def test_what_the_server_saves_the_engine_reads_and_the_other_way_round(tmp_path: Path) -> None:
    config, checkpoint, metadata = saved_under("t")
    async with Database(str(tmp_path / "a.db")).use() as database:
        saver = ServerSaver(database)
        put = await saver.aput(config, checkpoint, metadata, {})
        await saver.aput_writes(put, [("outcomes", {"a": 1}), ("answer", "x" * 10_000)], "node")
        with Persistence(str(tmp_path / "a.db")) as persistence:
            found = persistence.checkpointer.get_tuple(config)
            assert found is not None
            assert found.checkpoint["id"] == checkpoint["id"]
            assert found.pending_writes == [("node", "outcomes", {"a": 1}), ("node", "answer", "x" * 10_000)]
            persistence.store.put(("a",), "k", {"text": "x" * 10_000})
        assert [part.config["configurable"]["checkpoint_id"] async for part in saver.alist(config)] == [
            checkpoint["id"]
        ]
        item = await ServerStore(database).aget(("a",), "k")
        assert item is not None
        assert item.value == {"text": "x" * 10_000}


async def test_many_writers_at_once_never_meet_a_locked_database(tmp_path: Path) -> None:
    url = str(tmp_path / "a.db")
    async with Database(url).use() as database:
        saver, shelf = ServerSaver(database), ServerStore(database)

        async def work(number: int) -> None:
            config, checkpoint, metadata = saved_under(f"t{number}")
            put = await saver.aput(config, checkpoint, metadata, {})
            await saver.aput_writes(put, [("a", number), ("b", number)], "node")
            await shelf.aput(("place", str(number)), "k", {"n": number})

        def engine() -> None:  # as another process beside the server would, over a connection of its own
            with Persistence(url) as persistence:
                for number in range(50):
                    persistence.store.put(("engine",), str(number), {"n": number})

        await asyncio.gather(asyncio.to_thread(engine), *(work(number) for number in range(200)))
        assert len([found async for found in saver.alist(None)]) == 200
        assert len(await shelf.asearch(("place",), limit=500)) == 200
        assert len(await shelf.asearch(("engine",), limit=500)) == 50


async def test_deleting_a_thread_takes_its_memory_decisions_and_ledger_along(tmp_path: Path) -> None:
    async with Database(str(tmp_path / "a.db")).use() as database:
        saver, shelf = ServerSaver(database), ServerStore(database)
        for thread_id in ("gone", "kept"):
            config, checkpoint, metadata = saved_under(thread_id)
            await saver.aput(config, checkpoint, metadata, {})
            memory = SharedMemory(database.persistence.store, thread_id)
            run_blocking(memory.write(BLOCKING, Entry(key="k", text="text", sub_task_id="a")))
            await shelf.abatch([PutOp(namespace(thread_id, "decisions"), "review", {"action": "approve"})])
            await shelf.abatch([row_op(thread_id, "worker", {"spent": {}})])
        await saver.adelete_thread("gone")
        left = {tuple(place) for place in await shelf.alist_namespaces()}
        assert left == {namespace("kept", kind) for kind in ("memory", "decisions", "ledger")}
        assert [found.config["configurable"]["thread_id"] async for found in saver.alist(None)] == ["kept"]


async def test_a_rolled_back_run_leaves_the_checkpoints_of_others(tmp_path: Path) -> None:
    async with Database(str(tmp_path / "a.db")).use() as database:
        saver = ServerSaver(database)
        for run_id in ("r1", "r2"):
            config, checkpoint, metadata = saved_under("t", run_id)
            put = await saver.aput(config, checkpoint, metadata, {})
            await saver.aput_writes(put, [("a", run_id)], "node")
        await saver.adelete_for_runs(["r2"])
        left = [found async for found in saver.alist(config)]
        assert [found.metadata["run_id"] for found in left] == ["r1"]
        assert left[0].pending_writes == [("node", "a", "r1")]


async def test_the_factories_share_one_database_and_close_it_after_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_DB", str(tmp_path / "env.db"))
    async with checkpointer() as saver:
        async with store() as shelf:
            await shelf.aput(("a",), "k", {"n": 1})
        config, checkpoint, metadata = saved_under("t")
        await saver.aput(config, checkpoint, metadata, {})
        assert saver._database is shelf._database
    assert saver._database._persistence is None
    async with store() as again:
        assert (await again.aget(("a",), "k")) is not None


async def test_a_file_that_is_no_database_is_said_plainly(tmp_path: Path) -> None:
    path = tmp_path / "no.db"
    path.write_text("this is a letter to my aunt, and not a database at all" * 40)
    with pytest.raises(PersistenceError, match="not a SQLite database"):
        async with Database(str(path)).use():
            pass
