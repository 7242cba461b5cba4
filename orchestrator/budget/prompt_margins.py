"""PromptMargins: factors that raise the estimated size of prompts, learned from the sizes that endpoints report."""

import threading
from collections.abc import Mapping

_HEADROOM = 1.05


class PromptMargins:
    """The factor of each model.

    Args:
        by_model: Factors by model name, as recorded on the thread.
    """

    def __init__(self, by_model: Mapping[str, float] | None = None) -> None:
        self._by_model = dict(by_model or {})
        # `graph.invoke` runs workers in threads.
        self._lock = threading.Lock()

    def of(self, model: str) -> float:
        """Return the factor for a model's prompts: 1 until an endpoint reported more tokens than estimated."""
        return self._by_model.get(model, 1.0)

    def learn(self, model: str, estimated: int, reported: int) -> None:
        """Raise a model's factor if a prompt had more tokens than estimated."""
        if estimated and reported > estimated:
            with self._lock:
                # The estimate holds the factor so far already, so the ratio multiplies it.
                self._by_model[model] = self._by_model.get(model, 1.0) * _HEADROOM * reported / estimated

    def plain(self) -> dict[str, float]:
        """Return the JSON-plain form."""
        return dict(self._by_model)
