"""Data of a user's schema, asked for from a model."""

from collections.abc import Sequence

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig

from orchestrator.budget.spend import Spend
from orchestrator.model_calls.calls import ModelCalls
from orchestrator.model_calls.structured_output import ask_structured
from orchestrator.planning.output_schema import OutputSchema, TypedValue


async def ask_typed(
    calls: ModelCalls,
    model: BaseChatModel,
    messages: Sequence[BaseMessage],
    schema: OutputSchema,
    ids: Sequence[str] = (),
    *,
    repairs: int,
    config: RunnableConfig | None = None,
) -> tuple[TypedValue, Spend]:
    """Ask until the data fits.

    Args:
        calls: How to call the model.
        model: The model.
        messages: The prompt.
        schema: The schema.
        ids: Ids of the results that the data may come from.
        repairs: Most times that wrong data goes back to the model.
        config: Passed to the model.

    Raises:
        PlanError: The last data was still wrong.
        UnknownOutputError: The model says that it does not know what the schema demands.
        BudgetSpentError: The budget has no room for another call.
    """
    envelope = schema.envelope(ids)
    return await ask_structured(calls, model, messages, envelope, schema.read, repairs=repairs, config=config)
