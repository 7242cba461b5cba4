"""A token or dollar budget caps every answer, whatever the name under which a model's class takes the cap."""

from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable, RunnableLambda
from langchain_core.tools import tool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import PrivateAttr

from orchestrator import Budget, ModelError, Supervisor, TaskOrchestrator, Worker, declare, reviewer

PLAN = {
    "sub_tasks": [
        {"id": "a", "description": "look at the lake", "target_agent": "clerk", "depends_on": []},
        {"id": "r", "description": "check the depth", "target_agent": "reviewer", "depends_on": ["a"]},
    ]
}
VERDICT = {"reason": "right", "verdict": "accept", "sub_task_id": ""}


@declare(risk="read")
@tool
def look(place: str) -> str:
    """Look at a place."""
    return "12 m deep"


class ByTools(BaseChatModel):
    """A model that has LangChain's own `with_structured_output`, and takes its limit with the request."""

    _caps: list[Any] = PrivateAttr(default_factory=list)

    @property
    def caps(self) -> list[Any]:
        """The limit of each request."""
        return self._caps

    @property
    def _llm_type(self) -> str:
        return "own"

    def bind_tools(
        self, tools: Any, *, tool_choice: Any = None, **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        return self.bind(tools=[convert_to_openai_tool(each) for each in tools], **kwargs)

    def _cap(self, kwargs: dict[str, Any]) -> Any:
        return kwargs.pop("max_tokens", None)

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        self._caps.append(self._cap(kwargs))
        names = [each["function"]["name"] for each in kwargs.get("tools", ())]
        answers = {"Plan": PLAN, "Verdict": VERDICT, "look": {"place": "lake"}}
        seen = any(message.type == "tool" for message in messages)
        name = next((name for name in names if name in answers and not (name == "look" and seen)), None)
        calls = [{"name": name, "args": answers[name], "id": f"c{len(messages)}", "type": "tool_call"}] if name else []
        usage = {"input_tokens": 50, "output_tokens": 10, "total_tokens": 60}
        message = AIMessage("" if calls else "12 m deep", tool_calls=calls, usage_metadata=usage)
        return ChatResult(generations=[ChatGeneration(message=message)])


class ByField(ByTools):
    """As Ollama's: the limit is a field of another name, and requests with one of their own are refused."""

    num_predict: int | None = None

    def _cap(self, kwargs: dict[str, Any]) -> Any:
        if "max_tokens" in kwargs:
            raise TypeError("chat() got an unexpected keyword argument 'max_tokens'")
        return self.num_predict


class ByOwnField(ByTools):
    """As Mistral's: `max_tokens` is a field, and its own `with_structured_output` refuses it as an argument."""

    max_tokens: int | None = None

    def with_structured_output(self, schema: Any, *, include_raw: bool = False, **kwargs: Any) -> Runnable[Any, Any]:
        kwargs.pop("method", None)
        if kwargs:
            raise ValueError(f"Received unsupported arguments {kwargs}")
        return super().with_structured_output(schema, include_raw=include_raw)

    def _cap(self, kwargs: dict[str, Any]) -> Any:
        return self.max_tokens


class ByWords(ByTools):
    """A model without tools that asks for JSON in words, and cannot limit such an answer."""

    def with_structured_output(self, schema: Any, *, include_raw: bool = False, **kwargs: Any) -> Runnable[Any, Any]:
        if set(kwargs) - {"method"}:
            raise TypeError("unexpected keyword argument")

        def give(_: Any) -> Any:
            return {"raw": AIMessage("{}"), "parsed": PLAN, "parsing_error": None}

        return RunnableLambda(give)


ByWords.bind_tools = BaseChatModel.bind_tools  # type: ignore[method-assign]

BUDGETS = {
    "tokens": Budget(tokens=200_000, answer_tokens=700),
    "dollars": Budget(cost_usd=1.0, answer_tokens=700, prices={"*": {"input_usd": 1.0, "output_usd": 1.0}}),
}


def _orchestrator(model: BaseChatModel, tmp_path: Path) -> TaskOrchestrator:
    clerk = Worker("clerk", "You look.", tools=[look])
    return TaskOrchestrator(Supervisor(), [clerk, reviewer()], db=tmp_path / "x.db", model=model)


@pytest.mark.parametrize("limit", BUDGETS)
@pytest.mark.parametrize("kind", [ByTools, ByField, ByOwnField])
def test_every_answer_is_capped_under_the_name_that_the_class_knows(
    kind: type[ByTools], limit: str, tmp_path: Path
) -> None:
    model = kind()
    with _orchestrator(model, tmp_path) as orchestrator:
        run = orchestrator.run("How deep is it?", auto_approve=True, budget=BUDGETS[limit])
    assert (run.status, run.errors) == ("done", ())
    assert len(model.caps) >= 4
    assert all(isinstance(cap, int) and 0 < cap <= 700 for cap in model.caps)


@pytest.mark.parametrize("kind", [ByTools, ByField, ByOwnField])
def test_without_a_limit_nothing_is_capped(kind: type[ByTools], tmp_path: Path) -> None:
    model = kind()
    with _orchestrator(model, tmp_path) as orchestrator:
        assert orchestrator.run("How deep is it?", auto_approve=True).status == "done"
    assert set(model.caps) == {None}


def test_a_limit_of_the_users_own_is_not_exceeded(tmp_path: Path) -> None:
    model = ByField(num_predict=90)
    with _orchestrator(model, tmp_path) as orchestrator:
        orchestrator.run("How deep is it?", auto_approve=True, budget=BUDGETS["tokens"])
    assert max(model.caps) == 90
    assert model.num_predict == 90, "a user's model is never written to"


def test_a_model_that_cannot_be_capped_is_named(tmp_path: Path) -> None:
    with _orchestrator(ByWords(), tmp_path) as orchestrator, pytest.raises(ModelError, match=r"ByWords takes no limit"):
        orchestrator.run("How deep is it?", auto_approve=True, budget=BUDGETS["tokens"])
