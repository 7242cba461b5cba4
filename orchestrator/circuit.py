"""Circuit: keeps a crowd of workers from hammering an endpoint that is dead.

Own code, since the libraries that were looked at (purgatory, pybreaker) let everybody through when they try again,
or need an event loop.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from orchestrator.errors import ModelError


class CircuitOpenError(ModelError):
    """An endpoint has failed too often, and is left alone for a while."""


class Circuit:
    """The state of one endpoint: closed, or open until a trial request succeeds.

    After `failures` in a row, requests fail at once for `reset_s` seconds. Then one request is let through as a
    trial, and the others go on failing at once until it has succeeded; they have retries or fallbacks of their own.

    Args:
        endpoint: What the endpoint is called in errors.
        failures: How many in a row open the circuit.
        reset_s: For how long it stays open.
        clock: Seconds, monotonic.
    """

    def __init__(
        self, endpoint: str, failures: int, reset_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.endpoint = endpoint
        self.failures = failures
        self.reset_s = reset_s
        self._clock = clock
        self._lock = threading.Lock()
        self._in_a_row = 0
        self._opened_at = 0.0
        self._trial_under_way = False
        self._last = ""

    @contextmanager
    def attempt(self, counts: Callable[[BaseException], bool]) -> Iterator[None]:
        """Surrounds one request.

        Args:
            counts: Whether an error speaks against the endpoint; others, such as a refusal, show that it is alive.

        Raises:
            CircuitOpenError: The request is not to be made.
        """
        is_trial = self._enter()
        try:
            yield
        except BaseException as error:
            if counts(error):
                self._failed(error, is_trial)
            else:
                self._left(is_trial, is_alive=isinstance(error, Exception))
            raise
        self._left(is_trial, is_alive=True)

    def _enter(self) -> bool:
        """Lets a request pass; whether it is the trial."""
        with self._lock:
            if self._in_a_row < self.failures:
                return False
            left = self._opened_at + self.reset_s - self._clock()
            if left > 0 or self._trial_under_way:
                when = f"tried again in {left:.0f} s" if left > 0 else "being tried again now"
                raise CircuitOpenError(f"{self.endpoint} failed {self._in_a_row} times ({self._last}) and is {when}")
            self._trial_under_way = True
            return True

    def _failed(self, error: BaseException, is_trial: bool) -> None:
        with self._lock:
            self._in_a_row += 1
            self._last = f"{type(error).__name__}: {error}"[:200]
            if is_trial:
                self._trial_under_way = False
            if self._in_a_row >= self.failures:
                self._opened_at = self._clock()

    def _left(self, is_trial: bool, *, is_alive: bool) -> None:
        """A request ended without a failure of the endpoint; a cancelled one says nothing about it."""
        with self._lock:
            if is_trial:
                self._trial_under_way = False
            if is_alive:
                self._in_a_row = 0
