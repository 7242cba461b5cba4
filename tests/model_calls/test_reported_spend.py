"""What a conversation cost, by what its messages report."""

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from orchestrator.agents.attempt_end import AttemptEnd
from orchestrator.budget.spend import Spend
from orchestrator.model_calls.reported_spend import reported_spend
from orchestrator.tool_calls.first_call import first_call


def answered(input_tokens: int, output_tokens: int) -> AIMessage:
    usage = {"input_tokens": input_tokens, "output_tokens": output_tokens, "total_tokens": input_tokens + output_tokens}
    return AIMessage("yes", usage_metadata=usage)  # type: ignore[arg-type]


def test_tokens_and_calls_add_up_and_a_model_that_reports_nothing_counts_as_a_call() -> None:
    messages = [HumanMessage("go"), answered(5, 2), ToolMessage("3", tool_call_id="1"), AIMessage("no"), answered(7, 1)]
    assert reported_spend(messages) == Spend(12, 3, 3, 1)


def test_the_first_call_that_no_model_was_asked_for_is_not_a_model_call() -> None:
    assert reported_spend([first_call("look", "a-1f"), ToolMessage("x", tool_call_id="1")]) == Spend(tool_calls=1)


def test_an_end_that_the_engine_wrote_is_no_model_call_unless_it_stands_in_the_place_of_an_answer() -> None:
    end = AttemptEnd(stalled="it called 'look' twice")
    assert reported_spend([answered(5, 2), end.message("so far")]) == Spend(5, 2, 1)
    assert reported_spend([answered(5, 2), end.message("so far", answered(9, 4))]) == Spend(14, 6, 2)
