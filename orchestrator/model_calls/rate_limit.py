"""Rate limit: at most so many requests and tokens in any minute, over all workers of the process.

Own code, since the maintained libraries do not fit. limits keeps one entry for each token (a call of five thousand
tokens is a list of five thousand), takes requests and tokens one after the other, and reads the wall clock. Others
serve event loops only, or let a burst pass the limit within a minute.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.concurrency import Bridge
from orchestrator.errors import ConfigError

WINDOW_S = 60.0
_SHORTEST_WAIT_S = 0.001  # the difference of two clock readings can be too small to sleep for


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A request in the queue, equal only to itself."""

    tokens: int
    most_requests: int | None
    most_tokens: int | None

    def fits(self, requests: int, tokens: int) -> bool:
        """True if the request may start beside so many requests and tokens in the same window."""
        return (self.most_requests is None or requests < self.most_requests) and (
            self.most_tokens is None or tokens + self.tokens <= self.most_tokens
        )


def _ignore(_: float) -> None:
    pass


class Rate:
    """The requests to one endpoint within the last minute, and the queue; for all threads and event loops.

    Requests start in the order of their arrival. If small ones overtook a large one, it could wait for ever. Each
    request brings its limits, so that callers with different limits still count each other.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()  # held while the queue is gone through, never over an await
        self._started: deque[tuple[float, int]] = deque()  # when, and with how many tokens; oldest first
        self._queue: deque[_Waiting] = deque()

    async def acquire(
        self,
        bridge: Bridge,
        tokens: int,
        most_requests: int | None = None,
        most_tokens: int | None = None,
        on_wait: Callable[[float], None] = lambda _: None,
    ) -> None:
        """Wait until a request fits.

        Args:
            bridge: How to wait.
            tokens: Tokens of the request.
            most_requests: Most requests in any minute; None for no limit.
            most_tokens: Most tokens in any minute; None for no limit.
            on_wait: Called with the seconds of the wait before it begins, if there is one.

        Raises:
            ConfigError: The request is larger than a whole minute's limit, so that waiting would never end.
        """
        if most_tokens is not None and tokens > most_tokens:
            raise ConfigError(
                f"a request of {tokens:,} tokens can never be made with a limit of {most_tokens:,} tokens a minute: "
                "raise the limit (--tpm)"
            )
        waiting = _Waiting(tokens, most_requests, most_tokens)
        with self._lock:
            self._queue.append(waiting)
        try:
            while (wait := self._start(waiting)) > 0:
                on_wait(wait)
                on_wait = _ignore  # a wait that takes longer than was thought is still the same one
                # Look again after a minute at the latest: requests in front may have been cancelled.
                await bridge.sleep(min(max(wait, _SHORTEST_WAIT_S), WINDOW_S))
        finally:
            with self._lock:
                self._queue.remove(waiting)

    def _start(self, waiting: _Waiting) -> float:
        """Book a request that may start now and return 0, or return the seconds until it may."""
        with self._lock:
            now = self._clock()
            while self._started and self._started[0][0] + WINDOW_S <= now:
                self._started.popleft()
            wait = self._due(waiting, now) - now
            if wait <= 0:
                self._started.append((now, waiting.tokens))
            return wait

    def _due(self, waiting: _Waiting, now: float) -> float:
        """Return when a request may start, if all requests in front of it start as soon as they may."""
        window, due = deque(self._started), now
        tokens = sum(taken for _, taken in window)
        for each in self._queue:
            while window and (window[0][0] + WINDOW_S <= due or not each.fits(len(window), tokens)):
                started, taken = window.popleft()
                due, tokens = max(due, started + WINDOW_S), tokens - taken
            if each is waiting:
                break
            window.append((due, each.tokens))
            tokens += each.tokens
        return due
