"""Sender: sends spans on a thread of its own, so that no run waits for a collector.

The thread dies with the process. Closing an orchestrator waits for the thread a moment, but not again for a collector
that did not answer.
"""

import atexit
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Union

from orchestrator.daemon_threads import as_exception
from orchestrator.forks import forget_in_children
from orchestrator.logs import logger
from orchestrator.redaction import redact
from orchestrator.text import sound
from orchestrator.traces.span import TraceSpan

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

Target = Union[str, "SpanExporter"]
Batch = Callable[[], Sequence[TraceSpan]]
"""Makes spans, on the thread of the sender."""

PATIENCE_S = 3.0  # a far collector needs a second; Ctrl-C ends a command sooner, whatever it waits for
_MOST_WAITING = 1000  # runs; a collector that hangs must not fill the memory
_log = logger(__name__)
_failing: set[str] = set()
_senders: "weakref.WeakSet[Sender]" = weakref.WeakSet()


def address_of(target: Target) -> str:
    """Return the name of a collector for messages, without its login."""
    if not isinstance(target, str):
        return type(target).__name__
    named = (os.environ.get(f"OTEL_EXPORTER_OTLP_{name}ENDPOINT") for name in ("TRACES_", ""))
    return redact(target or next(filter(None, named), "http://localhost:4318"))


class Sender:
    """Sends spans to one collector.

    Args:
        target: An exporter, or the address of a collector; an empty one for OpenTelemetry's own variables.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._address = address_of(target)
        self._exporter: SpanExporter | None = None
        self.forget_parent()
        forget_in_children(self)
        _senders.add(self)

    def forget_parent(self) -> None:
        """Begin anew in a forked child, which has no thread that sends."""
        self._batches: deque[Batch] = deque()
        self._idle = threading.Condition()
        self._is_working = False

    def send(self, batch: Batch) -> None:
        """Send spans soon. Never blocks and never fails."""
        with self._idle:
            if len(self._batches) >= _MOST_WAITING:
                self._tell(f"{_MOST_WAITING} runs wait to be sent")
                return
            self._batches.append(batch)
            if self._is_working:
                return
            self._is_working = True
        threading.Thread(target=self._work, name="orchestrator-traces", daemon=True).start()

    def prepare(self) -> None:
        """Load OpenTelemetry while the run works. At its end, the second that this takes would be missing."""
        if self._exporter is None:
            self.send(lambda: ())

    def flush(self) -> None:
        """Wait a moment until all is sent."""
        with self._idle:
            if self._address in _failing or self._idle.wait_for(lambda: not self._is_working, PATIENCE_S):
                return
        self._tell(f"no answer within {PATIENCE_S:g} s")

    def send_now(self, spans: Sequence[TraceSpan]) -> None:
        """Send spans, and return when the collector has them.

        Raises:
            Exception: It did not take them.
        """
        from orchestrator.traces.otel import export, exporter_for

        if self._exporter is None:
            self._exporter = exporter_for(self._target) if isinstance(self._target, str) else self._target
        export(self._exporter, spans)

    def _work(self) -> None:
        while True:
            with self._idle:
                if not self._batches:
                    self._is_working = False
                    self._idle.notify_all()
                    return
                batch = self._batches.popleft()
            try:
                self.send_now(spans := batch())
                if spans:  # nothing was sent to prepare
                    _failing.discard(self._address)
            except BaseException as error:  # noqa: BLE001 - whatever a user's exporter raises ends no thread
                self._tell(str(as_exception(error)) or type(error).__name__)

    def _tell(self, why: str) -> None:
        if self._address not in _failing:  # once, until the collector answers again
            _failing.add(self._address)
            _log.warning("traces are not sent to %s: %s", self._address, redact(sound(why)))


def _flush_all() -> None:
    for sender in list(_senders):
        sender.flush()


atexit.register(_flush_all)  # a short script closes nothing
