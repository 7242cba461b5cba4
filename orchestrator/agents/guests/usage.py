"""UsageCounter: the tokens of models that a guest calls by itself."""

import threading
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from orchestrator.budget.accounts import Reservation
from orchestrator.budget.allowance import Allowance
from orchestrator.budget.budget import BudgetSpentError
from orchestrator.budget.price import published_nano_usd
from orchestrator.budget.spend import NANO, Spend
from orchestrator.concurrency import Bridge

_DIMENSIONS = ("model_calls", "tokens", "nano_usd")


class UsageCounter(BaseCallbackHandler):
    """Counts what models report, and lets no call begin once the budget is spent.

    A call cannot be capped in advance: it is the guest's own. So the last one may pass the limit by its size.

    Args:
        allowance: The account that pays.
        name: The worker's name, for models that do not report theirs.
    """

    # In line, since only then LangChain awaits the handler before the call, and a raise prevents the call.
    run_inline = True
    raise_error = True

    def __init__(self, allowance: Allowance, name: str) -> None:
        self._allowance = allowance
        self._name = name
        self._lock = threading.Lock()  # a guest may call models on several threads
        self._unbooked: dict[str, Spend] = {}
        self.spent = Spend()

    def on_llm_start(self, *_: Any, **__: Any) -> None:
        """Refuse the call when nothing is left for it.

        Raises:
            BudgetSpentError: A limit of the budget is used up.
        """
        self.check()

    def on_chat_model_start(self, *_: Any, **__: Any) -> None:
        """Refuse the call when nothing is left for it.

        Raises:
            BudgetSpentError: A limit of the budget is used up.
        """
        self.check()

    def on_llm_end(self, response: LLMResult, **_: Any) -> None:
        """Count the usage that an answer reports."""
        messages = [
            generation.message
            for batch in response.generations
            for generation in batch
            if isinstance(generation, ChatGeneration) and isinstance(generation.message, AIMessage)
        ]
        reported = [message.usage_metadata for message in messages if message.usage_metadata]
        asked = sum(usage["input_tokens"] for usage in reported)
        answered = sum(usage["output_tokens"] for usage in reported)
        names = [str(message.response_metadata.get("model_name") or "") for message in messages]
        model = next((name for name in names if name), self._name)
        amount = Spend(asked, answered, 1, 0, self._price(model, asked, answered))
        with self._lock:
            self._unbooked[model] = self._unbooked.get(model, Spend()) + amount
            self.spent += amount

    def check(self) -> None:
        """Raise if a limit is used up.

        Raises:
            BudgetSpentError: It is.
        """
        with self._lock:
            unbooked = sum(self._unbooked.values(), Spend())
        for dimension in _DIMENSIONS:
            left = self._allowance.left(dimension, with_reserved=False)
            used = getattr(unbooked, dimension)
            if left is not None and left - used <= 0:
                limit, share = self._allowance.budget.limits()[dimension], self._allowance.left(dimension, of_run=False)
                scope = self._name if share is not None and share - used <= 0 else "run"
                raise BudgetSpentError(dimension, scope, limit - left + used, limit)

    async def begin(self, bridge: Bridge) -> Reservation | None:
        """Open the booking of a stretch of work.

        Raises:
            BudgetSpentError: The budget is spent.
        """
        if (ledger := self._allowance.ledger) is None:
            return None
        self.check()
        return await ledger.reserve(bridge, self._allowance.account, self._name, Spend(), Spend())

    async def book(self, bridge: Bridge, reservation: Reservation | None) -> None:
        """Book what was counted since `begin`."""
        with self._lock:
            unbooked, self._unbooked = self._unbooked, {}
        if reservation is None or (ledger := self._allowance.ledger) is None:
            return
        names = ", ".join(sorted(unbooked)) or self._name
        booked = Reservation(reservation.id, reservation.account, names, reservation.worst)
        await ledger.settle(bridge, booked, sum(unbooked.values(), Spend()))

    def _price(self, model: str, asked: int, answered: int) -> int:
        budget = self._allowance.budget
        if (price := budget.prices.get(model) or budget.prices.get("*")) is not None:
            return round((price.input_usd * asked + price.output_usd * answered) * NANO / 1_000_000)
        # Unknown prices count nothing: a guest's models cannot be known before they are called.
        return (published_nano_usd(model, "", asked, answered) or 0) if budget.cost_usd is not None else 0
