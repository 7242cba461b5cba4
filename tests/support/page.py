"""The page of a database, asked as a browser asks it."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.testclient import TestClient

from orchestrator.server.access.sessions import COOKIE, FIELD, form_field
from orchestrator.server.app import create_app
from orchestrator.server.serving import open_socket
from tests.support.running import LIMIT_S

BROWSER = {"accept": "text/html"}


def page_of(db: Path, **options: Any) -> TestClient:
    """Return a browser of this machine before the page of a database."""
    address = options.pop("address", "127.0.0.1")
    app = create_app(db, **options)
    return TestClient(app, "http://localhost:8321", headers=BROWSER, client=(address, 50000), follow_redirects=False)


@contextmanager
def served(db: Path, **options: Any) -> Iterator[str]:
    """Serve the page of a database on a free port, and give its address."""
    app = create_app(db, **options)
    config = uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    with open_socket("127.0.0.1", 0) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)


def send_form(page: TestClient, path: str, **fields: Any) -> httpx.Response:
    """Send a form of the page as its browser sends it: from the page itself, with the field that proves that.

    Args:
        page: The browser.
        path: The address of the form.
        fields: What was typed. A list stands for several fields of one name.
    """
    page.get("/login")
    field = form_field(page.cookies.get(COOKIE) or "")
    return page.post(path, data={FIELD: field, **fields}, headers={"origin": "http://localhost:8321"})


def submit(page: TestClient, at: str, to: str, *, files: Any = None, **fields: str) -> Any:
    """Fill in the form of a page as a browser does, and send it.

    Args:
        page: The browser.
        at: The page with the form.
        to: The form's address.
        files: Files, as httpx takes them.
        fields: What is filled in, besides the form's hidden fields.
    """
    shown = page.get(at).text
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', shown))
    hidden = {name: hidden[name] for name in ("csrf", "key") if name in hidden}
    return page.post(to, data={**hidden, **fields}, files=files, headers={"sec-fetch-site": "same-origin"})


def until(holds: Callable[[], Any]) -> Any:
    """Wait until something holds that a run brings about, and return it."""
    last = time.monotonic() + LIMIT_S
    while not (value := holds()):
        assert time.monotonic() < last, "it never came"
        time.sleep(0.02)
    return value
