"""Reasons: an endpoint's own words for a failure, in every shape that servers send them.

Servers put the reason under a dozen names, in lists, in JSON inside of texts, in pages of HTML, or nowhere.
"""

import ast
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from http import HTTPStatus
from typing import Any

from orchestrator.redaction import redact
from orchestrator.text import shorten

MOST_CHARS = 300
WEB_PAGE = "web_page"
"""The code of an error for an answer that is a web page."""
BROKEN_OFF = "the endpoint broke off in the middle of its answer"
"""The message of an error for an answer without its end."""

_DEPTH = 8
_MOST_PARTS = 6
_LONGEST = 100_000  # of a body; a reason stands at its beginning
# In the order in which they are told; a short code goes before its description.
_NAMES = (
    *(
        "error",
        "errors",
        "message",
        "error_msg",
        "error_message",
        "errormessage",
        "msg",
        "status_msg",
        "detail",
        "details",
        "title",
    ),
    *("reason", "error_description", "description", "fault", "faultstring", "explanation", "cause", "raw", "metadata"),
    *("innererror", "inner_error", "failed_generation", "response", "body", "data", "exception", "text", "content"),
)
_CODES = ("code", "type", "status", "error_code", "errorcode")
_WRAPPERS = re.compile(
    r"^(?:litellm\.\w+:\s*|\w*(?:Error|Exception)(?::| -)\s*|Error code: \d+(?: -)?\s*|b(?=['\"]\{))+", re.IGNORECASE
)
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")  # of other sequences the contents stay, so that nothing is hidden
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffd]+")
_HTML = re.compile(r"<(?:!doctype html|html|head|body|title|h1|center|p|div)\b", re.IGNORECASE)
_XML = re.compile(r"\s*<(?:\?xml\b|(?P<tag>[A-Za-z][\w:.-]*)[\s>].*</(?P=tag)>\s*$)", re.DOTALL)
_XML_TEXT = re.compile(r"<(?:\w+:)?(?:message|faultstring|reason|detail|description)\b[^>]*>([^<]+)<", re.IGNORECASE)


def reason_in(body: object, status: int | None = None) -> str:
    """Return the reason in the body of an answer: one line without secrets, markup and control characters.

    Args:
        body: The body: bytes, a text, or what was read from JSON.
        status: The HTTP status, whose name is the reason if the body is empty.
    """
    parts: list[str] = []
    for part in _parts(body, 0):
        text = " ".join(_UNSEEN.sub(" ", _COLOURS.sub("", part)).split())
        if not text or any(text.lower() in known.lower() for known in parts):
            continue
        parts = [known for known in parts if known.lower() not in text.lower()] + [text]
        if len(parts) == _MOST_PARTS:
            break
    # Redacted before it is shortened: half a secret is not recognised any more.
    return shorten(redact(": ".join(part.rstrip(" :") for part in parts)), MOST_CHARS) or _phrase(status)


def is_page(body: object) -> bool:
    """True if a body is a page of HTML, as proxies, gateways and other web servers send."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    return isinstance(text, str) and bool(_HTML.search(text[:2000]))


def tells_page(error: BaseException) -> bool:
    """True if an error tells of a page of HTML in the place of an answer."""
    return getattr(error, "code", None) == WEB_PAGE or is_page(str(error))


def _phrase(status: int | None) -> str:
    try:
        return HTTPStatus(status or 0).phrase
    except ValueError:
        return "it does not say why"


def _parts(value: Any, depth: int) -> Iterator[str]:
    if depth > _DEPTH or value is None or isinstance(value, bool):
        return
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        yield from _in_text(value[:_LONGEST], depth)
    elif isinstance(value, dict):
        yield from _in_fields(value, depth)
    elif isinstance(value, list | tuple):
        for each in value[:_MOST_PARTS]:
            yield from _parts(each, depth + 1)


def _in_fields(fields: dict[Any, Any], depth: int) -> Iterator[str]:
    named = {str(name).lower().replace("-", "_"): value for name, value in fields.items()}
    where = named.get("loc") or named.get("param") or named.get("field")
    if "loc" in named and isinstance(message := named.get("msg") or named.get("message"), str):  # FastAPI
        path = ".".join(str(step) for step in where) if isinstance(where, list | tuple) else str(where)
        yield f"{path}: {message}"
        return
    has_reason = False
    for name in _NAMES:
        for part in _parts(named.get(name), depth + 1):
            has_reason = True
            yield part
    inner = named.get("innererror") or named.get("inner_error")
    if isinstance(inner, dict) and isinstance(code := inner.get("code"), str):
        yield code
    if has_reason:
        return
    if depth == 0 or not any(isinstance(value, dict | list) for value in fields.values()):
        yield from (str(value) for name in _CODES if isinstance(value := named.get(name), str) and value)
    # Names that nobody has thought of.
    for name, value in named.items():
        if name not in _CODES and re.search(r"message|msg|error|reason|detail|descr|why|problem|info", name):
            yield from _parts(value, depth + 1)


def _in_text(text: str, depth: int) -> Iterator[str]:
    text = text.strip("\ufeff \r\n\t")
    if text.startswith("data:"):  # an event of a stream
        text = text.removeprefix("data:").strip().split("\n", 1)[0]
    text = _WRAPPERS.sub("", text).strip() or text
    if _HTML.search(text[:2000]):
        yield from _in_page(text)
        return
    if _XML.match(text):
        yield from _XML_TEXT.findall(text) or [re.sub(r"<[^>]*>", " ", text)]
        return
    at = min((found for sign in "{[" if (found := text.find(sign)) >= 0), default=-1)
    data = _data(text[at:]) if at >= 0 else None
    inner = list(_parts(data, depth + 1))
    if not inner:
        if at == 0 and data is not None:
            return  # JSON that says nothing
        yield text
        return
    before = re.sub(r"[\s:.\-]*(?:b?['\"])?$", "", text[:at])
    yield from [part for part in (before, *inner) if part]


def _data(text: str) -> Any:
    """Return the JSON, or the Python literal, at the beginning of a text; None for neither."""
    try:
        return json.JSONDecoder(strict=False).raw_decode(text)[0]
    except (ValueError, RecursionError):
        pass  # some servers print a Python dict
    end = max(text.rfind("}"), text.rfind("]")) + 1
    try:
        value = ast.literal_eval(text[: min(end, 5000)])
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def _in_page(text: str) -> Iterator[str]:
    page = _Page()
    page.feed(text)
    page.close()
    told = [" ".join("".join(page.texts.get(tag, ())).split()) for tag in ("title", "h1", "h2", "p", "")]
    yield from [part for part in told if part][:3]


class _Page(HTMLParser):
    """The words of a page by the tag they stand in; empty for other tags."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: dict[str, list[str]] = {}
        self._tag = ""
        self._closed: set[str] = set()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        """Note the tag that begins."""
        self._tag = tag

    def handle_endtag(self, tag: str) -> None:
        """Keep only the first of each kind."""
        if tag in self.texts:
            self._closed.add(tag)
        self._tag = ""

    def handle_data(self, data: str) -> None:
        """Take words that a reader of the page would see."""
        if self._tag in ("script", "style") or not data.strip():
            return
        tag = self._tag if self._tag in ("title", "h1", "h2", "p") else ""
        if tag not in self._closed and len(self.texts.get(tag, ())) < 20:
            self.texts.setdefault(tag, []).append(f"{data} ")
