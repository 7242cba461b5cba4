"""Kept: all that endpoints have taught within the last day, for a person to look at."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from orchestrator.models.capabilities import Capabilities
from orchestrator.models.requests.lessons import capabilities_in, lessons_folder, read_file


@dataclass(frozen=True)
class KeptLessons:
    """The lessons of one endpoint and model.

    Args:
        endpoint: The endpoint's address, without secrets.
        model: The model's name; empty for what holds for every model of the endpoint.
        at: The time of day of the newest lesson, in seconds.
        capabilities: The lessons.
    """

    endpoint: str
    model: str
    at: float
    capabilities: Capabilities

    @property
    def age_s(self) -> float:
        """Seconds since the newest lesson."""
        return max(0.0, time.time() - self.at)

    def plain(self) -> dict[str, Any]:
        """Return the JSON-plain form."""
        known, now = self.capabilities, time.time()
        window = {"tokens": known.window, "source": known.window_source, "age_s": round(now - known.window_at)}
        return {
            "endpoint": self.endpoint,
            "model": self.model,
            "age_s": round(self.age_s),
            "window": window if known.window is not None else None,
            "longest_answer": known.longest_answer,
            "native_tools": known.has_tools,
            "streams": known.streams,
            "forms": {name: round(now - known.forms[name]) for name in sorted(known.learned())},
            "path": known.prefix,
        }


def kept_lessons() -> list[KeptLessons]:
    """Return the lessons of all endpoints and models, by endpoint and model."""
    return sorted(_kept(), key=lambda each: (each.endpoint, each.model))


def _kept() -> Iterator[KeptLessons]:
    folder = lessons_folder()
    for path in folder.glob("*.json") if folder.is_dir() else ():
        file = read_file(path)
        known = capabilities_in(file)
        if known == Capabilities() and not known.window_at:
            continue  # too old, damaged, or of no consequence
        at = max([*known.forms.values(), known.window_at]) or float(file["at"])
        yield KeptLessons(str(file.get("endpoint")), str(file.get("model")), at, known)
