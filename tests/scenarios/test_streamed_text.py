"""The words of answers stream as events: what stands on a page at the end is the text that the engine uses."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from orchestrator import Budget, CallPolicy, Limits, Run, TaskOrchestrator, TextDelta, TextVoided
from orchestrator.events import parse_event
from orchestrator.model_calls.retries import Resilience
from orchestrator.testing import Fault, Gate, OpenAIServer, Reply, ScriptedModel, TeamScript, call
from tests.support.pages import Page, endpoint, look, open_on, over_http, read, scripted
from tests.support.teams import step

PLAN = [step("a"), step("b", "a")]
ANSWER = "The answer is\n\nforty-two.  Truly."


def results(orchestrator: TaskOrchestrator) -> dict[str, str]:
    return {entry.sub_task_id: entry.text for entry in orchestrator.memory_of("t").all() if entry.sub_task_id}


class Whole(BaseChatModel):
    """A model of somebody's own, without `_stream`."""

    script: Any

    @property
    def _llm_type(self) -> str:
        return "whole"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self.bind(tools=tools, **kwargs)

    def with_structured_output(self, schema: Any, **kwargs: Any) -> Any:
        return ScriptedModel(self.script).with_structured_output(schema, **kwargs)

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        message = ScriptedModel(self.script).invoke(messages)
        return ChatResult(generations=[ChatGeneration(message=message)])


@contextmanager
def without_stream(script: Any) -> Iterator[BaseChatModel]:
    yield Whole(script=script)


class Blocks(ScriptedModel):
    """A model that thinks in blocks of their own, as Anthropic's do."""

    def _stream(self, messages: Any, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        thought = [{"type": "thinking", "thinking": "let me see", "index": 0}]
        yield ChatGenerationChunk(message=AIMessageChunk(content=thought))  # type: ignore[arg-type]
        for chunk in super()._stream(messages, *args, **kwargs):
            words = [{"type": "text", "text": str(chunk.message.text), "index": 1}]
            chunk.message.content = words  # type: ignore[assignment]
            yield chunk

    async def _astream(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        for chunk in self._stream(messages, *args, **kwargs):
            yield chunk


@contextmanager
def in_blocks(script: Any) -> Iterator[BaseChatModel]:
    yield Blocks(script)


MODELS = [scripted, over_http, without_stream, in_blocks]


@pytest.mark.parametrize("model_of", MODELS)
@pytest.mark.parametrize(
    "summary",
    [
        "It is 5 [a], and as [b] says, it is 6 (see [a]).\n\nSources: [a], [b]",
        "[a]: five of them\n- [b] six of them",
        "[a] [b]",
        "Nothing is known of [this].",
    ],
)
def test_the_words_of_the_answer_come_without_its_references(model_of: Callable[..., Any], summary: str) -> None:
    with model_of(TeamScript(PLAN, summary=summary)) as model, open_on(model) as orchestrator:
        page, run = read(orchestrator)
    assert page.shown[""] == run.answer
    assert "[a]" not in "".join(delta.text for delta in page.deltas if not delta.sub_task_id)
    assert page.voided == []


@pytest.mark.parametrize("model_of", MODELS)
def test_the_words_of_workers_and_of_the_answer_are_their_texts(model_of: Callable[..., Any]) -> None:
    script = TeamScript(PLAN, results={"a": "  first,\nsecond ", "b": "done b"}, summary=f" {ANSWER}\n")
    with model_of(script) as model, open_on(model) as orchestrator:
        page, run = read(orchestrator)
        assert run.status == "done"
        assert (
            page.shown
            == {**results(orchestrator), "": run.answer}
            == {"a": "first,\nsecond", "b": "done b", "": ANSWER}
        )
    assert page.voided == []
    who = {(delta.sub_task_id, delta.agent, delta.attempt) for delta in page.deltas}
    assert who == {("a", "worker", 1), ("b", "worker", 1), ("", "supervisor", 1)}
    words = len([delta for delta in page.deltas if not delta.sub_task_id])
    # The first words of a line after the first wait for the next ones: they may begin a line of sources.
    assert (words == 1) is (model_of is without_stream)


def test_words_are_told_while_the_model_still_answers() -> None:
    gate = Gate()
    script = TeamScript(PLAN, summary=Reply(ANSWER).behind(gate, after=3))
    with over_http(script) as model, open_on(model) as orchestrator:
        shown = ""
        for item in orchestrator.stream("x", auto_approve=True):
            if isinstance(item, TextDelta) and not item.sub_task_id:
                shown += item.text
                if shown == "The answer":
                    gate.release()
    assert isinstance(item, Run)
    assert shown == item.answer == ANSWER


@pytest.mark.parametrize("model_of", [scripted, over_http])
def test_words_beside_a_tool_call_are_void_and_calls_are_not_told(model_of: Callable[..., Any]) -> None:
    calling = Reply("let me look", calls=(("look", {"at": "x"}),))
    script = TeamScript([step("a", agent="tooled")], results={"a": [call("look", at="y"), calling, "it is x"]})
    with model_of(script) as model, open_on(model, look) as orchestrator:
        page, run = read(orchestrator)
    assert run.status == "done"
    assert page.shown["a"] == "it is x"
    assert page.voided == ["the model calls tools"]
    # A known secret of another test may begin as a word does, and hold a part of it back.
    told = [delta.text for delta in page.deltas if delta.sub_task_id]
    assert "".join(told) == "let me lookit is x"
    assert len(told) > 4


def test_plans_and_verdicts_are_not_told() -> None:
    plan = [step("a"), step("r", "a", agent="reviewer")]
    page, run = read(open_on(ScriptedModel(TeamScript(plan, results={"a": "found"}))))
    assert run.status == "done"
    assert page.shown == {"a": "found", "": "the answer"}


@pytest.mark.parametrize("model_of", [scripted, over_http, without_stream])
@pytest.mark.parametrize(
    ("pieces", "told"),
    [
        (("<think>", "2 + 2", " is 5</th", "ink>\n\n", "It is 4"), "It is 4"),
        (("\n<th", "inking>{}</thinking><think>", "x</think> It", " is 4"), "It is 4"),
        (("<", "b>It</b> <think>", "is</think> 4"), "<b>It</b> <think>is</think> 4"),
        (("2 + 2 is 5\n", "</think>\n", "It is", " 4"), "It is 4"),
    ],
    ids=["thoughts", "twice", "not at the beginning", "opened in the prompt"],
)
def test_thoughts_are_not_told(model_of: Callable[..., Any], pieces: tuple[str, ...], told: str) -> None:
    reply = Reply("".join(pieces), pieces=pieces)
    script = TeamScript([step("a")], results={"a": reply}, summary=reply)
    with model_of(script) as model, open_on(model) as orchestrator:
        page, run = read(orchestrator)
        assert page.shown == {"a": told, "": told}
        assert run.answer == results(orchestrator)["a"] == told


def test_an_endpoint_that_opens_its_thoughts_in_the_prompt_is_learned() -> None:
    pieces = ("2 + 2 is 5\n", "</think>\n", "It is", " 4")
    reply = Reply("".join(pieces), pieces=pieces)
    with OpenAIServer(TeamScript([step("a")], results={"a": reply}, summary=reply)) as server:
        page, _ = read(open_on(endpoint(server)))
    assert page.voided == ["the answer came in another form"]
    assert [delta.text for delta in page.deltas if not delta.sub_task_id] == ["It is", " 4"]


@pytest.mark.parametrize("model_of", [scripted, over_http])
def test_a_stream_that_breaks_off_is_void_paid_and_repeated(model_of: Callable[..., Any]) -> None:
    lost, broken = threading.Event(), Reply("It is wrong, sadly", breaks_after=2)

    def script(request: Any) -> Reply:
        reply = TeamScript([step("a")], summary=ANSWER)(request)
        if reply.text == ANSWER and not lost.is_set():
            lost.set()
            return broken
        return reply

    spent = {}
    for listener in (True, False):
        lost.clear()
        budget = Budget(tokens=60_000, answer_tokens=900)
        with model_of(script) as model, open_on(model, budget=budget) as orchestrator:
            page = Page()
            run = orchestrator.run("x", auto_approve=True, on_event=page if listener else None)
            assert (run.status, run.answer) == ("done", ANSWER)
            spent[listener] = run.usage
            if listener:
                assert page.shown[""] == ANSWER
                assert len(page.voided) == 1
    assert spent[True] == spent[False], "as without a listener: the reservation counts"
    assert spent[True]["output_tokens"] > 900


@pytest.mark.parametrize("reports", [True, False], ids=["with usage", "without usage"])
@pytest.mark.parametrize("usage_in", ["last", "every"])
def test_a_streamed_answer_is_booked_as_one_that_comes_whole(reports: bool, usage_in: Any) -> None:
    script = TeamScript(
        [step("a")], results={"a": Reply("one two", usage=reports)}, summary=Reply(ANSWER, usage=reports)
    )
    spent = []
    for listener in (Page(), None):
        with OpenAIServer(script, usage_in=usage_in) as server:
            with open_on(endpoint(server), budget=Budget(tokens=60_000, answer_tokens=900)) as orchestrator:
                spent.append(orchestrator.run("x", auto_approve=True, on_event=listener).usage)
            assert [body.get("max_tokens") for body in server.bodies] == [900, 900, 900]
    assert spent[0] == spent[1]
    assert (spent[0]["output_tokens"] > 1000) is not reports


def test_a_fallback_takes_the_place_of_what_the_first_model_has_said() -> None:
    def broken(request: Any) -> Reply:
        reply = TeamScript([step("a")])(request)
        return reply if request.schema else Reply("wrong wrong wrong", breaks_after=2)

    policy = CallPolicy(
        [ScriptedModel(TeamScript([step("a")], summary=ANSWER))], resilience=Resilience(retries=0, first_wait_s=0)
    )
    page, run = read(open_on(ScriptedModel(broken), policy=policy))
    assert page.shown == {"a": "result of a", "": ANSWER}
    assert run.answer == ANSWER
    assert len(page.voided) == 2


@pytest.mark.parametrize("model_of", [scripted, over_http])
def test_a_request_that_runs_out_of_time_tells_nothing_more(model_of: Callable[..., Any]) -> None:
    gate, asked = Gate(), threading.Event()

    def script(request: Any) -> Reply:
        reply = TeamScript([step("a")], summary=ANSWER)(request)
        if reply.text == ANSWER and not asked.is_set():
            asked.set()
            return Reply("late words never end").behind(gate, after=2)
        return reply

    policy = CallPolicy(resilience=Resilience(retries=1, first_wait_s=0), time_limit_s=0.5)
    with model_of(script) as model, open_on(model, policy=policy) as orchestrator:
        page = Page()
        # On threads a request that is given up goes on.
        chunks = orchestrator.graph.stream(
            {"task": "x", "auto_approve": True}, {"configurable": {"thread_id": "t"}}, stream_mode="custom"
        )
        for chunk in chunks:
            if (event := parse_event(chunk)) is not None:
                page(event)
                if isinstance(event, TextVoided):
                    gate.release()
    assert page.shown[""] == ANSWER
    assert len(page.voided) == 1
    assert "never" not in " ".join(delta.text for delta in page.deltas)


def cut_off(request: Any, first: str, rest: str, *, finish: str = "length") -> Fault | None:
    """The answer of an endpoint whose worker is cut off once, as a stream."""
    asks_rest = "Go on exactly" in json.dumps(request["messages"]) or "is lost" in json.dumps(request["messages"])
    text = rest if asks_rest else first
    if "response_format" in request or "Write the final answer" in json.dumps(request["messages"]):
        return None
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    reason = "stop" if asks_rest else finish
    if not request.get("stream"):
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": reason}
        return Fault(200, raw=json.dumps({"choices": [choice], "usage": usage}))
    deltas = [{"choices": [{"index": 0, "delta": {"content": part}}]} for part in re.findall(r"\s*\S+|\s+\Z", text)]
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}], "usage": usage}
    return Fault(200, raw="".join(f"data: {json.dumps(each)}\n\n" for each in [*deltas, last]) + "data: [DONE]\n\n")


def test_an_answer_that_is_cut_off_goes_on_in_the_same_stream() -> None:
    with (
        OpenAIServer(TeamScript([step("a")]), faults=lambda body: cut_off(body, "one two ", "three four ")) as server,
        open_on(endpoint(server)) as orchestrator,
    ):
        page, _ = read(orchestrator)
        assert page.shown["a"] == results(orchestrator)["a"] == "one two three four"
    assert page.voided == []


def test_what_is_lost_of_an_answer_that_is_cut_off_is_void() -> None:
    with (
        OpenAIServer(TeamScript([step("a")]), faults=lambda body: cut_off(body, '{"half": ', "in short: no")) as server,
        open_on(endpoint(server)) as orchestrator,
    ):
        page, _ = read(orchestrator)
        assert page.shown["a"] == results(orchestrator)["a"] == "in short: no"
    assert page.voided == ["it was cut off"]


def test_a_continuation_that_breaks_off_leaves_what_stood_before() -> None:
    breaks = threading.Event()

    def faults(body: Any) -> Fault | None:
        fault = cut_off(body, "one two ", "three four ")
        if fault is not None and "Go on exactly" in json.dumps(body["messages"]) and not breaks.is_set():
            breaks.set()
            assert fault.raw is not None
            return Fault(200, raw=fault.raw[: fault.raw.index("four") - 5])
        return fault

    with OpenAIServer(TeamScript([step("a")]), faults=faults) as server, open_on(endpoint(server)) as orchestrator:
        page, _ = read(orchestrator)
        assert page.shown["a"] == results(orchestrator)["a"] == "one two three four"
    assert len(page.voided) == 1


def test_half_a_character_waits_for_its_other_half() -> None:
    pieces = ("a \ud83d", "\ude00", " b")
    reply = Reply("".join(pieces), pieces=pieces)
    page, run = read(open_on(ScriptedModel(TeamScript([step("a")], summary=reply))))
    assert page.shown[""] == run.answer == "a 😀 b"
    assert page.voided == []


def test_each_attempt_has_a_stream_and_a_number_of_its_own() -> None:
    plan = [step("a"), step("r", "a", agent="reviewer")]
    verdicts = {
        "r": [
            {"reason": "more", "verdict": "changes_requested", "sub_task_id": "a"},
            {"reason": "ok", "verdict": "accept", "sub_task_id": ""},
        ]
    }
    script = TeamScript(plan, results={"a": "one", ("a", 2): "one and two"}, verdicts=verdicts)
    page, run = read(open_on(ScriptedModel(script)))
    assert run.status == "done"
    assert page.shown["a"] == "one and two"
    streams = {delta.stream: delta.attempt for delta in page.deltas if delta.sub_task_id == "a"}
    assert list(streams.values()) == [1, 2]


@pytest.mark.parametrize("model_of", [scripted, over_http])
def test_two_workers_at_once_do_not_mix_their_words(model_of: Callable[..., Any]) -> None:
    gates = {name: Gate() for name in "ab"}
    said = {name: Reply(f"{name}1 {name}2 {name}3 {name}4").behind(gate, after=2) for name, gate in gates.items()}
    with model_of(TeamScript([step("a"), step("b")], results=said)) as model, open_on(model) as orchestrator:
        orchestrator.team.limits = Limits(parallel_workers=2)
        page = Page()
        for item in orchestrator.stream("x", auto_approve=True, thread_id="t"):
            if not isinstance(item, Run):
                page(item)
            if all(gate.entered.is_set() for gate in gates.values()):
                [gate.release() for gate in gates.values()]
        assert page.shown == {**results(orchestrator), "": "the answer"}
    assert page.shown["a"] == "a1 a2 a3 a4"
