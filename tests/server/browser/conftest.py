"""A headless Chromium, where there is one."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


# Playwright keeps an event loop running in the thread that started it. No asynchronous test could run beside it, so it
# ends with the last test of its module.
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser for the tests of a module."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no chromium: Debian's package of that name has it")
    with playwright.sync_playwright() as driver:
        # Containers run tests as root, whom Chromium gives no sandbox.
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page of a desk's width. A script that fails, or that the page's own policy stops, fails the test."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(20_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    yield page
    page.close()
    # A server that ends cuts the events off, and a page whose form had a mistake is answered with 400.
    told = [each for each in errors if "ERR_" not in each and "status of 4" not in each]
    assert told == []
