"""Taking secrets out of texts before they are printed or stored.

Endpoints repeat the key that they refuse, and addresses hold passwords. Known secrets are those that this process was
given for a model, and the values of environment variables that are named like secrets. Others are known by their shape.
"""

import html
import json
import os
import re
import threading
from base64 import b64encode
from collections.abc import Iterable, Iterator
from functools import lru_cache, partial
from typing import Any
from urllib.parse import quote, quote_plus, unquote

HIDDEN = "***"

_SHORTEST = 6  # a shorter value may be an ordinary word of a message
_LONG = 12  # characters of secrets that are recognised by a part
_CUT = 10
_END = 4  # characters that endpoints leave at the ends of a masked key
_RANDOM = re.compile(rf"[\w.~+=-]{{{_LONG},}}")
_MASKS = ("**", "••", "…", "...", "xxx", "XXX")
_MASKED = re.compile(r"(?<![\w-])(?P<head>[\w-]{0,80}?)(?:\*{2,}|•{2,}|…+|\.{3,}|x{3,}|X{3,})(?P<tail>[\w-]{0,80})")
_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS)$", re.IGNORECASE)
_PLACEHOLDERS = frozenset({"not-needed", "EMPTY", "placeholder"})
_SHAPES = (
    (re.compile(r"(?<=://)[^/\s@'\"]+(?=@)"), HIDDEN),
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/=*-]{6,}", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (re.compile(r"\b(?:sk|pk|rk|gsk|xai|hf|ghp|gho|glpat|xox[abp])[-_][\w*-]{8,}"), HIDDEN),
    (re.compile(r"\bAIza[\w-]{20,}"), HIDDEN),
    (
        re.compile(r"([?&](?:[\w-]*key|[\w-]*token|password|secret|sig|code)=)[^&\s'\"]+", re.IGNORECASE),
        rf"\1{HIDDEN}",
    ),
    (
        re.compile(r"((?:api[-_]?key|authorization|password)['\"]?\s*[:=]\s*['\"])[^'\"]+", re.IGNORECASE),
        rf"\1{HIDDEN}",
    ),
)
_LOGIN = re.compile(rf"://[^/\s:@]*:([^/\s@]{{{_SHORTEST},}})@")
_lock = threading.Lock()
_known: set[str] = set()


def remember_secret(value: str) -> None:
    """Hide a value in all texts of this process from now on."""
    for each in {value, value.strip()}:
        if len(each) >= _SHORTEST and each not in _PLACEHOLDERS:
            with _lock:
                _known.add(each)


def redact(text: str) -> str:
    """Return a text without secrets."""
    text = _hide(text, _secrets())
    for shape, replacement in _SHAPES:
        text = shape.sub(replacement, text)
    return text


def hide_known(value: Any) -> Any:
    """Return JSON-plain data without the secrets of this process's models, the same object if it has none.

    What only looks like a secret stays: this is for answers and results, which may be about anything.
    """
    if not _known:
        return value
    with _lock:
        secrets = tuple(_known)
    return _without(value, secrets) if value else value


def hide_secrets(value: Any) -> Any:
    """Return JSON-plain data without any known secret, for a file that leaves this machine.

    Beside those of models, these are the values of environment variables that are named like secrets.
    """
    secrets = tuple(dict.fromkeys(_secrets()))
    return _without(value, secrets) if secrets else value


def begun_secret(text: str) -> int:
    """Return how many characters at the end of a text may be the beginning of a model's secret, or of a part of one."""
    with _lock:
        secrets = tuple(_known)
    longest = 0
    for secret in secrets:
        for form in _forms(secret):
            at = text.find(form[0], max(0, len(text) - len(form) + 1))
            while at >= 0 and not form.startswith(text[at:]):
                at = text.find(form[0], at + 1)
            longest = max(longest, len(text) - at if at >= 0 else 0)
        if (at := text.rfind(secret[:_END])) >= 0 and not any(char.isspace() for char in text[at:]):
            longest = max(longest, len(text) - at)  # a masked one, or more of a whole one
    return longest


def _without(value: Any, secrets: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        return hidden if (hidden := _hide(value, secrets)) != value else value
    if isinstance(value, dict):
        parts = {key: _without(part, secrets) for key, part in value.items()}
        return parts if any(parts[key] is not part for key, part in value.items()) else value
    if isinstance(value, list):
        items = [_without(part, secrets) for part in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    return value


def _hide(text: str, secrets: Iterable[str]) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        for form in _forms(secret):
            if form in text:
                text = text.replace(form, HIDDEN)
        if (beginning := _beginning(secret)) and beginning in text:
            text = re.sub(re.escape(beginning) + r"[\w.~+=-]*", HIDDEN, text)
        if len(secret) >= _LONG and any(mark in text for mark in _MASKS):
            text = _MASKED.sub(partial(_unless_other, secret), text)
    return text


def _unless_other(secret: str, match: re.Match[str]) -> str:
    """Return the replacement of a masked value: nothing of it if its ends are those of the secret."""
    head, tail = match["head"], match["tail"]
    is_secret = (len(head) >= _END and secret.startswith(head)) or (len(tail) >= _END and secret.endswith(tail))
    return HIDDEN if is_secret else match[0]


@lru_cache(maxsize=1024)
def _forms(secret: str) -> tuple[str, ...]:
    """Return the texts in which a secret is still whole, the longest first: escaped, percent-encoded, in base64."""
    quoted = quote(secret, safe="")
    forms = {secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], html.escape(secret)}
    forms |= {quoted, quote_plus(secret), quote(secret), re.sub("%..", lambda code: code[0].lower(), quoted)}
    data = secret.encode("utf-8", "replace")
    forms.add(data.hex())
    for shift, head in ((0, 0), (1, 2), (2, 3)):  # other bytes may stand before the secret
        whole = b64encode(b"\0" * shift + data).decode().rstrip("=")
        inner = whole[head : None if (shift + len(data)) % 3 == 0 else -1]
        forms |= {inner, inner.replace("+", "-").replace("/", "_")} if len(inner) >= 2 * _SHORTEST else set()
    return tuple(sorted(forms, key=len, reverse=True))


@lru_cache(maxsize=1024)
def _beginning(secret: str) -> str:
    """Return so much of a secret as tells that a text was cut in it; empty where words might begin so too."""
    if not _RANDOM.fullmatch(secret):
        return ""
    for length in range(_CUT, len(secret)):
        if re.search(r"\d|[a-z][A-Z]", secret[:length]):
            return secret[:length]
    return ""


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
    links: list[BaseException] = [error]
    while links:
        link = links.pop()
        if id(link) in seen:
            continue
        seen.add(id(link))
        link.args = tuple(redact_json(part) for part in link.args)
        for name in ("message", "body", "last_failure", "endpoint", "doc", "object", "__notes__"):
            part = vars(link).get(name) if hasattr(link, "__dict__") else None
            if isinstance(part, str | dict | list) and (redacted := redact_json(part)) != part:
                setattr(link, name, redacted)
        others = (link.__cause__, link.__context__, *getattr(link, "exceptions", ()))
        links += [each for each in others if isinstance(each, BaseException)]


def _secrets() -> Iterator[str]:
    with _lock:
        yield from list(_known)
    for name, value in os.environ.items():
        if "@" in value and (login := _LOGIN.search(value)):
            yield login[1]  # the password in an address of a database or a proxy
            yield unquote(login[1])
        if _SECRET_NAME.search(name) and len(value) >= _SHORTEST and value not in _PLACEHOLDERS:
            yield value
            if (inner := value.strip()) != value and len(inner) >= _SHORTEST:
                yield inner
