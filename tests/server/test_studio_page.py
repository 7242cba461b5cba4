"""The page inside a real `langgraph dev`: one process, one database, and nothing blocks the server's event loop."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from orchestrator.testing import OpenAIServer, TeamScript, call
from tests.support.page import until
from tests.support.studio import ROOT, Studio

SCRIPT = TeamScript(
    [{"id": "t1", "description": "Find Chile's population.", "target_agent": "researcher"}],
    results={"t1": [call("search_documents", query="Chile population"), "Chile has 18 million people."]},
    summary="18 million people [t1].",
)
TASK = "How many people live in Chile?"
HTML = {"accept": "text/html"}


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    config = json.loads((ROOT / "langgraph.json").read_text())
    config["dependencies"] = [str(ROOT)]
    config["http"] = {"app": "orchestrator.server.studio_page:app"}
    (tmp_path / "langgraph.json").write_text(json.dumps(config))
    with OpenAIServer(SCRIPT) as model:
        studio = Studio(tmp_path, model.base_url, config=tmp_path / "langgraph.json")
        try:
            studio.start()
            yield studio
        finally:
            studio.end()


@pytest.mark.timeout(600)
def test_the_page_shows_the_servers_threads_and_starts_runs_of_its_own(studio: Studio) -> None:
    thread = studio.client.threads.create()["thread_id"]
    studio.run(thread, input={"task": TASK})
    page = f"{studio.url}/orchestrator"
    with httpx.Client(headers=HTML, timeout=60) as browser:
        assert TASK in browser.get(f"{page}/").text
        shown = browser.get(f"{page}/thread", params={"id": thread}).text
        assert "is-waiting" in shown
        assert browser.get(f"{page}/static/page.css").status_code == 200
        assert browser.get(f"{page}/new").status_code == 200
        with browser.stream("GET", f"{page}/events") as events:
            begun = httpx.post(f"{page}/new", json={"task": TASK, "thread": "own", "auto_approve": True}, timeout=60)
            assert begun.json() == {"thread_id": "own", "url": "/orchestrator/thread?id=own"}
            assert next(line for line in events.iter_lines() if line) == "event: changed"
        until(lambda: "is-done" in browser.get(f"{page}/thread?id=own").text)
    # The server's own addresses are still its own.
    assert studio.client.threads.get(thread)["thread_id"] == thread
    assert "BlockingError" not in studio.log.read_text()
