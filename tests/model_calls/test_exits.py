"""A model that exits, or raises what asyncio lets end a loop, fails under its name. A Ctrl-C passes."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.outputs import ChatResult
from langgraph.checkpoint.memory import InMemorySaver

from orchestrator import CallPolicy, TaskOrchestrator
from orchestrator.errors import ModelError
from orchestrator.events import TextVoided
from orchestrator.graph.build import compile_graph
from orchestrator.testing import ScriptedModel, TeamScript
from tests.support.teams import make_team, step

PLAN = [step("a"), step("b")]


class AsyncExit(ScriptedModel):
    """A model whose client exits, on the event loop where there is one."""

    end: Any

    async def _agenerate(self, *args: Any, **kwargs: Any) -> ChatResult:
        await asyncio.sleep(0)
        self.end()
        return await super()._agenerate(*args, **kwargs)

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        self.end()
        return super()._generate(*args, **kwargs)


class SyncExit(ScriptedModel):
    """A model without asynchronous methods whose client exits; LangChain calls it on a thread."""

    end: Any
    _agenerate = ScriptedModel.__mro__[1]._agenerate  # type: ignore[attr-defined]

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        return self.end()  # type: ignore[no-any-return]


class StreamExit(ScriptedModel):
    """A model whose client exits in the middle of its stream."""

    end: Any

    async def _astream(self, *args: Any, **kwargs: Any) -> Any:
        async for chunk in super()._astream(*args, **kwargs):
            yield chunk
            self.end()


class Unknown(BaseException):
    """An exception that nobody expects."""


def raising(error: BaseException) -> Callable[[], None]:
    def end() -> None:
        raise error

    return end


def opened(model: ScriptedModel, db: Path | str = "memory://", **options: Any) -> TaskOrchestrator:
    team = make_team(TeamScript(PLAN))
    for agent in (team.supervisor, *team.workers.values()):
        agent.model = model
    if options:
        team.calls = CallPolicy(**options)
    return TaskOrchestrator(team=team, db=str(db))


async def through_arun(orchestrator: TaskOrchestrator) -> None:
    await orchestrator.arun("t", thread_id="t", auto_approve=True)


async def through_astream(orchestrator: TaskOrchestrator) -> None:
    async for _ in orchestrator.astream("t", thread_id="t", auto_approve=True):
        pass


async def through_ainvoke(orchestrator: TaskOrchestrator) -> None:
    graph = compile_graph(orchestrator.team, checkpointer=InMemorySaver())
    await graph.ainvoke({"task": "t"}, {"configurable": {"thread_id": "t"}})


async def through_run(orchestrator: TaskOrchestrator) -> None:
    await asyncio.to_thread(orchestrator.run, "t", thread_id="t", auto_approve=True)


async def through_invoke(orchestrator: TaskOrchestrator) -> None:
    graph = compile_graph(orchestrator.team, checkpointer=InMemorySaver())
    await asyncio.to_thread(graph.invoke, {"task": "t"}, {"configurable": {"thread_id": "t"}})


WAYS = [through_arun, through_astream, through_ainvoke, through_run, through_invoke]
ERRORS = [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), Unknown()]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("kind", [AsyncExit, SyncExit])
def test_it_fails_under_its_name_and_the_callers_loop_goes_on(kind: Any, error: BaseException, way: Any) -> None:
    model = kind(TeamScript(PLAN), end=raising(error))

    async def program() -> str:
        aside = asyncio.create_task(asyncio.sleep(0, "went on"))
        with pytest.raises(ModelError, match=rf"{kind.__name__}.* failed \({type(error).__name__}.*\): resume later"):
            await way(opened(model))
        assert asyncio.get_running_loop().get_task_factory() is None
        return await aside

    assert asyncio.run(program()) == "went on"


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("kind", [AsyncExit, SyncExit])
def test_a_cancellation_that_it_raises_itself_is_told_in_its_words(kind: Any, way: Any) -> None:
    model = kind(TeamScript(PLAN), end=raising(asyncio.CancelledError("the gateway hung up")))

    async def program() -> None:
        with pytest.raises(ModelError, match=rf"{kind.__name__}.* failed \(CancelledError: the gateway hung up\)"):
            await way(opened(model))

    asyncio.run(program())


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_the_words_of_one_that_exits_in_its_stream_are_void(error: BaseException) -> None:
    model = StreamExit(TeamScript(PLAN), end=raising(error))

    async def program() -> list[Any]:
        return [item async for item in opened(model).astream("t", thread_id="t", auto_approve=True)]

    *events, run = asyncio.run(program())
    voided = {event.sub_task_id: event.why for event in events if isinstance(event, TextVoided)}
    assert set(voided) == {"a", "b"}
    assert all(why.startswith(type(error).__name__) for why in voided.values())
    assert run.status == "failed"


def test_another_model_stands_in_for_it() -> None:
    model = AsyncExit(TeamScript(PLAN), end=raising(SystemExit(3)))
    orchestrator = opened(model, fallbacks=[ScriptedModel(TeamScript(PLAN))])
    assert asyncio.run(orchestrator.arun("t", auto_approve=True)).status == "done"


def test_the_thread_can_be_resumed(tmp_path: Path) -> None:
    async def program() -> str:
        with pytest.raises(ModelError):
            await through_arun(opened(AsyncExit(TeamScript(PLAN), end=raising(SystemExit(3))), tmp_path / "x.db"))
        run = await opened(AsyncExit(TeamScript(PLAN), end=lambda: None), tmp_path / "x.db").aresume("t")
        return run.status

    assert asyncio.run(program()) == "done"


@pytest.fixture
def ctrl_c() -> Iterator[Callable[[], None]]:
    """Python's own handler of Ctrl-C, which a test runner may have taken away."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)


def test_a_ctrl_c_while_a_model_is_called_ends_the_program(ctrl_c: Callable[[], None]) -> None:
    orchestrator = opened(AsyncExit(TeamScript(PLAN), end=ctrl_c))
    loop = asyncio.new_event_loop()  # without `asyncio.run`, which makes a cancellation of Ctrl-C
    try:
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(through_arun(orchestrator))
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.gather(*asyncio.all_tasks(loop), return_exceptions=True))
        loop.close()


@pytest.mark.parametrize("times", [1, 2])
def test_a_ctrl_c_under_asyncio_run_ends_the_program(ctrl_c: Callable[[], None], times: int) -> None:
    def press() -> None:
        for _ in range(times):
            ctrl_c()

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(through_arun(opened(AsyncExit(TeamScript(PLAN), end=press))))
