"""The spend that messages report."""

from collections.abc import Iterable

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from orchestrator.budget.spend import Spend
from orchestrator.messages import is_asked


def reported_spend(messages: Iterable[BaseMessage]) -> Spend:
    """Return the tokens, model calls and tool calls of messages. Tokens are those that the endpoint reported."""
    input_tokens = output_tokens = model_calls = tool_calls = 0
    for message in messages:
        # The messages that the engine writes itself take none of the model calls that the budget allows.
        if isinstance(message, AIMessage) and is_asked(message):
            model_calls += 1
            if message.usage_metadata:
                input_tokens += message.usage_metadata["input_tokens"]
                output_tokens += message.usage_metadata["output_tokens"]
        elif isinstance(message, ToolMessage):
            tool_calls += 1
    return Spend(input_tokens, output_tokens, model_calls, tool_calls)
