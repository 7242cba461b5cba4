"""Structured output: send a JSON schema, read checked data, and send errors back for repair."""

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs
from langgraph.constants import TAG_NOSTREAM

from orchestrator.budget.spend import Spend
from orchestrator.errors import PlanError
from orchestrator.model_calls.answer_limit import structured
from orchestrator.model_calls.calls import ModelCalls, Question, Send
from orchestrator.model_calls.reported_spend import reported_spend
from orchestrator.model_calls.truncation import truncated_by
from orchestrator.planning.output_schema import UnknownOutputError
from orchestrator.text import sound_json

T = TypeVar("T")
Schema = dict[str, Any]


async def ask_structured(
    calls: ModelCalls,
    model: BaseChatModel,
    messages: Sequence[BaseMessage],
    schema: Schema,
    read: Callable[[Any], T],
    *,
    repairs: int,
    config: RunnableConfig | None = None,
) -> tuple[T, Spend]:
    """Ask until the answer can be read.

    Args:
        calls: How to call the model.
        model: Any chat model with `with_structured_output`.
        messages: The prompt.
        schema: JSON schema of the answer, with a title.
        read: Turns the parsed answer into the caller's type; raises PlanError with the problems of a wrong one.
        repairs: Most times that a wrong answer goes back to the model.
        config: Passed to the model.

    Raises:
        PlanError: The last answer was still wrong; the problems are those of the last answer.
        UnknownOutputError: The model says that it does not know what the schema demands.
        BudgetSpentError: The budget has no room for another call.
    """
    spent = Spend()
    conversation = list(messages)
    problems: list[str] = []
    for _ in range(repairs + 1):
        question = Question(conversation, schema=schema)
        reply = await calls.call(model, question, _sender(calls, question, config), _raw)
        spent += reported_spend([reply["raw"]])
        if cut := _cut_off(reply["raw"]):
            problems = [f"the answer was cut off by {cut}: give a shorter one"]
        elif reply["parsing_error"] is not None or reply["parsed"] is None:
            problems = [f"the answer is not JSON of the wanted schema: {reply['parsing_error'] or 'nothing came'}"]
        else:
            try:
                return read(sound_json(reply["parsed"])), spent
            except UnknownOutputError:
                raise
            except PlanError as error:
                problems = error.problems
        listed = "\n".join(f"- {problem}" for problem in problems)
        conversation = [
            *messages,
            AIMessage(_text(reply["raw"]) or "(no answer)"),  # endpoints refuse messages without a text
            HumanMessage(f"This cannot be used:\n{listed}\nAnswer again in full, with these mended."),
        ]
    raise PlanError([*problems, f"the model was asked {repairs + 1} times"])


def _sender(calls: ModelCalls, question: Question, config: RunnableConfig | None) -> Send:
    async def send(model: BaseChatModel, arguments: dict[str, Any]) -> Any:
        asked = structured(model, question.schema or {}, arguments)
        return await calls.bridge.invoke(asked, list(question.messages), _unseen(config))

    return send


def _unseen(config: RunnableConfig | None) -> RunnableConfig:
    """Return the config of a call whose JSON is for the engine alone: readers of `messages` are not shown it."""
    return merge_configs(config, {"tags": [TAG_NOSTREAM]})


def _raw(reply: dict[str, Any]) -> Sequence[BaseMessage]:
    return [reply["raw"]]


def _cut_off(message: AIMessage) -> str:
    """Return the reason why an answer breaks off inside its JSON, else "".

    LangChain's parser completes broken JSON, so half a plan would look like a whole one.
    """
    text = _text(message).strip()
    if not text or not (by := truncated_by(message)):
        return ""
    try:
        json.loads(text)
    except ValueError:
        return by
    return ""


def _text(message: AIMessage) -> str:
    return str(message.text)
