"""A tool asks a human by LangGraph's `interrupt()`: the question is a review of its own, answered by text or data."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import BaseTool, tool
from langgraph.types import Command, interrupt

from orchestrator import Supervisor, TaskOrchestrator, Worker, declare
from orchestrator.errors import DecisionError
from orchestrator.testing import ScriptedModel, TeamScript, call
from tests.support.teams import step

PLAN = [step("a", agent="clerk"), step("b", agent="clerk"), step("c", "a", agent="clerk")]


def asking(*payloads: Any, effect: str = "none", log: list[str] | None = None, is_async: bool = False) -> BaseTool:
    """A tool that asks one question after the other."""

    def answers() -> str:
        if log is not None:
            log.append("began")
        told = [repr(interrupt(payload)) for payload in payloads]
        if log is not None:
            log.append("sent")
        return f"told {', '.join(told)}"

    if is_async:

        @tool
        async def ask_user(about: str) -> str:
            """Asks the user."""
            return answers()
    else:

        @tool
        def ask_user(about: str) -> str:
            """Asks the user."""
            return answers()

    return declare(ask_user, risk="read", effect=effect)  # type: ignore[arg-type]


def opened(tmp_path: Path, asked: BaseTool) -> tuple[TaskOrchestrator, ScriptedModel]:
    model = ScriptedModel(TeamScript(PLAN, results={"a": [call("ask_user", about="city"), "it is A"]}))
    worker = Worker("clerk", "You ask.", tools=[asked])
    return TaskOrchestrator(Supervisor(), [worker], db=str(tmp_path / "x.db"), model=model), model


def told(model: ScriptedModel) -> str:
    """The tool's answer, as the model saw it."""
    return next(text for request in model.requests for role, text in request.messages if role == "tool")


@pytest.mark.parametrize("is_async", [False, True], ids=["blocking", "async"])
@pytest.mark.parametrize(
    ("payload", "question"),
    [
        ("Which city?", "Which city?"),
        ({"question": "Which city?", "options": ["A", "B"]}, "Which city?"),
        ({"ask": "city"}, "The tool 'ask_user' waits for an answer"),
        (object(), "<object object at"),
        ({"review_id": "x", "kind": "plan"}, "The tool 'ask_user' waits for an answer"),
    ],
    ids=["text", "question", "object", "not plain", "like ours"],
)
def test_it_blocks_only_its_branch_and_is_answered_by_text(
    tmp_path: Path, payload: Any, question: str, is_async: bool
) -> None:
    orchestrator, model = opened(tmp_path, asking(payload, is_async=is_async))
    run = orchestrator.run("t", auto_approve=True, thread_id="t")
    assert run.status == "waiting"
    assert run.outcomes["b"].status == "succeeded"
    [review] = orchestrator.reviews()
    assert review.question.startswith(question)
    assert (review.kind, review.allowed, review.sub_task_id) == ("question", ("answer", "reject", "stop"), "a")
    orchestrator.decide(review.id, "answer", "A")
    assert orchestrator.resume("t").status == "done"
    assert told(model) == "told 'A'"


def test_the_schema_that_a_tool_asks_for_is_the_schema_of_the_answer(tmp_path: Path) -> None:
    @tool
    def ask_user(about: str) -> str:
        """Asks the user."""
        return f"told {interrupt('How many?', response_schema={'type': 'integer'})!r}"

    orchestrator, model = opened(tmp_path, declare(ask_user, risk="read"))
    orchestrator.run("t", auto_approve=True, thread_id="t")
    [review] = orchestrator.reviews()
    [form] = [f for f in review.answer_schema["oneOf"] if f["properties"]["action"] == {"const": "answer"}]
    assert form["properties"]["data"]["type"] == "integer"
    orchestrator.decide(review.id, "answer", data=0)
    assert orchestrator.resume("t").status == "done"
    assert told(model) == "told 0"


def test_several_questions_are_asked_one_after_the_other(tmp_path: Path) -> None:
    orchestrator, model = opened(tmp_path, asking("first?", "first?", "third?"))
    orchestrator.run("t", auto_approve=True, thread_id="t")
    for answer in ("one", {"two": 2}, [3]):
        [review] = orchestrator.reviews()
        text, data = (answer, None) if isinstance(answer, str) else ("", answer)
        orchestrator.decide(review.id, "answer", text, data)
        run = orchestrator.resume("t")
    assert run.status == "done"
    assert told(model) == "told 'one', {'two': 2}, [3]"


def test_an_effect_that_must_happen_once_happens_once_after_its_question(tmp_path: Path) -> None:
    log: list[str] = []
    orchestrator, _ = opened(tmp_path, asking("Send it?", effect="once", log=log))
    orchestrator.run("t", auto_approve=True, thread_id="t")
    [review] = orchestrator.reviews()
    orchestrator.decide(review.id, "answer", "yes")
    assert orchestrator.resume("t").status == "done"
    assert (log.count("sent"), orchestrator.reviews()) == (1, [])


def test_a_refusal_reaches_the_worker_and_stop_ends_the_run(tmp_path: Path) -> None:
    orchestrator, model = opened(tmp_path, asking("Which city?"))
    orchestrator.run("t", auto_approve=True, thread_id="t")
    [review] = orchestrator.reviews()
    with pytest.raises(DecisionError, match="'approve' does not answer"):
        orchestrator.decide(review.id, "approve")
    with pytest.raises(DecisionError, match="an answer needs its text"):
        orchestrator.decide(review.id, "answer", " ")
    orchestrator.decide(review.id, "reject", "ask nobody")
    assert orchestrator.resume("t").status == "done"
    assert "ask nobody" in told(model)
    orchestrator.run("t", auto_approve=True, thread_id="u")
    [review] = orchestrator.reviews()
    orchestrator.decide(review.id, "stop")
    assert orchestrator.resume("u").status == "stopped"


@pytest.mark.parametrize("answer", ["A", {"city": "A"}])
def test_the_bare_graph_takes_the_bare_answer(tmp_path: Path, answer: Any) -> None:
    orchestrator, model = opened(tmp_path, asking("Which city?", "Sure?"))
    config: Any = {"configurable": {"thread_id": "t"}}

    async def drive() -> dict[str, Any]:
        await orchestrator.graph.ainvoke({"task": "t", "auto_approve": True}, config)
        await orchestrator.graph.ainvoke(Command(resume=answer), config)
        return await orchestrator.graph.ainvoke(Command(resume="yes"), config)

    assert asyncio.run(drive())["status"] == "done"
    assert told(model) == f"told {answer!r}, 'yes'"


def test_an_answer_is_given_to_its_own_question_only(tmp_path: Path) -> None:
    orchestrator, model = opened(tmp_path, asking("Which city?", "Sure?"))
    orchestrator.run("t", auto_approve=True, thread_id="t")
    [first] = orchestrator.reviews()
    orchestrator.decide(first.id, "answer", "A")
    for _ in range(2):  # to continue without an answer asks the second question again
        assert orchestrator.resume("t").status == "waiting"
        [second] = orchestrator.reviews()
        assert second.question == "Sure?"
    orchestrator.decide(second.id, "answer", "yes")
    assert orchestrator.resume("t").status == "done"
    assert told(model) == "told 'A', 'yes'"


def test_a_worker_by_itself_has_nobody_to_ask(tmp_path: Path) -> None:
    orchestrator, model = opened(tmp_path, asking("Which city?"))
    from orchestrator import SubTask

    worker = next(iter(orchestrator.workers.values()))
    worker.execute(SubTask(id="a", description="do a", target_agent="clerk"))
    assert "nobody" in told(model)
