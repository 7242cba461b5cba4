"""Rate: at most so many requests and tokens in any minute, shared by all workers of the process.

Own code: the libraries that were looked at (limits, aiolimiter) count a call of five thousand tokens as five thousand
entries, or only serve event loops.
"""

import threading
import time
from collections import deque
from collections.abc import Callable

from orchestrator.bridge import Bridge
from orchestrator.errors import ConfigError

WINDOW_S = 60.0


class Rate:
    """A moving window over the last minute.

    Args:
        requests: Most requests in it; None for no limit.
        tokens: Most tokens in it; None for no limit.
        clock: Seconds, monotonic.
    """

    def __init__(self, requests: int | None, tokens: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.requests = requests
        self.tokens = tokens
        self._clock = clock
        self._made: deque[tuple[float, int]] = deque()
        self._sum = 0
        self._queue: deque[object] = deque()
        self._lock = threading.Lock()

    async def acquire(self, bridge: Bridge, tokens: int) -> None:
        """Waits until a request fits, in the order of arrival.

        Args:
            bridge: How to wait.
            tokens: What the request may take.

        Raises:
            ConfigError: It is larger than a whole minute's limit, so that waiting would never end.
        """
        if self.tokens is not None and tokens > self.tokens:
            raise ConfigError(
                f"a request of {tokens:,} tokens can never be made with a limit of {self.tokens:,} tokens a minute: "
                "raise the limit (--tpm)"
            )
        ticket = object()
        with self._lock:
            self._queue.append(ticket)
        try:
            while (wait := self._take(ticket, tokens)) > 0:
                await bridge.sleep(wait)
        finally:
            with self._lock:
                self._queue.remove(ticket)

    def _take(self, ticket: object, tokens: int) -> float:
        """Takes the place of a request and returns 0, or returns after how many seconds to look again."""
        with self._lock:
            now = self._clock()
            while self._made and self._made[0][0] <= now - WINDOW_S:
                self._sum -= self._made.popleft()[1]
            fits_requests = self.requests is None or len(self._made) < self.requests
            fits_tokens = self.tokens is None or self._sum + tokens <= self.tokens
            if fits_requests and fits_tokens and self._queue[0] is ticket:
                self._made.append((now, tokens))
                self._sum += tokens
                return 0.0
            oldest = self._made[0][0] if self._made else now
            # Whoever stands behind another looks again a little later than the one in front of it.
            place = self._queue.index(ticket)
            return max(0.001, oldest + WINDOW_S - now) + 0.001 * place
