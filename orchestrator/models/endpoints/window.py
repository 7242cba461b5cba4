"""Window: find out from an endpoint how many tokens its model takes at once, before the first request.

The endpoint's list of models tells it, or else what its kind of server tells elsewhere. It is asked once a day for each
model, with all failures in silence: a team works without.
"""

import re
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import quote, urlsplit

import openai
from langchain_core.language_models import BaseChatModel

from orchestrator.concurrency import BLOCKING, run_blocking
from orchestrator.forks import after_fork
from orchestrator.logs import logger
from orchestrator.models.capabilities import Capabilities
from orchestrator.models.completions.answer import parsed
from orchestrator.models.endpoints.listed import LISTED, NoListError, ToldWindow, list_or_error, models_named, window_in
from orchestrator.models.endpoints.routes import routed
from orchestrator.models.endpoints.servers import SERVERS, Listing, Lookup, Server, root_of
from orchestrator.models.errors import is_transient
from orchestrator.models.openai_compatible import AdaptiveChatOpenAI
from orchestrator.models.requests import lessons
from orchestrator.redaction import redact

LONGEST_S = 3.0
"""Most seconds for all requests about one window."""
_MOST_BYTES = 16 * 2**20  # OpenRouter's list has half a megabyte
_NO_LIST = frozenset({404, 405, 501})
_OPENAIS = re.compile(r"(^|\.)(api\.openai\.com|openai\.azure\.com|services\.ai\.azure\.com)$")
_locks: defaultdict[tuple[str, str], threading.Lock] = defaultdict(threading.Lock)
_log = logger(__name__)

after_fork(_locks.clear)


def lacks_window(model: BaseChatModel) -> bool:
    """True if an endpoint should be asked for the window of its model.

    False if the user has set the window, if the endpoint has told it today, and for OpenAI's own, which tell none.
    """
    if not isinstance(model, AdaptiveChatOpenAI) or model.window is not None or model.is_free:
        return False
    return model.capabilities.lacks_window and not _is_openais(str(model.openai_api_base or ""))


def find_window(model: BaseChatModel) -> None:
    """Ask an endpoint for the window of its model, if that has to be done, and keep the answer for a day.

    This takes up to `LONGEST_S` seconds, and raises nothing of what fails.
    """
    if not isinstance(model, AdaptiveChatOpenAI) or not lacks_window(model):
        return
    address, capabilities = str(model.openai_api_base or ""), model.capabilities
    with _locks[address, model.model_name]:  # workers of one model begin at the same moment
        if not capabilities.lacks_window:
            return
        try:
            # Resolving a name knows no time limit, and one for each read does not limit all reads together.
            run_blocking(BLOCKING.call_within(LONGEST_S, partial(_ask, model, capabilities)))
        except Exception as error:  # noqa: BLE001 - endpoints answer anything, and the window is no condition of a run
            _log.info("%s tells no window now: %s", redact(address), redact(str(error) or type(error).__name__))
            capabilities.ask_window_later()
            return
        lessons.keep(address, model.model_name, capabilities)


def _is_openais(address: str) -> bool:
    """True for OpenAI's and Azure's own endpoints, which list no windows. LangChain knows those of their models."""
    return not address or bool(_OPENAIS.search(urlsplit(address).hostname or ""))


def _ask(model: AdaptiveChatOpenAI, capabilities: Capabilities) -> None:
    """Ask, and note the answer.

    Raises:
        openai.OpenAIError: The endpoint could not answer now.
        ValueError: Its answer is too long, or came too late.
    """
    asker = _Asker(model, time.monotonic() + LONGEST_S)
    models, headers = _list(asker, address := str(model.openai_api_base or "").rstrip("/"))
    window = window_in(models_named(model.model_name, models))
    if window is not None and not window.is_most:
        capabilities.tell_window(window.tokens, LISTED)
        return
    listing = Listing(address, models, {name.lower(): value for name, value in headers.items()})
    for server in SERVERS:
        if server.has_mark(listing):
            _ask_server(asker, server, root_of(address), capabilities)
            return
    capabilities.tell_window(None)


def _list(asker: "_Asker", address: str) -> tuple[list[dict[str, Any]], Mapping[str, str]]:
    """Return the endpoint's models, none if it has no list, and the headers of its answer.

    Raises:
        openai.APIError: The endpoint could not answer now.
    """

    def ask(path: str) -> tuple[list[dict[str, Any]], Mapping[str, str]]:
        told, headers = asker.get(path)
        return list_or_error(told), headers

    try:
        return routed(address, "/models", ask)
    except openai.APIStatusError as error:
        if error.status_code not in _NO_LIST:
            raise
        return [], error.response.headers
    except NoListError:
        return [], {}


def _ask_server(asker: "_Asker", server: Server, root: str, capabilities: Capabilities) -> None:
    """Ask a server of a known kind at its own addresses, and note the answer."""
    most: ToldWindow | None = None
    for lookup in server.lookups:
        try:
            window = lookup.read(asker.look_up(root, lookup), asker.name)
        except openai.APIStatusError as error:
            if is_transient(error):
                raise
            continue  # an older or newer version, or nothing for this key
        if window is not None and not window.is_most:
            capabilities.tell_window(window.tokens, f"what {server.name} tells of the model")
            return
        most = window or most
    if server.unloaded:
        # The window that the server gives the model shows once it is loaded.
        tokens = min(server.unloaded, most.tokens) if most is not None else server.unloaded
        capabilities.tell_window(tokens, f"what {server.name} gives a model at least", is_sure=False)
    else:
        capabilities.tell_window(None, is_sure=server.unloaded is None or capabilities.has_answered)


class _Asker:
    """Sends requests about a window over the client of a model.

    Args:
        model: The model.
        deadline: The monotonic time until which all answers have to be there.
    """

    def __init__(self, model: AdaptiveChatOpenAI, deadline: float) -> None:
        self.name = model.model_name.removeprefix("models/")
        self._client: openai.OpenAI = model.root_client
        self._deadline = deadline

    def get(self, path: str) -> tuple[object, Mapping[str, str]]:
        """Return the answer to a GET, and its headers."""
        return self._read(self._client.get, path, {})

    def look_up(self, root: str, lookup: Lookup) -> object:
        """Return the answer to a lookup.

        Args:
            root: The server's address without the path of the OpenAI-compatible interface.
            lookup: The lookup.
        """
        url = f"{root}{lookup.path.format(model=quote(self.name, safe=''))}"
        options: dict[str, Any] = {}
        if lookup.key_header:
            options["headers"] = {"Authorization": openai.Omit(), lookup.key_header: self._client.api_key}
            options["follow_redirects"] = False  # HTTP clients hold back `Authorization` alone from other hosts
        if lookup.body is None:
            return self._read(self._client.get, url, options)[0]
        body = {name: text.format(model=self.name) for name, text in lookup.body.items()}
        return self._read(partial(self._client.post, body=body), url, options)[0]

    def _read(self, send: Any, url: str, options: dict[str, Any]) -> tuple[object, Mapping[str, str]]:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise ValueError("the time is over")
        limits = {**options, "timeout": left, "max_retries": 0}
        # As a stream, so that an answer without an end stops at a size and a time.
        with send(url, cast_to=object, options=limits, stream=True, stream_cls=openai.Stream[object]) as opened:
            answer = bytearray()
            for data in opened.response.iter_bytes():
                answer += data
                if len(answer) > _MOST_BYTES or time.monotonic() > self._deadline:
                    raise ValueError("the answer has no end")
            return parsed(bytes(answer)), opened.response.headers
