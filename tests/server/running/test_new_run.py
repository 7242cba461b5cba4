"""The page on which a run is started: every choice is checked, and a mistake keeps what was typed."""

import re
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from orchestrator import OrchestratorClient, Team
from orchestrator.errors import ConfigError
from orchestrator.server.access.tokens import Tokens
from orchestrator.server.running.uploads import MOST_BYTES, safe_name
from orchestrator.testing import TeamScript, say
from tests.support.page import page_of, submit, until
from tests.support.teams import make_team, step

SCRIPT = TeamScript([step("a")], results={"a": say("seven")}, summary="7 [a]")
JSON = {"accept": "application/json"}


def mine(docs: str = "") -> Team:
    """Counts things in documents."""
    return make_team(SCRIPT)


def new_page(db: Path, **options: Any) -> TestClient:
    return page_of(db, **{"teams": {"mine": mine, "fixed": make_team(SCRIPT)}, **options})


def sent(page: TestClient, **fields: str) -> Any:
    return submit(page, "/new", "/new", **fields)


def thread_of(response: Any) -> str:
    assert response.status_code == 303, response.text
    return re.fullmatch(r"/thread\?id=(.+)", response.headers["location"])[1]  # type: ignore[index]


def begun(db: Path, thread_id: str) -> dict[str, Any]:
    with OrchestratorClient(db) as client:
        until(lambda: not client.persistence.is_leased(thread_id) and client.show(thread_id).status != "interrupted")
        return next(record.about for record in client.threads() if record.id == thread_id)


def test_a_task_is_started_and_its_thread_is_shown(tmp_path: Path) -> None:
    page = new_page(tmp_path / "x.db")
    answer = sent(page, task="Count the lakes", team="mine", budget="500k and 1 hour", auto_approve="1")
    thread_id = thread_of(answer)
    assert thread_id.startswith("count-the-lakes-")
    until(
        lambda: (
            "7" in page.get(f"/thread?id={thread_id}").text and "is-done" in page.get(f"/thread?id={thread_id}").text
        )
    )
    assert begun(tmp_path / "x.db", thread_id)["team"] == "mine"


def test_the_form_sent_again_leads_to_the_same_thread(tmp_path: Path) -> None:
    page = new_page(tmp_path / "x.db")
    fields = {"task": "Count", "team": "mine", "key": "ab12" * 4}
    assert thread_of(sent(page, **fields)) == thread_of(sent(page, **fields))
    with OrchestratorClient(tmp_path / "x.db") as client:
        assert len(client.threads()) == 1


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"task": "  "}, "the task is empty"),
        ({"budget": "a lot"}, "&#39;a lot&#39;: this is no amount"),
        ({"budget": "0"}, "leaves nothing"),
        ({"docs": "/no/such/folder"}, "is no folder on the server&#39;s machine"),
        ({"team": "os:system"}, "there is no team &#39;os:system&#39; here"),
        ({"team": "fixed", "docs": "/"}, "works on no folder of documents"),
        ({"base_url": "localhost:11434"}, "http://"),
    ],
)
def test_a_mistake_is_told_and_keeps_what_was_typed(tmp_path: Path, wrong: dict[str, str], told: str) -> None:
    page = new_page(tmp_path / "x.db")
    typed = {"task": "Count <b>lakes</b>", "team": "mine", "model": "m1", "budget": "7k", "auto_approve": "1", **wrong}
    answer = sent(page, **typed)
    assert answer.status_code == 400
    assert told in answer.text
    assert "Count &lt;b&gt;lakes" in answer.text or not typed["task"].strip()
    assert 'value="m1"' in answer.text
    assert re.search(r'name="auto_approve" value="1" checked', answer.text)
    with OrchestratorClient(tmp_path / "x.db") as client:
        assert client.threads() == []


def test_uploaded_documents_are_kept_for_the_thread_under_safe_names_and_deleted_with_it(tmp_path: Path) -> None:
    db, page = tmp_path / "x.db", new_page(tmp_path / "x.db")
    files = [("files", ("../../lakes.md", b"# Lakes", "text/x")), ("files", (".profile", b"rm", "text/x"))]
    thread_id = thread_of(submit(page, "/new", "/new", files=files, task="Count", team="mine", auto_approve="1"))
    folder = Path(begun(db, thread_id)["docs"])
    assert folder.is_relative_to(tmp_path / "x.db.uploads")
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"lakes.md": "# Lakes", "profile": "rm"}
    assert all(path.stat().st_mode & 0o177 == 0 for path in folder.iterdir())
    submit(page, f"/thread?id={thread_id}", f"/thread?id={thread_id}", do="delete", sure="1")
    assert not folder.exists()


def test_uploaded_documents_outlive_a_mistake_in_the_form(tmp_path: Path) -> None:
    db, page = tmp_path / "x.db", new_page(tmp_path / "x.db")
    files = [("files", ("lakes.md", b"# Lakes", "text/x"))]
    answer = submit(page, "/new", "/new", files=files, task="Count", team="mine", budget="much")
    assert "Kept from before: lakes.md" in answer.text
    key = re.search(r'name="key" value="(\w+)"', answer.text)[1]  # type: ignore[index]
    thread_id = thread_of(sent(page, task="Count", team="mine", key=key, auto_approve="1"))
    assert [path.name for path in Path(begun(db, thread_id)["docs"]).iterdir()] == ["lakes.md"]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ([("big.md", b"x" * (MOST_BYTES + 1))], "takes 50 MB of files at most"),
        ([("a/x.md", b"1"), ("b/x.md", b"2")], "two of the files are called x.md"),
    ],
)
def test_too_many_bytes_and_two_files_of_one_name_are_refused(
    tmp_path: Path, files: list[tuple[str, bytes]], told: str
) -> None:
    page = new_page(tmp_path / "x.db")
    parts = [("files", (name, content, "text/x")) for name, content in files]
    assert told in submit(page, "/new", "/new", files=parts, task="Count", team="mine").text


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/..", "C:\\x\\..", "x" * 400, "ä" * 400 + ".md", "a\x00b\n", "\u202ee", "…/…", "CON."]
)
def test_any_name_becomes_one_that_is_safe(name: str, tmp_path: Path) -> None:
    safe = safe_name(name)
    assert safe == Path(safe).name
    assert safe.isprintable()
    assert not safe.startswith(".")
    (tmp_path / safe).write_text("fits")


def test_a_request_that_is_too_large_is_refused_while_it_comes(tmp_path: Path) -> None:
    page = new_page(tmp_path / "x.db")
    parts = [("files", (f"{n}.md", b"x" * 30_000_000, "text/x")) for n in range(2)]
    assert submit(page, "/new", "/new", files=parts, task="Count", team="mine").status_code == 413


def test_others_than_this_machine_choose_no_endpoint_and_no_folder_elsewhere(tmp_path: Path) -> None:
    page = new_page(tmp_path / "x.db", tokens=Tokens(given={"mira": "secret"}))
    page.headers["authorization"] = "Bearer secret"
    assert 'name="base_url"' not in page.get("/new").text
    for fields, told in (
        ({"base_url": "http://evil.example/v1"}, "chosen by those who serve it"),
        ({"docs": "/etc"}, "only"),
    ):
        answer = page.post("/new", json={"task": "Count", "team": "mine", **fields}, headers=JSON)
        assert (answer.status_code, told in answer.json()["error"]) == (400, True)


def test_a_program_starts_a_run_and_is_told_its_thread(tmp_path: Path) -> None:
    page = new_page(tmp_path / "x.db", tokens=Tokens(given={"mira": "secret"}))
    page.headers["authorization"] = "Bearer secret"
    answer = page.post("/new", json={"task": "Count", "thread": "t", "auto_approve": True}, headers=JSON)
    assert (answer.status_code, answer.json()) == (201, {"thread_id": "t", "url": "/thread?id=t"})
    assert begun(tmp_path / "x.db", "t")["started_by"] == "mira"
    again = page.post("/new", json={"task": "Count", "thread": "t"}, headers=JSON)
    assert "there is a thread 't' already" in again.json()["error"]


def test_without_a_model_the_form_says_how_to_get_one(tmp_path: Path) -> None:
    shown = page_of(tmp_path / "x.db").get("/new").text
    assert "orchestrator model fetch qwen2.5-coder-1.5b" in shown
    assert "research_team" in shown
    assert "model fetch" not in new_page(tmp_path / "x.db").get("/new").text  # its teams have models of their own


@pytest.mark.parametrize("wrong", [{"facts": {"colour": "m"}}, {"limits": {"tokens": "a lot"}}, {"most_runs": 0}])
def test_a_wrong_setting_is_an_error_when_the_page_is_made(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"colour|a lot|budget|one run"):
        new_page(tmp_path / "x.db", **wrong)


def test_a_form_of_another_session_is_refused(tmp_path: Path) -> None:
    page = new_page(tmp_path / "x.db")
    page.get("/new")
    answer = page.post("/new", data={"task": "Count", "csrf": "0" * 32}, headers={"sec-fetch-site": "same-origin"})
    assert (answer.status_code, "another session" in answer.text) == (403, True)
