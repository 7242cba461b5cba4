"""The page shows the threads of a database, and every text as text."""

import json
import re
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from orchestrator.server.app import create_app
from orchestrator.testing import TeamScript, say
from tests.support.page import BROWSER, page_of, served
from tests.support.teams import open_team, step

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'\u202e\x1b[31m"


def with_thread(folder: Path, text: str = "seven lakes", thread_id: str = "t", task: str = "count the lakes") -> Path:
    """Return a database with a thread that has run."""
    script = TeamScript([step("a")], results={"a": say(text)}, summary=text)
    with open_team(script, folder / "x.db") as team:
        team.run(task, thread_id=thread_id, auto_approve=True)
    return folder / "x.db"


def test_an_empty_database_says_how_to_start(tmp_path: Path) -> None:
    assert "There are no threads yet" in page_of(tmp_path / "x.db").get("/").text


def test_a_thread_is_listed_found_and_shown(tmp_path: Path) -> None:
    page = page_of(with_thread(tmp_path))
    assert "count the lakes" in page.get("/").text
    assert "count the lakes" in page.get("/?find=LAKES+count&status=done").text
    assert "No thread is like that" in page.get("/?find=rivers").text
    assert "count the lakes" not in page.get("/?status=failed").text
    shown = page.get("/thread?id=t").text
    assert "seven lakes" in shown
    assert "1 of 1 done" in shown


def test_an_unknown_thread_is_told_to_people_and_to_programs(tmp_path: Path) -> None:
    page = page_of(tmp_path / "x.db")
    assert "there is no thread &#39;zz&#39;" in page.get("/thread?id=zz").text
    answer = page.get("/thread?id=zz", headers={"accept": "application/json"})
    assert (answer.status_code, "no thread 'zz'" in answer.json()["error"]) == (404, True)
    assert page.get("/thread").status_code == 404


@pytest.mark.parametrize("name", ["a/b", "ä?&=#%2F", "..", "x" * 120])
def test_any_name_of_a_thread_has_a_page(tmp_path: Path, name: str) -> None:
    page = page_of(with_thread(tmp_path, thread_id=name))
    [link] = re.findall(r'<a href="(/thread\?[^"]+)"', page.get("/").text)
    assert page.get(link.replace("&amp;", "&")).status_code == 200


def test_what_was_written_is_text_and_never_markup(tmp_path: Path) -> None:
    page = page_of(with_thread(tmp_path, HOSTILE, task=HOSTILE))
    for path in ("/", "/thread?id=t"):
        shown = page.get(path).text
        assert "&lt;script&gt;alert(1)" in shown
        assert not re.search(r"<script(?! type=.module. src)|<img|\u202e|\x1b", shown)


def test_links_in_an_answer_lead_to_the_web_only(tmp_path: Path) -> None:
    text = "[a](javascript:alert(1)) [b](https://b.example) [c](data:text/html,x) ![d](https://d.example/p.png)"
    shown = page_of(with_thread(tmp_path, text)).get("/thread?id=t").text
    assert re.findall(r'href="(\w+:[^"]*)"', shown) == ["https://b.example", "https://d.example/p.png"]
    assert not re.search(r'href="(javascript|data)|<img', shown)


def test_the_page_works_inside_another_application(tmp_path: Path) -> None:
    app = FastAPI()
    app.mount("/inside", create_app(with_thread(tmp_path)))
    page = TestClient(app, "http://localhost", headers=BROWSER, client=("127.0.0.1", 1))
    shown = page.get("/inside/").text
    assert 'href="/inside/thread?id=t"' in shown
    assert page.get("/inside/thread?id=t").status_code == 200
    assert page.get("/inside/static/page.css").status_code == 200


def test_no_path_leads_out_of_the_pages_own_files(tmp_path: Path) -> None:
    page = page_of(tmp_path / "x.db")
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static//etc/passwd"):
        assert page.get(path).status_code == 404


def test_records_are_told_from_the_last_one_that_is_known(tmp_path: Path) -> None:
    with served(with_thread(tmp_path)) as address:
        known = {"last-event-id": "3"}
        with httpx.stream("GET", f"{address}/thread/events?id=t&since=2&brief=1", headers=known) as answer:
            lines = answer.iter_lines()
            first = [next(lines) for _ in range(3)]
    assert first[:2] == ["id: 4", "event: record"]
    assert json.loads(first[2].removeprefix("data: ")).keys() == {"kind", "sub_task"}


def test_a_change_by_another_process_is_told(tmp_path: Path) -> None:
    with served(with_thread(tmp_path)) as address, httpx.stream("GET", f"{address}/events") as answer:
        with_thread(tmp_path, thread_id="u")
        assert next(line for line in answer.iter_lines() if line) == "event: changed"
