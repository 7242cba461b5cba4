"""ModelCalls: the only way in which the engine asks a model.

1. The call is reserved in the ledger, and its answer is capped to the reservation.
2. It is sent, and cut off at its time limit.
3. It is settled by the usage that the endpoint reports.

Transient failures are retried, each try with a reservation of its own. If the endpoint stays dead, the next fallback
model is asked.
"""

import math
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import openai
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs

from orchestrator.budget.accounts import Reservation
from orchestrator.budget.allowance import Allowance
from orchestrator.budget.budget import BudgetSpentError
from orchestrator.budget.ledger import Ledger
from orchestrator.budget.prices import booked_name, has_public_price, nano_usd, price_is_given, prices_are_read
from orchestrator.budget.spend import Spend
from orchestrator.budget.spending import Spending
from orchestrator.concurrency import Bridge
from orchestrator.daemon_threads import UnusualExitError
from orchestrator.errors import ModelError
from orchestrator.events import SILENT, BudgetShort, Emit, Spent, is_heard
from orchestrator.journal.fact import Fact
from orchestrator.logs import logger
from orchestrator.memory.reference import ReferenceFilter
from orchestrator.messages import make_sound
from orchestrator.model_calls.answer_limit import limited
from orchestrator.model_calls.call_events import FellBack, ModelLoading
from orchestrator.model_calls.call_policy import CallPolicy
from orchestrator.model_calls.call_telling import CallTelling, CallWaits, replaced_model
from orchestrator.model_calls.prompt_tokens import load_tokenizer, needs_tokenizer, prompt_tokens
from orchestrator.model_calls.retries import call_endpoint
from orchestrator.model_calls.text_stream import TextStream, drop_thoughts
from orchestrator.models.endpoints.loading import is_loading
from orchestrator.models.endpoints.window import find_window, lacks_window
from orchestrator.models.error_texts import note_endpoint
from orchestrator.models.errors import cost_nothing, is_endpoint_failure
from orchestrator.models.profile import ModelProfile, address_of, known_window
from orchestrator.redaction import redact_error

LEAST_ANSWER = 64

_log = logger(__name__)


@dataclass(frozen=True)
class Question:
    """The parts of a request that make up its size.

    Args:
        messages: The conversation.
        tools: Tools that the model may call.
        schema: The schema of the answer.
    """

    messages: Sequence[BaseMessage]
    tools: Sequence[Any] = ()
    schema: dict[str, Any] | None = None


Send = Callable[[BaseChatModel, dict[str, Any]], Coroutine[Any, Any, Any]]
"""Sends a request once, to a model and with further arguments."""

MessagesOf = Callable[[Any], Sequence[BaseMessage]]
"""Returns the messages in a reply, which report the usage."""


class ModelCalls:
    """The calls of one agent for one sub-task.

    Args:
        bridge: How to call, blocking or awaiting.
        allowance: The account that pays, and its ledger; by default nothing is limited.
        policy: Retries, fallbacks and time limits.
        emit: Takes progress events.
        attempt: The number of the attempt at the sub-task.
    """

    def __init__(
        self,
        bridge: Bridge,
        allowance: Allowance | None = None,
        policy: CallPolicy | None = None,
        emit: Emit = SILENT,
        attempt: int = 1,
    ) -> None:
        self.bridge = bridge
        self.allowance = allowance or Allowance()
        self.policy = policy or CallPolicy()
        self._emit = emit
        self.attempt = attempt

    def text_stream(self, references: ReferenceFilter | None = None) -> TextStream | None:
        """Return a stream for the words of an answer; None where nobody listens, and models need not stream.

        Args:
            references: Takes the marks of references out of the words; None to leave them.
        """
        if not is_heard(self._emit):
            return None
        account = self.allowance.account
        return TextStream(self._emit, account.agent, account.sub_task_id, self.attempt, references)

    def last_call(self, model: BaseChatModel, question: Question, *, of_run: bool) -> BudgetSpentError | None:
        """Return the limit that another call after this one would pass, or None.

        The last call that fits is better used for a result than for another tool.

        Args:
            model: The model to ask.
            question: The question.
            of_run: Count the limits of the whole run; otherwise only the shares of this worker and sub-task.
        """

        def worst() -> Spend:
            prompt = self._prompt_tokens(model, question) if self._reserves_tokens else 0
            return self._worst(model, prompt, LEAST_ANSWER)

        return self.allowance.lacks_another(worst, of_run=of_run)

    async def invoke(
        self,
        model: BaseChatModel,
        messages: Sequence[BaseMessage],
        config: RunnableConfig | None = None,
        text: TextStream | None = None,
    ) -> AIMessage:
        """Ask for a plain text, whose words a stream takes."""

        async def send(candidate: BaseChatModel, arguments: dict[str, Any]) -> AIMessage:
            bound = candidate.bind(**arguments) if arguments else candidate
            heard = config if text is None else merge_configs(config, text.callbacks)
            answer: AIMessage = await self.bridge.invoke(bound, list(messages), heard)
            return answer

        answer: AIMessage = await self.call(model, Question(messages), send, lambda reply: [reply], text)
        drop_thoughts([answer])
        return answer

    async def call(
        self,
        model: BaseChatModel,
        question: Question,
        send: Send,
        messages_of: MessagesOf,
        text: TextStream | None = None,
    ) -> Any:
        """Ask a model, or one that stands in for it.

        Args:
            model: The agent's own model.
            question: The parts of the request that make up its size.
            send: Sends the request once.
            messages_of: Returns the messages in a reply.
            text: Takes the words of the answer; None if they are no plain text, or nobody listens.

        Raises:
            BudgetSpentError: The call does not fit into the budget, and was not sent.
            ModelError: No model could be reached.
        """
        candidates = self._candidates(model)
        for at, candidate in enumerate(candidates):
            ModelProfile.of(candidate).remember_secrets()  # endpoints repeat keys in answers too
            try:
                reply = await self._ask(candidate, question, send, messages_of, text)
                make_sound(messages_of(reply))
                if text is not None:
                    text.finish(messages_of(reply)[-1])
                return reply
            except Exception as error:
                # Before anybody prints or stores the error: endpoints repeat the key that they refuse.
                where = address_of(candidate)
                note_endpoint(error, where)
                redact_error(error)
                has_exited = isinstance(error, UnusualExitError)
                if not has_exited and not is_endpoint_failure(error):
                    raise
                if at == len(candidates) - 1:
                    # `error_texts` explains these two. Errors of other clients get their model's name here.
                    if isinstance(error, ModelError | openai.OpenAIError):
                        raise
                    why = str(error) or "it does not say why"
                    why = why if has_exited else f"{type(error).__name__}: {why}"
                    name = f"{ModelProfile.of(candidate).name}{f' at {where}' if where else ''}"
                    raise ModelError(f"{name} failed ({why}): resume later") from error
                name, instead = (ModelProfile.of(each).name for each in candidates[at : at + 2])
                _log.warning("%s failed (%s): asking %s instead", name, error, instead)
                account, ledger = self.allowance.account, self.allowance.ledger
                if ledger is not None:
                    ledger.journal.note(replaced_model(account, self.attempt, name, instead, str(error)))
                self._emit(FellBack(account.sub_task_id, name, instead, str(error)))
        raise AssertionError("unreachable: the last candidate returns or raises")

    def _candidates(self, model: BaseChatModel) -> list[BaseChatModel]:
        economy = self.policy.economy
        first = [economy] if economy is not None and self.allowance.is_short else []
        # By identity: the economy model can be a fallback too, and is asked once.
        return list({id(m): m for m in (*first, model, *self.policy.fallbacks)}.values())

    async def _ask(
        self,
        model: BaseChatModel,
        question: Question,
        send: Send,
        messages_of: MessagesOf,
        text: TextStream | None,
    ) -> Any:
        if lacks_window(model):  # a fallback model, or one that has loaded since
            await self.bridge.offload(partial(find_window, model))
        reserves = self._reserves_tokens  # once for all tries: other workers may spend meanwhile
        if reserves and needs_tokenizer(model):
            await self.bridge.offload(partial(load_tokenizer, model))  # the first time, over the network
        is_counted = reserves or self.policy.resilience.tokens_per_minute is not None
        prompt = self._prompt_tokens(model, question) if is_counted else 0
        answer = self._longest_answer(model, prompt) if reserves else 0
        profile, ledger = ModelProfile.of(model), self.allowance.ledger
        waits = CallWaits(ledger.journal if ledger else None, self.allowance.account, self.attempt, profile.name)
        worst = self._worst(model, prompt, answer)
        attempt = partial(self._attempt, model, question, worst, send, messages_of, text, waits)
        if text is not None:
            attempt = partial(_told, text, attempt)
        settings = self.policy.resilience
        if (own := profile.retries) is not None:
            settings = settings.model_copy(update={"retries": own})

        def told_loading() -> None:
            sub_task_id = self.allowance.account.sub_task_id
            self._emit(ModelLoading(sub_task_id, profile.description, settings.longest_loading_s))

        return await call_endpoint(
            self.bridge,
            profile.endpoint,
            settings,
            attempt,
            tokens=prompt,
            on_loading=told_loading,
            on_wait=waits.tell,
        )

    @property
    def _reserves_tokens(self) -> bool:
        return self.allowance.budget.limits_tokens and self.allowance.reserves

    def _prompt_tokens(self, model: BaseChatModel, question: Question) -> int:
        exact, ledger = self.allowance.budget.exact_bytes, self.allowance.ledger
        counted = prompt_tokens(
            model, question.messages, tools=question.tools, schema=question.schema, exact_bytes=exact
        )
        return math.ceil(counted * (ledger.margins.of(ModelProfile.of(model).name) if ledger is not None else 1.0))

    async def _attempt(
        self,
        model: BaseChatModel,
        question: Question,
        worst: Spend,
        send: Send,
        messages_of: MessagesOf,
        text: TextStream | None,
        waits: CallWaits,
    ) -> Any:
        limit, ledger = self.policy.time_limit_of(model), self.allowance.ledger
        if ledger is None:
            return await self._within(limit, partial(send, model, {}))
        reservation = await ledger.reserve(
            self.bridge,
            self.allowance.account,
            booked_name(model, self.allowance.budget.prices),
            worst,
            self._worst(model, worst.input_tokens, min(worst.output_tokens, LEAST_ANSWER)),
        )
        telling = CallTelling(ledger.journal, self._emit, self.attempt, ModelProfile.of(model), reservation)
        telling.asked(question.messages, waits.taken())
        is_capped = ledger.budget.strict and ledger.budget.limits_tokens
        asked, arguments = limited(model, reservation.worst.output_tokens) if is_capped else (model, {})
        left = self.allowance.time_left
        try:
            with telling.hearing():
                reply = await self._within(limit if left is None else min(limit, left), partial(send, asked, arguments))
        except BaseException as error:
            # A cancelled call is settled too, or its reservation would stay in the run's account for good.
            nothing = Spend(model_calls=int(not is_loading(error))) if cost_nothing(error) else None
            spent = nothing or self._unreported(model, question, reservation)
            await ledger.settle(self.bridge, reservation, spent, telling.failed(error))
            if isinstance(error, TimeoutError) and left is not None and left <= limit:
                # Not the endpoint was too slow: the run's own time is over.
                most = ledger.budget.wall_clock_s or 0
                raise BudgetSpentError("wall_clock_s", "run", ledger.seconds, most) from error
            raise
        messages = messages_of(reply)
        told = telling.answered(messages, text.first_token if text is not None else None)
        await self._settle(ledger, model, question, reservation, messages, told)
        return reply

    async def _within(self, seconds: float, body: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Like `Bridge.within`, with an error that says what to do.

        Our limit fires before the client's own, whose error would have named the setting.
        """
        try:
            return await self.bridge.within(seconds, body)
        except TimeoutError as error:
            if str(error):
                raise  # from the call itself, with a text of its own
            remedy = "set ORCHESTRATOR_TIMEOUT_S, or the timeout of a model of your own, to more"
            if self.policy.time_limit_s is not None:
                remedy = "give CallPolicy a higher time_limit_s"
            raise TimeoutError(f"no answer within {seconds:g} s; {remedy}") from error

    def _longest_answer(self, model: BaseChatModel, prompt: int) -> int:
        """Return the most tokens that an answer to a prompt can have: more need not be reserved."""
        profile = ModelProfile.of(model)
        window = known_window(model)
        room = None if window is None else window - prompt
        if room is not None and room < LEAST_ANSWER:
            room = None  # the prompt is an estimate from above, and the endpoint knows better
        limits = (self.allowance.budget.answer_tokens, profile.max_tokens, room)
        return min(limit for limit in limits if limit is not None)

    def _worst(self, model: BaseChatModel, prompt: int, answer: int) -> Spend:
        return Spend(prompt, answer, 1, 0, self._price(model, prompt, answer))

    def _price(self, model: BaseChatModel, prompt: int, answer: int) -> int:
        budget = self.allowance.budget
        if budget.cost_usd is None and not price_is_given(model, budget.prices):
            return 0
        price = nano_usd(model, prompt, answer, budget.prices)
        # Prices are checked before the run. A model that was named later must not run unpriced.
        if price is None:
            raise ModelError(
                f"the price of '{ModelProfile.of(model).name}' is not known, and cost is limited: name its price"
            )
        return price

    async def _settle(
        self,
        ledger: Ledger,
        model: BaseChatModel,
        question: Question,
        reservation: Reservation,
        messages: Sequence[BaseMessage],
        fact: Fact,
    ) -> None:
        reported = [m.usage_metadata for m in messages if isinstance(m, AIMessage) and m.usage_metadata]
        asked = sum(usage["input_tokens"] for usage in reported)
        answered = sum(usage["output_tokens"] for usage in reported)
        if asked or answered:
            ledger.margins.learn(ModelProfile.of(model).name, reservation.worst.input_tokens, asked)
            actual: Spend | None = Spend(asked, answered, 1, 0, self._price(model, asked, answered))
        else:
            actual = self._unreported(model, question, reservation, messages)
        await ledger.settle(self.bridge, reservation, actual, fact)
        spent = ledger.spent
        if is_heard(self._emit):
            cost_usd = await self._cost_so_far(ledger, model)
            self._emit(Spent(spent.tokens, cost_usd, spent.model_calls, ledger.budget.run_limits()))
        if stage := ledger.new_stage():
            ledger.journal.note(Fact("budget_short", data={"stage": stage, "budget": ledger.budget.plain()}))
            self._emit(BudgetShort(stage, str(ledger.budget)))

    async def _cost_so_far(self, ledger: Ledger, model: BaseChatModel) -> float:
        """Return the dollars of the run for those who listen: as booked, or at published prices."""
        booked = ledger.spent.cost_usd
        if booked or not has_public_price(model):
            return booked
        if not prices_are_read():
            await self.bridge.offload(lambda: nano_usd(model, 1, 1))
        return Spending.of_accounts(ledger.accounts).cost_usd or 0.0

    def _unreported(
        self, model: BaseChatModel, question: Question, reservation: Reservation, messages: Sequence[BaseMessage] = ()
    ) -> Spend | None:
        """Return an estimate for a call without reported usage; None if its reservation is the best one."""
        budget = self.allowance.budget
        # An answer that was not capped may be longer than reserved.
        if budget.strict or not budget.limits_tokens or (reservation.worst.tokens and not messages):
            return None
        answer = prompt_tokens(model, messages) if messages else 0
        return self._worst(model, self._prompt_tokens(model, question), answer)


async def _told(text: TextStream, attempt: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Make one attempt, and declare void what it has told if it fails."""
    text.begin()
    try:
        return await attempt()
    except BaseException as error:
        text.void(str(error) or type(error).__name__)
        raise
