"""Route: the path of a request, with `/v1` in front for an endpoint whose address was given without it."""

import re
from collections.abc import Callable
from typing import TypeVar

import openai

from orchestrator.models.capabilities import KNOWN, Capabilities
from orchestrator.models.endpoints.listed import NoListError
from orchestrator.models.endpoints.reasons import is_page, reason_in, tells_page
from orchestrator.models.requests import lessons

T = TypeVar("T")
VERSION = "/v1"
# Addresses of Azure's older interface have no version in their path.
_VERSIONED = re.compile(r"/v\d\w*(/|$)|openai\.azure\.com", re.I)
# A server without the path: LM Studio says so in an answer with status 200.
_ASTRAY = re.compile(
    r"unexpected endpoint|no (such )?(route|path|endpoint)|cannot (get|post) |invalid url|unknown path", re.I
)
_STATUSES = frozenset({404, 405})


class Route:
    """The path of one request.

    After an answer that knows no such path, the request is sent to the other path once: with `/v1`, or without it. The
    path that leads to an answer is learned for the endpoint.

    Args:
        address: The endpoint's address.
        path: The path behind it, as for an address that ends in `/v1`.
    """

    def __init__(self, address: str, path: str) -> None:
        self._address = address
        self._path = path
        self._prefix = self._known = prefix_of(address)
        self._first: openai.APIError | None = None
        self._is_news = False

    @property
    def path(self) -> str:
        """The path to ask now."""
        return self._prefix + self._path

    def leads_on(self, error: openai.APIError) -> bool:
        """True if the request should be sent again, to the other path.

        Raises:
            openai.APIError: Neither path exists. It is the first error, and `asked` has both addresses.
        """
        if _VERSIONED.search(self._address) or not self._address or not _is_astray(error):
            return False
        if self._first is None:
            self._first = error
            self._prefix = "" if self._prefix else VERSION
            return True
        bare, first = self._address.rstrip("/"), self._first
        first.asked = (bare + self._path, bare + VERSION + self._path)  # type: ignore[attr-defined]
        raise first from None

    def arrived(self) -> bool:
        """Learn the path that has led to an answer. True if that is news."""
        if self._prefix == self._known:
            return False
        self._known, self._is_news = self._prefix, True
        KNOWN.setdefault((self._address, ""), Capabilities()).prefix = self._prefix
        return True

    def keep(self) -> None:
        """Write the endpoint's path, if it was learned by this request."""
        if self._is_news:
            lessons.keep(self._address, "", lessons.recall(self._address, ""))


def prefix_of(address: str) -> str:
    """Return what has to stand before the paths of an endpoint, as far as it was learned."""
    return known.prefix if (known := KNOWN.get((address, ""))) is not None else ""


def routed(address: str, path: str, send: Callable[[str], T]) -> T:
    """Return the answer to a request, at the path where the endpoint has it.

    Args:
        address: The endpoint's address.
        path: The path behind it, as for an address that ends in `/v1`.
        send: Sends the request to a path.

    Raises:
        openai.OpenAIError: The request failed.
    """
    route = Route(address, path)
    while True:
        try:
            answer = send(route.path)
        except openai.APIError as error:
            if not route.leads_on(error):
                raise
            continue
        route.arrived()
        route.keep()
        return answer


def _is_astray(error: openai.APIError) -> bool:
    """True if an error is about the path, and not about the model or the request."""
    if isinstance(error, openai.APIConnectionError):
        return False
    words = reason_in(error.body) if error.body else str(error)
    if not isinstance(error, openai.APIStatusError):
        return isinstance(error, NoListError) or tells_page(error)
    if error.status_code not in _STATUSES:
        return bool(_ASTRAY.search(words))
    # The path that was asked can have `models` in it.
    return is_page(error.response.text) or "model" not in re.sub(r"/\S*", "", words).lower()


def asked_addresses(error: BaseException) -> str:
    """Return the addresses that were asked, in words, if there were two and neither exists; otherwise empty."""
    asked: tuple[str, ...] = getattr(error, "asked", ())
    return " and ".join(asked)
