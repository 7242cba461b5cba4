"""Lessons: what endpoints have taught, kept on disk so that the next process need not be refused again."""

import hashlib
import json
import os
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import platformdirs

from orchestrator.logs import logger
from orchestrator.models.capabilities import KEPT_S, KNOWN, Capabilities
from orchestrator.redaction import redact

_FACTS = (
    *("also_in_words", "is_unopened", "longest_answer"),
    *("window", "window_source", "window_at", "is_window_sure", "prefix"),
)
_log = logger(__name__)


def lessons_folder() -> Path:
    """Return the folder with one file for each endpoint and model; it need not exist."""
    return Path(platformdirs.user_cache_dir("agent-task-orchestrator")) / "endpoints"


def recall(address: str, model: str) -> Capabilities:
    """Return what is known of a model at an endpoint, by this process or, for a day, by others.

    Args:
        address: The endpoint's base URL.
        model: The model's name there.
    """
    if (known := KNOWN.get((address, model))) is None:
        known = KNOWN[address, model] = capabilities_in(read_file(_path(address, model)))
    return known


def keep(address: str, model: str, capabilities: Capabilities) -> None:
    """Write what is known of a model at an endpoint. Failures are logged only: it can be learned again."""
    path = _path(address, model)
    facts = {name: value for name, value in asdict(capabilities).items() if name in _FACTS}
    lessons = {"endpoint": redact(address), "model": model, "at": time.time(), "forms": capabilities.forms, **facts}
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(lessons, file, ensure_ascii=False, indent=1)
        os.replace(draft, path)  # never half a file, whoever else writes it
    except OSError as error:
        _log.warning("what %s taught cannot be kept: %s", redact(address), error)


def forget(address: str, model: str) -> None:
    """Forget what is known of a model at an endpoint, so that it is asked in the usual form again.

    The path that the endpoint has is forgotten too.
    """
    for name in (model, ""):
        KNOWN.pop((address, name), None)
        _path(address, name).unlink(missing_ok=True)


def _path(address: str, model: str) -> Path:
    digest = hashlib.sha256(f"{address}\n{model}".encode()).hexdigest()[:32]
    return lessons_folder() / f"{digest}.json"


def read_file(path: Path) -> dict[str, Any]:
    """Return what a file of lessons says; nothing if it is missing, damaged or too old."""
    try:
        lessons = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return lessons if isinstance(lessons, dict) and _is_fresh(lessons.get("at")) else {}


def capabilities_in(lessons: dict[str, Any]) -> Capabilities:
    """Return the lessons that a file says."""
    if not lessons:
        return Capabilities()
    forms = lessons.get("forms")
    known = Capabilities(forms={n: at for n, at in forms.items() if _is_fresh(at)} if isinstance(forms, dict) else {})
    known.also_in_words = lessons.get("also_in_words") is True
    known.is_unopened = lessons.get("is_unopened") is True
    known.prefix = "/v1" if lessons.get("prefix") == "/v1" else ""
    known.longest_answer = _count(lessons.get("longest_answer"))
    at = lessons.get("window_at", lessons["at"])  # versions before 0.2 have one time for all
    if _is_fresh(at):
        known.window, known.window_at = _count(lessons.get("window")), at
        known.window_source = str(lessons.get("window_source") or "")
        known.is_window_sure = lessons.get("is_window_sure") is not False
    return known


def _is_fresh(at: Any) -> bool:
    return isinstance(at, int | float) and abs(time.time() - at) < KEPT_S


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
