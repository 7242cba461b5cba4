"""TextStream: the words of one answer, told to listeners while they come.

What has been told may turn out void: a request fails and is repeated, or the model goes on to call tools. Then the
stream is declared void, and what counts begins anew under another id. At the end, what was told under the last id is
the answer's text.
"""

import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, GenerationChunk
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs, var_child_runnable_config

from orchestrator.events import Emit, TextDelta, TextVoided
from orchestrator.memory.reference import ReferenceFilter
from orchestrator.models.completions.thoughts import ThoughtFilter, spoken
from orchestrator.models.json_answers import without_thoughts
from orchestrator.redaction import begun_secret, hide_known, redact
from orchestrator.text import shorten, sound

_WHY_CHARS = 200
_CALLS_TOOLS = "the model calls tools"
_CHANGED = "the answer came in another form"


class TextStream:
    """The words of one answer.

    Args:
        emit: Takes the events.
        agent: The agent that answers.
        sub_task_id: Its sub-task; empty for the supervisor's answer.
        attempt: The number of the attempt.
        references: Takes the marks of references out of the words; None to leave them.

    Attributes:
        first_token: The monotonic time at which the first words of the request came; None before.
    """

    def __init__(
        self,
        emit: Emit,
        agent: str,
        sub_task_id: str = "",
        attempt: int = 1,
        references: ReferenceFilter | None = None,
    ) -> None:
        self._emit = emit
        self._agent = agent
        self._sub_task_id = sub_task_id
        self._attempt = attempt
        self._references = references
        self._raw = ""
        # A request that ran out of time may still write, on a thread that nobody waits for.
        self._lock = threading.RLock()
        self._id = ""
        self._told = ""
        self._pending = ""
        self._kept = ""
        self._thoughts = ThoughtFilter()
        self._listener: _Listener | None = None
        self.first_token: float | None = None

    def begin(self) -> None:
        """Listen to another request, which may go on with the text of the one before."""
        with self._lock:
            self._thoughts = ThoughtFilter()
            self.first_token = None
            self._pending = self._kept[len(self._kept.rstrip()) :] if self._references is None else ""
            self._raw = self._kept
            self._listener = _Listener(self._take)
            self.tell_kept()

    @property
    def callbacks(self) -> RunnableConfig:
        """The config with which the request's model is heard."""
        return {"callbacks": [self._listener]} if self._listener is not None else {}

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear the models that are called without a config, as LangChain's agents do."""
        token = var_child_runnable_config.set(merge_configs(var_child_runnable_config.get(), self.callbacks))
        try:
            yield
        finally:
            var_child_runnable_config.reset(token)

    def void(self, why: str, *, forget: bool = False) -> None:
        """Declare void what the request has told, if it has told anything.

        Args:
            why: The reason.
            forget: What earlier requests have told is void too.
        """
        with self._lock:
            self._listener = None
            if forget:
                self._kept = ""
            if self._told != self._shown(self._kept):
                self._emit(
                    TextVoided(self._sub_task_id, self._agent, self._id, shorten(redact(sound(why)), _WHY_CHARS))
                )
                self._id = self._told = self._pending = ""

    def tell_kept(self) -> None:
        """Tell again what earlier requests have told and a later one has made void."""
        with self._lock:
            if self._kept and not self._told:
                self._tell(self._shown(self._kept))

    def finish(self, message: BaseMessage) -> None:
        """Take the whole answer of the request. What was told becomes its text, or void."""
        with self._lock:
            self._listener = None
            if isinstance(message, AIMessage) and message.tool_calls:
                self.void(_CALLS_TOOLS, forget=True)
                return
            whole = self._kept + spoken(without_thoughts(str(message.text)))
            self.settle(self._shown(whole))
            self._kept = whole

    def settle(self, text: str) -> None:
        """Take the text that the answer has become: tell the rest, or declare void what was told and tell all anew.

        Args:
            text: The whole text.
        """
        with self._lock:
            if not text.startswith(self._told):
                # Not by `void`, which would leave what was kept.
                self._kept = ""
                self.void(_CHANGED)
            self._tell(text[len(self._told) :])

    def _shown(self, whole: str) -> str:
        return whole.strip() if self._references is None else self._references.bare(whole)

    def _take(self, listener: "_Listener", text: str) -> None:
        with self._lock:
            if listener is not self._listener:
                return
            # Thoughts count: the endpoint works since then.
            self.first_token = self.first_token or time.monotonic()
            text = self._thoughts.feed(text)
            # Before the text is cut: the end of a whole secret may look like the beginning of another.
            text = hide_known(self._pending + text)
            # A secret may come in pieces, and its beginning alone is not recognised.
            end = len(text) - begun_secret(text)
            if self._references is not None:
                self._raw, self._pending = self._raw + text[:end], text[end:]
                self._tell_beginning(self._references.beginning(self._raw))
                return
            if not self._told:
                end -= len(text) - len(text.lstrip())
                text = text.lstrip()
            end = len(text[: max(0, end)].rstrip())
            if end and "\ud800" <= text[end - 1] <= "\udbff":
                end -= 1  # half a character, whose other half may come next
            # Space at the end of an answer is no part of it.
            self._pending = text[end:]
            self._tell(sound(text[:end]))

    def _tell_beginning(self, text: str) -> None:
        """Tell what is new in the beginning of the answer. If it no longer begins as told, `finish` tells it anew."""
        whole = text[:-1] if "\ud800" <= text[-1:] <= "\udbff" else text
        if (shown := sound(whole)).startswith(self._told):
            self._tell(shown[len(self._told) :])

    def _tell(self, text: str) -> None:
        if text:
            self._id = self._id or uuid.uuid4().hex[:12]
            self._told += text
            self._emit(TextDelta(self._sub_task_id, self._agent, text, self._id, self._attempt))


class _Listener(BaseCallbackHandler):
    """Hears the chat model of one request. LangChain streams from a model for handlers that have the `tap` methods."""

    run_inline = True
    ignore_chain = ignore_agent = ignore_retriever = ignore_retry = True

    def __init__(self, take: Any) -> None:
        self._take = take
        self._run_id: UUID | None = None

    def on_chat_model_start(self, *_: Any, run_id: UUID, **__: Any) -> None:
        """Remember the first model. A model that asks others in turn answers for itself."""
        if self._run_id is None:
            self._run_id = run_id

    def on_llm_new_token(
        self,
        token: Any,
        *,
        chunk: GenerationChunk | ChatGenerationChunk | None = None,
        run_id: UUID,
        **_: Any,
    ) -> None:
        """Take the words of a piece. Thoughts and tool calls are blocks of their own, and no text."""
        if run_id != self._run_id:
            return
        text = chunk.message.text if isinstance(chunk, ChatGenerationChunk) else token
        if isinstance(text, str) and text:
            self._take(self, str(text))

    def tap_output_aiter(self, run_id: UUID, output: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """Return the output as it is."""
        return output

    def tap_output_iter(self, run_id: UUID, output: Iterator[Any]) -> Iterator[Any]:
        """Return the output as it is."""
        return output


def drop_thoughts(messages: Iterable[BaseMessage]) -> None:
    """Remove, in place, the thoughts before the answers of models whose client leaves them in the text."""
    for message in messages:
        if isinstance(message, AIMessage) and isinstance(message.content, str):
            message.content = without_thoughts(message.content)
