"""Telling the journal and listeners of a model call: that it is made, and its answer or failure."""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage

from orchestrator.budget.accounts import Account, Reservation
from orchestrator.events import Emit, is_heard
from orchestrator.journal.fact import Fact
from orchestrator.journal.journal import Journal
from orchestrator.model_calls.call_events import ModelAsked, ModelReturned, PromptRead
from orchestrator.model_calls.truncation import truncated_by
from orchestrator.models.completions.prompt_progress import LISTENER
from orchestrator.models.profile import ModelProfile
from orchestrator.redaction import redact
from orchestrator.text import sound


class CallWaits:
    """The waits of the requests of one call, as the journal tells of them.

    Args:
        journal: The journal of the thread; None where there is none.
        account: The agent that asks, and its sub-task.
        attempt: The number of the attempt.
        model: The name of the model.
    """

    def __init__(self, journal: Journal | None, account: Account, attempt: int, model: str) -> None:
        self._journal, self._account, self._attempt, self._model = journal, account, attempt, model
        self._waited: dict[str, float] = {}

    def tell(self, reason: str, seconds: float) -> None:
        """Tell that the next request waits."""
        self._waited[reason] = round(self._waited.get(reason, 0.0) + seconds, 3)
        # The supervisor has no sub-task that could wait. Its next request tells how long it has waited.
        if self._journal is not None and (sub_task := self._account.sub_task_id):
            data = {"reason": reason, "names": [self._model], "seconds": round(seconds, 3)}
            self._journal.note(Fact("sub_task_waits", sub_task, self._attempt, data=data))

    def taken(self) -> dict[str, float]:
        """Return the seconds by reason since the last request."""
        # A repetition tells of its own wait only.
        waited, self._waited = self._waited, {}
        return waited


class CallTelling:
    """One request, as the journal and the events tell of it.

    Args:
        journal: The journal of the thread.
        emit: Takes the events.
        attempt: The number of the attempt at the sub-task.
        profile: The model.
        reservation: Its reservation in the ledger.
    """

    def __init__(
        self, journal: Journal, emit: Emit, attempt: int, profile: ModelProfile, reservation: Reservation
    ) -> None:
        account = reservation.account
        self._journal = journal
        self._emit = emit
        self._request = (account.sub_task_id, account.agent, profile.name, reservation.id)
        self._account = account
        self._worst = reservation.worst
        self._attempt = attempt if account.sub_task_id else 0
        self._data: dict[str, Any] = {"agent": account.agent, "model": profile.name, "call": reservation.id}
        if reservation.model != profile.name:
            self._data["booked"] = reservation.model
        self._began = time.monotonic()

    def asked(self, messages: Sequence[BaseMessage], waited: Mapping[str, float]) -> None:
        """Tell that the model is asked.

        Args:
            waited: Seconds that the request had to wait before, by reason.
            messages: The prompt. Of a worker only its size is told: `sub_task_asked` and the answers since make it up.
        """
        worst = self._worst
        data: dict[str, Any] = {**self._data, "messages": len(messages)}
        if worst.tokens:
            data["reserved_tokens"] = worst.tokens
        if worst.nano_usd:
            data["reserved_nano_usd"] = worst.nano_usd
        if waited:
            data["waited"] = dict(waited)
        if not self._account.sub_task_id:  # few calls, and no other record has their prompts
            data["prompt"] = [{"role": message.type, "text": str(message.text)} for message in messages]
        self._journal.note(Fact("model_asked", self._account.sub_task_id, self._attempt, data=data))
        if is_heard(self._emit):
            self._emit(ModelAsked(*self._request))

    @contextlib.contextmanager
    def hearing(self) -> Iterator[None]:
        """Tell how far the model has read its prompt, where it tells that, while its request goes on."""
        if not is_heard(self._emit):
            yield
            return
        listener = LISTENER.set(lambda tokens, total: self._emit(PromptRead(*self._request, tokens, total)))
        try:
            yield
        finally:
            LISTENER.reset(listener)

    def answered(self, messages: Sequence[BaseMessage], first_token: float | None = None) -> Fact:
        """Return what is told of the answer.

        Args:
            messages: The answer.
            first_token: The monotonic time at which its first words came; None if it did not stream.
        """
        data = {**self._data, "seconds": self._seconds}
        if first_token is not None:
            data["first_token"] = round(first_token - self._began, 3)
        answers = [message for message in messages if isinstance(message, AIMessage)]
        # Without space around it, an answer that is a result is the same text, which is stored once.
        if text := "\n".join(str(message.text) for message in answers if message.text).strip():
            data["text"] = text
        if calls := [call for message in answers for call in message.tool_calls]:
            data["calls"] = [{"name": call["name"], "args": call["args"], "id": call["id"]} for call in calls]
        if answers and (cut_off := truncated_by(answers[-1])):
            data["cut_off"] = cut_off
        self._tell_end()
        return Fact("model_answered", self._account.sub_task_id, self._attempt, data=data)

    def failed(self, error: BaseException) -> Fact:
        """Return what is told of a request that failed or was cancelled."""
        # The reason of a cancellation may be any object, such as the mark of the scope that cancels.
        is_told = isinstance(error, Exception) or any(isinstance(part, str) for part in error.args)
        why = (redact(sound(str(error))) if is_told else "") or type(error).__name__
        data = {**self._data, "seconds": self._seconds, "error": why, "error_type": type(error).__name__}
        if isinstance(error, Exception):  # a run that is cancelled has no listeners left, as a rule
            self._tell_end(why)
        return Fact("model_failed", self._account.sub_task_id, self._attempt, data=data)

    def _tell_end(self, error: str = "") -> None:
        if is_heard(self._emit):
            self._emit(ModelReturned(*self._request, error, self._seconds))

    @property
    def _seconds(self) -> float:
        return round(time.monotonic() - self._began, 3)


def replaced_model(account: Account, attempt: int, model: str, instead: str, error: str) -> Fact:
    """Return what is told of a model that failed, and of the one that is asked instead.

    Args:
        account: The agent that asks, and its sub-task.
        attempt: The number of the attempt.
        model: The model that failed.
        instead: The other model.
        error: The reason.
    """
    data = {"agent": account.agent, "model": model, "instead": instead, "error": error}
    return Fact("model_replaced", account.sub_task_id, attempt if account.sub_task_id else 0, data=data)
