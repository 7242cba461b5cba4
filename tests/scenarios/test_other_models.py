"""The same whole job on chat models of other makers' classes: plan, tools, review, verdict, answer."""

import asyncio
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import PrivateAttr

from orchestrator import (
    Budget,
    Event,
    Run,
    Supervisor,
    TaskOrchestrator,
    TextDelta,
    Worker,
    declare,
    reviewer,
)
from tests.support.teams import step

PLAN = {
    "sub_tasks": [
        step("first", agent="surveyor", approval=True),
        step("others", agent="surveyor"),
        step("check", "first", "others", agent="reviewer"),
    ]
}
VERDICT = {"reason": "right", "verdict": "accept", "sub_task_id": ""}
RESULT = "Lake Onda lies at 412 m."
ANSWER = "Onda lies highest, at 412 m."
THOUGHT = "Hmm, the user wants levels."
USAGE = {"input_tokens": 50, "output_tokens": 10, "total_tokens": 60}


class Base(BaseChatModel):
    """A model that answers the job, whatever the form of its answers."""

    _seen: list[list[BaseMessage]] = PrivateAttr(default_factory=list)

    @property
    def seen(self) -> list[list[BaseMessage]]:
        """The requests."""
        return self._seen

    @property
    def _llm_type(self) -> str:
        return "fake"

    def _content(self, text: str, calls: list[dict[str, Any]]) -> Any:
        return text

    def _details(self, calls: list[dict[str, Any]]) -> dict[str, Any]:
        return {}

    def _next(self, messages: list[BaseMessage], tools: list[str]) -> tuple[str, list[dict[str, Any]]]:
        """Return the text and the calls of the next answer."""
        for name, data in (("Plan", PLAN), ("Verdict", VERDICT)):
            if name in tools:
                return "", [{"name": name, "args": data}]
        if "level" in tools and not any(isinstance(message, ToolMessage) for message in messages):
            return "", [{"name": "level", "args": {"lake": "Onda"}}]
        text = " ".join(str(message.text) for message in messages)
        return (ANSWER if "Write the final" in text else RESULT), []

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        self._check(messages)
        self._seen.append(messages)
        tools = [each["function"]["name"] for each in kwargs.get("tools", ())]
        text, calls = self._next(messages, tools)
        calls = [{**call, "id": self._call_id(len(self._seen)), "type": "tool_call"} for call in calls]
        message = AIMessage(
            self._content(text, calls),
            tool_calls=calls,
            usage_metadata=self._usage(),
            response_metadata=self._details(calls),
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _call_id(self, number: int) -> str | None:
        return f"c{number}"

    def _usage(self) -> Any:
        return USAGE

    def _check(self, messages: list[BaseMessage]) -> None:
        return None


class WithTools(Base):
    def bind_tools(
        self, tools: Any, *, tool_choice: Any = None, **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        return self.bind(tools=[convert_to_openai_tool(each) for each in tools], **kwargs)


class AnthropicLike(WithTools):
    """Blocks of content, thoughts with signatures that must come back, and one system message, the first."""

    def _content(self, text: str, calls: list[dict[str, Any]]) -> Any:
        thought = {"type": "thinking", "thinking": THOUGHT, "signature": f"sig-{len(self._seen)}"}
        said = [{"type": "text", "text": text}] if text else []
        uses = [{"type": "tool_use", "id": c["id"], "name": c["name"], "input": c["args"]} for c in calls]
        return [thought, *said, *uses]

    def _details(self, calls: list[dict[str, Any]]) -> dict[str, Any]:
        return {"stop_reason": "tool_use" if calls else "end_turn", "model_name": "claude-fake"}

    def _usage(self) -> Any:
        return {**USAGE, "input_token_details": {"cache_read": 20, "cache_creation": 5}}

    def _check(self, messages: list[BaseMessage]) -> None:
        assert not any(isinstance(message, SystemMessage) for message in messages[1:]), "system is the first only"
        for before, message in itertools.pairwise(messages):
            if isinstance(message, ToolMessage) and isinstance(before, AIMessage):
                blocks = before.content
                assert isinstance(blocks, list)
                assert blocks[0].get("signature"), "the thought comes back with its signature"  # type: ignore[union-attr]


class GeminiLike(WithTools):
    """A list of parts, reasons in capitals, and calls without ids."""

    def _content(self, text: str, calls: list[dict[str, Any]]) -> Any:
        return [{"type": "thinking", "thinking": THOUGHT}, *([text] if text else [])]

    def _details(self, calls: list[dict[str, Any]]) -> dict[str, Any]:
        return {"finish_reason": "STOP"}

    def _call_id(self, number: int) -> str | None:
        return None


class OllamaLike(WithTools):
    """Its own word for the reason, and its thoughts beside the text."""

    def _details(self, calls: list[dict[str, Any]]) -> dict[str, Any]:
        return {"done": True, "done_reason": "stop", "total_duration": 5}


class Bare(Base):
    """Neither tools nor schemas nor usage nor streams: a text for a text."""

    def _usage(self) -> Any:
        return None

    def _next(self, messages: list[BaseMessage], tools: list[str]) -> tuple[str, list[dict[str, Any]]]:
        assert all(
            isinstance(message.content, str) and message.type in ("system", "human", "ai") for message in messages
        )
        assert not any(message.tool_calls for message in messages if isinstance(message, AIMessage))
        text = "\n".join(str(message.text) for message in messages)
        if '"sub_tasks"' in text and "surveyor" in text and '"target_agent"' in text:
            return f"Here is the plan:\n```json\n{json.dumps(PLAN)}\n```", []
        if '"changes_requested"' in text:
            return json.dumps(VERDICT), []
        if "- level(" in text:
            known = "Onda: 412 m" in text
            return json.dumps(
                {"tool": "answer", "text": RESULT} if known else {"tool": "level", "args": {"lake": "Onda"}}
            ), []
        return (ANSWER if "Write the final" in text else RESULT), []


class BareBlocks(Bare):
    """The same, with the text in a list."""

    def _content(self, text: str, calls: list[dict[str, Any]]) -> Any:
        return [{"type": "text", "text": text}]


class Streaming(AnthropicLike):
    """Streams its blocks word by word."""

    def _stream(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        whole = self._generate(messages, **kwargs).generations[0].message
        assert isinstance(whole, AIMessage)
        assert isinstance(whole.content, list)
        for index, block in enumerate(whole.content):
            assert isinstance(block, dict)
            if block["type"] == "text":
                for word in block["text"].split(" "):
                    chunk = {"type": "text", "text": word + " ", "index": index}
                    yield ChatGenerationChunk(message=AIMessageChunk([chunk]))
            else:
                yield ChatGenerationChunk(message=AIMessageChunk([{**block, "index": index}]))
        calls: Any = [
            {"name": c["name"], "args": json.dumps(c["args"]), "id": c["id"], "index": n, "type": "tool_call_chunk"}
            for n, c in enumerate(whole.tool_calls)
        ]
        last = AIMessageChunk([], tool_call_chunks=calls, usage_metadata=whole.usage_metadata)
        yield ChatGenerationChunk(message=last)


KINDS = [AnthropicLike, GeminiLike, OllamaLike, Streaming, Bare, BareBlocks]


def done(kind: type[Base], db: Path) -> tuple[Run, Base, list[str], list[Event]]:
    """Do the whole job, and answer its reviews."""
    read: list[str] = []
    events: list[Event] = []

    @declare(risk="read")
    def level(lake: str) -> str:
        """Tell the level of a lake."""
        read.append(lake)
        return f"{lake}: 412 m"

    model = kind()
    workers = [Worker("surveyor", "You survey lakes.", tools=[level]), reviewer()]

    async def work() -> Run:
        with TaskOrchestrator(Supervisor(), workers, model=model, db=db) as team:
            run = await team.arun("Which lake lies highest?", thread_id="t", on_event=events.append)
            while run.status == "waiting":
                for review in run.reviews:
                    await team.adecide(review, "approve")
                run = await team.aresume("t", on_event=events.append)
            return run

    return asyncio.run(work()), model, read, events


@pytest.mark.parametrize("kind", KINDS)
def test_the_whole_job_is_done(kind: type[Base], tmp_path: Path) -> None:
    run, model, read, events = done(kind, tmp_path / "x.db")
    assert (run.status, run.errors) == ("done", ())
    assert run.answer.strip() == ANSWER
    assert read == ["Onda", "Onda"], "both sub-tasks read it by the tool"
    assert {outcome.digest for i, outcome in run.outcomes.items() if i != "check"} == {RESULT}
    assert THOUGHT not in json.dumps(run.to_dict())
    assert run.usage["model_calls"] == len(model.seen)
    assert run.usage["input_tokens"] > 0, "estimated where nothing is reported"
    words = "".join(event.text for event in events if isinstance(event, TextDelta) and event.agent == "supervisor")
    assert words.strip().endswith(ANSWER)
    assert THOUGHT not in words


def test_a_bare_model_is_booked_under_its_own_name_and_keeps_to_a_budget(tmp_path: Path) -> None:
    workers = [Worker("surveyor", "You survey.")]
    with TaskOrchestrator(Supervisor(), workers, model=Bare(), db=tmp_path / "x.db") as team:
        plan = PLAN["sub_tasks"][1:2]
        run = team.run("Which lake lies highest?", auto_approve=True, plan=plan, budget=Budget(tokens=30_000))
    assert (run.status, set(run.spending.by_model)) == ("done", {"Bare"})
    assert 0 < run.usage["input_tokens"] + run.usage["output_tokens"] <= 30_000
