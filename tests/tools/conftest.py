"""What the tests of the tools share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.tools import BaseTool
from orchestrator_tools.web.fetch import fetch_tool

from tests.tools.web.loopback_site import Site
from tests.tools.workspace.workspace_desk import Desk


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    site.thread.start()
    yield site
    site.over.set()
    site.server.shutdown()
    site.server.server_close()
    site.thread.join(30)


@pytest.fixture
def fetch(site: Site) -> BaseTool:
    return fetch_tool(allow=[f"127.0.0.1:{site.port}"], time_limit_s=60)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    (tmp_path / "secret.txt").write_text("swordfish")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_text("swordfish")
    return Desk(tmp_path / "work")
