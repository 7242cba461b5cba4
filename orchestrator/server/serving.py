"""Serving: the page on an address of its own."""

import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from types import FrameType
from typing import Any

import uvicorn

from orchestrator.errors import ConfigError
from orchestrator.server.access.guard import is_loopback
from orchestrator.server.access.tokens import Tokens
from orchestrator.server.app import create_app
from orchestrator.server.desk import Desk
from orchestrator.server.reviewing.inbox import Inbox
from orchestrator.server.running.runs import Runs
from orchestrator.server.watching.notifier import Notifier, NotifySettings
from orchestrator.server.watching.review_watch import ReviewWatch

_STOP_S = 1  # a page that follows events keeps its connection, and must not hold up Ctrl-C


def open_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: A name or address of this machine.
        port: The port; 0 for any free one.

    Raises:
        ConfigError: The address cannot be used.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except OSError as error:
        hint = ": another program listens there, choose one with --port" if "in use" in str(error) else ""
        raise ConfigError(f"cannot listen at {host}:{port}: {error.strerror or error}{hint}") from error
    return listening


class _Server(uvicorn.Server):
    """A server whose runs begin to end with the first signal, while it still closes its connections."""

    def __init__(self, config: uvicorn.Config, runs: Runs) -> None:
        super().__init__(config)
        self._runs = runs

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal."""
        if not self.should_exit:
            threading.Thread(target=self._runs.close, daemon=True).start()
        super().handle_exit(sig, frame)


def serve(
    db: str | None,
    host: str,
    port: int,
    tokens: Tokens | None,
    tell: Callable[[str], object],
    notify: NotifySettings | None = None,
    **options: Any,
) -> None:
    """Serve the page until the process is told to end. Its runs then end too, and can be resumed.

    Args:
        db: Database URL or path; None for the one under the user's data folder.
        host: A name or address of this machine.
        port: The port; 0 for any free one.
        tokens: Who may use the page; None for this machine alone.
        tell: Is given the page's address, once it can be opened.
        notify: Whom to tell of new reviews; None to tell nobody.
        options: Further arguments of `create_app`.

    Raises:
        ConfigError: The address cannot be used, or others could reach it without a token.
    """
    if tokens is None and not is_loopback(host):
        raise ConfigError(
            f"at {host} others could reach the page: make a token with `orchestrator token new NAME`, or leave "
            "--host out"
        )
    settings = notify.check() if notify is not None else None
    app = create_app(db, tokens=tokens, **options)
    with open_socket(host, port) as listening:
        named = f"[{host}]" if ":" in host else host
        config = uvicorn.Config(
            app, log_level="warning", timeout_graceful_shutdown=_STOP_S, server_header=False, lifespan="off"
        )
        address = f"http://{named}:{listening.getsockname()[1]}/"
        watch = _watch(app.state.desk, settings, address)
        tell(address)
        watch.start()
        try:
            _Server(config, app.state.runs).run(sockets=[listening])
        finally:
            watch.stop()
            app.state.runs.close()


def _watch(desk: Desk, settings: NotifySettings | None, address: str) -> ReviewWatch:
    if settings is None or not (settings.webhook or settings.command):
        return ReviewWatch(desk.client, Inbox(desk.client))
    told = replace(settings, page=settings.page or address)
    # An inbox of its own: the looks of a page must not wait for those of the watch.
    return ReviewWatch(desk.client, Inbox(desk.client), Notifier(told, desk.client.persistence.store))
