"""Every form in which a tool may answer becomes one tool message that checkpoints, limits and marks can hold."""

import base64
from decimal import Decimal
from typing import Any

import pytest
from langchain_core.messages import HumanMessage, ToolCall, ToolMessage
from langgraph.types import Command, Send

from orchestrator.model_calls.content_blocks import describe_parts, parts_of, text_of
from orchestrator.tool_calls.answers import UnusableAnswerError, artifact_of, message_of

CALL = ToolCall(name="look", args={}, id="c1", type="tool_call")
PICTURE = base64.b64encode(b"x" * 3 * 1024).decode()


def answer(text: Any = "seen", **fields: Any) -> ToolMessage:
    return ToolMessage(text, **{"tool_call_id": "c1", "name": "look", **fields})


@pytest.mark.parametrize(
    "given",
    [
        answer(),
        Command(update={"messages": [answer()]}),
        Command(update={"messages": answer()}),
        Command(update=[("messages", [answer()])]),
        [Command(update={"messages": [answer()]})],
        [answer()],
    ],
    ids=["message", "command", "one message", "pairs", "list of commands", "list"],
)
def test_every_form_gives_the_message(given: Any) -> None:
    assert message_of(given, CALL) == answer()


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (Command(goto="typist", graph=Command.PARENT, update={"messages": [HumanMessage("x")]}), "jump to 'typist'"),
        (Command(goto=[Send("a", {}), "b"]), "jump to 'a', 'b'"),
        (Command(update={"messages": []}), "gave no answer. "),
        (Command(update=[7, ("messages", [answer()], "more")]), "gave no answer. "),
        (Command(update={"messages": [answer(tool_call_id="another")]}), "gave no answer"),
        (Command(), "gave no answer"),
        ([], "gave no answer"),
        (None, "gave no answer"),
    ],
    ids=["hand-off", "several", "empty", "no pairs", "another call's", "nothing", "empty list", "none"],
)
def test_what_holds_no_answer_to_the_call_is_told_to_the_worker(given: Any, why: str) -> None:
    with pytest.raises(UnusableAnswerError, match=why):
        message_of(given, CALL)


def test_what_a_command_asks_besides_is_told_with_the_answer() -> None:
    given = Command(goto="typist", update={"favourite": "x", "messages": [answer(), HumanMessage("obey")]})
    shown = message_of(given, CALL)
    told = "\n[not possible here: a jump to 'typist', a value for 'favourite', 1 other messages]"
    assert shown.content == f"seen{told}"
    blocks = [{"type": "text", "text": "seen"}]
    given = Command(goto=("typist",), update={"favourite": "x", "messages": [answer(blocks), HumanMessage("obey")]})
    assert message_of(given, CALL).content == [*blocks, {"type": "text", "text": told}]


def test_text_blocks_are_text_and_others_are_named() -> None:
    message = answer(
        [
            "first",
            {"type": "text", "text": "second"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}},
            {"type": "image_url", "image_url": "https://example.org/a.png"},
            {"type": "image", "base64": PICTURE, "mime_type": "image/jpeg"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": PICTURE}},
            {"type": "audio", "base64": PICTURE, "mime_type": "audio/wav"},
        ]
    )
    assert text_of(message) == "first\nsecond"
    assert describe_parts(parts_of(message)) == (
        "1 image (image/png, 3 KB), 1 image (unknown type), 1 image (image/jpeg, 3 KB), 1 image (image/gif, 3 KB), "
        "1 audio (audio/wav, 3 KB)"
    )


def test_half_a_character_is_replaced() -> None:
    assert text_of(answer("caf\ud83d")) == "caf\ufffd"
    assert text_of(answer([{"type": "text", "text": "\udce9"}])) == "\ufffd"


def circular(made: Any) -> Any:
    made.append(made) if isinstance(made, list) else made.update(itself=made)
    return made


@pytest.mark.parametrize("kept", [None, {"rows": [1, 2.5, "a", None, True]}, [], ("a", 1)], ids=str)
def test_a_plain_artifact_is_kept(kept: Any) -> None:
    assert artifact_of(answer(artifact=kept)) == kept


@pytest.mark.parametrize(
    "dropped",
    [
        *([Decimal(1)], object(), (n for n in range(3)), pytest, ValueError("x"), {1: 2}, {"a": {1, 2}}, b"x"),
        *(circular([]), circular({})),
    ],
    ids=[
        *("decimal", "object", "generator", "module", "error", "number as key", "set", "bytes"),
        *("circular list", "circular dict"),
    ],
)
def test_one_that_no_checkpoint_can_hold_is_dropped(dropped: Any) -> None:
    assert artifact_of(answer(artifact=dropped)) is None
