"""Circuit breaker: keeps workers from sending requests to a dead endpoint.

Own code, since the maintained libraries do not fit. purgatory has two classes, one that awaits its storage and one that
blocks, so the engine would need two bodies of code. Neither holds other requests back during a trial, and neither
ignores outcomes without meaning, such as a cancelled request.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from orchestrator.errors import CircuitOpenError
from orchestrator.models.errors import EndpointHealth


class Circuit:
    """The state of one endpoint, shared by all threads and event loops: closed, or open until a trial succeeds.

    After some failures in a row, requests fail at once for a while. Then one request is let through as a trial, and
    other requests still fail at once. A request that was under way when the circuit opened closes it by success.

    Args:
        endpoint: Name of the endpoint in errors.
        clock: Seconds, monotonic.
    """

    def __init__(self, endpoint: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.endpoint = endpoint
        self._clock = clock
        self._lock = threading.Lock()  # held for a few statements only, never over an await
        self._in_a_row = 0
        self._failed_at = 0.0  # of the failure that opened the circuit, or of the last trial
        self._last = ""
        self._trial_under_way = False

    def check(self, failures: int, reset_s: float) -> None:
        """Check that a request can be made now.

        Args:
            failures: Failures in a row that open the circuit.
            reset_s: Seconds for which it then stays open.

        Raises:
            CircuitOpenError: The circuit is open.
        """
        with self._lock:
            self._check(failures, reset_s)

    def is_open(self, failures: int, reset_s: float) -> bool:
        """True if `check` would raise."""
        try:
            self.check(failures, reset_s)
        except CircuitOpenError:
            return True
        return False

    @contextmanager
    def request(self, failures: int, reset_s: float, sign: Callable[[BaseException], EndpointHealth]) -> Iterator[None]:
        """Surround one request and record its outcome.

        Args:
            failures: Failures in a row that open the circuit.
            reset_s: Seconds for which it then stays open.
            sign: Returns the endpoint's health that an error implies.

        Raises:
            CircuitOpenError: The circuit is open, and the request must not be made.
        """
        with self._lock:
            self._check(failures, reset_s)
            if is_trial := self._in_a_row >= failures:
                self._trial_under_way = True
        try:
            yield
        except BaseException as error:
            self._ended(sign(error), is_trial, failures, f"{type(error).__name__}: {error}"[:200])
            raise
        self._ended("alive", is_trial, failures)

    def _check(self, failures: int, reset_s: float) -> None:
        if self._in_a_row < failures:
            return
        left = self._failed_at + reset_s - self._clock()
        # Other requests do not wait for the trial: it can take as long as the model's time limit. A fallback model may
        # answer now.
        if left > 0 or self._trial_under_way:
            raise CircuitOpenError(self.endpoint, self._last, max(0.0, left))

    def _ended(self, sign: EndpointHealth, is_trial: bool, failures: int, what: str = "") -> None:
        with self._lock:
            if is_trial:
                self._trial_under_way = False
            if sign == "alive":
                self._in_a_row = 0
            elif sign == "dead":
                self._in_a_row += 1
                self._last = what
                # The failure of a request that was under way when the circuit opened does not prolong it.
                if is_trial or self._in_a_row <= failures:
                    self._failed_at = self._clock()
