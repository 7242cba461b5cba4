"""Taking secrets out of texts before they are printed or stored.

Endpoints repeat the key that they refuse, and addresses hold passwords. Known secrets are those that this process was
given for a model, and the values of environment variables that are named like secrets. Others are known by their shape.
"""

import os
import re
import threading
from collections.abc import Iterator
from typing import Any

HIDDEN = "***"

_SHORTEST = 6  # a shorter value may be an ordinary word of a message
_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS)$", re.IGNORECASE)
_PLACEHOLDERS = frozenset({"not-needed", "EMPTY", "placeholder"})
_SHAPES = (
    (re.compile(r"(?<=://)[^/\s@'\"]+(?=@)"), HIDDEN),
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/=*-]{6,}", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (re.compile(r"\b(?:sk|pk|rk|gsk|xai|hf|ghp|gho|glpat|xox[abp])[-_][\w*-]{8,}"), HIDDEN),
    (re.compile(r"\bAIza[\w-]{20,}"), HIDDEN),
    (
        re.compile(r"([?&](?:api[-_]?key|key|token|access_token|password|secret)=)[^&\s'\"]+", re.IGNORECASE),
        rf"\1{HIDDEN}",
    ),
    (
        re.compile(r"((?:api[-_]?key|authorization|password)['\"]?\s*[:=]\s*['\"])[^'\"]+", re.IGNORECASE),
        rf"\1{HIDDEN}",
    ),
)
_lock = threading.Lock()
_known: set[str] = set()


def remember_secret(value: str) -> None:
    """Hide a value in all texts of this process from now on."""
    if len(value) >= _SHORTEST and value not in _PLACEHOLDERS:
        with _lock:
            _known.add(value)


def redact(text: str) -> str:
    """Return a text without secrets."""
    for secret in sorted(_secrets(), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    for shape, replacement in _SHAPES:
        text = shape.sub(replacement, text)
    return text


def redact_json(value: Any) -> Any:
    """Return JSON-plain data without secrets in its texts."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redact_json(key): redact_json(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(redact_json(part) for part in value)
    return value


def redact_error(error: BaseException) -> None:
    """Take secrets out of an error and its causes, in place: LangGraph stores errors, and logs print them."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        link.args = tuple(redact_json(part) for part in link.args)
        for name in ("message", "body", "last_failure", "endpoint"):  # of the errors of clients and of our own
            part = vars(link).get(name) if hasattr(link, "__dict__") else None
            if isinstance(part, str | dict | list) and (redacted := redact_json(part)) != part:
                setattr(link, name, redacted)
        link = link.__cause__ or link.__context__


def _secrets() -> Iterator[str]:
    with _lock:
        yield from list(_known)
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name) and len(value) >= _SHORTEST and value not in _PLACEHOLDERS:
            yield value
