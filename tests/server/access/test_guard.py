"""Without a token the page answers to its own machine under its own names; nothing foreign changes anything."""

from pathlib import Path

import pytest

from orchestrator.server.access.tokens import Tokens
from tests.support.page import page_of

PROGRAM = {"accept": "*/*"}


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8321", "127.0.0.1:80", "[::1]:9", "me.localhost", "LOCALHOST"]
)
def test_this_machines_own_names_are_answered(tmp_path: Path, host: str) -> None:
    assert page_of(tmp_path / "x.db").get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "10.0.0.7", "", "[::", "127.0.0.1@evil.example"]
)
def test_a_foreign_name_is_refused_though_it_may_resolve_to_this_machine(tmp_path: Path, host: str) -> None:
    answer = page_of(tmp_path / "x.db").get("/", headers={"host": host})
    assert answer.status_code == 403
    assert "does not answer to the name" in answer.text


def test_a_name_that_was_given_is_answered(tmp_path: Path) -> None:
    page = page_of(tmp_path / "x.db", hosts=["team.example"])
    assert page.get("/", headers={"host": "team.example"}).status_code == 200


def test_another_machine_is_refused_without_a_token(tmp_path: Path) -> None:
    answer = page_of(tmp_path / "x.db", address="10.0.0.7").get("/")
    assert (answer.status_code, answer.text) == (
        403,
        "this page answers to its own machine only, since it has no token\n",
    )


FOREIGN = [
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"origin": "http://localhost:1"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site", "origin": "http://localhost:8321"},
    {"content-type": "text/plain"},
    {},
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_a_change_that_does_not_come_from_the_page_is_refused(tmp_path: Path, headers: dict[str, str]) -> None:
    answer = page_of(tmp_path / "x.db").post("/logout", headers=headers)
    assert answer.status_code == 403


def test_a_change_from_the_page_is_let_in(tmp_path: Path) -> None:
    page = page_of(tmp_path / "x.db")
    assert page.post("/logout", headers={"origin": "http://localhost:8321"}).status_code == 303


def test_every_answer_forbids_foreign_scripts_frames_and_guesses(tmp_path: Path) -> None:
    page = page_of(tmp_path / "x.db")
    for path in ("/", "/nothing", "/static/page.js", "/thread?id=none"):
        headers = page.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


class TestWithTokens:
    def test_a_person_is_asked_for_a_token_and_keeps_a_session(self, tmp_path: Path) -> None:
        tokens = Tokens(tmp_path / "tokens.json")
        token = tokens.new("ada")
        page = page_of(tmp_path / "x.db", tokens=tokens, address="10.0.0.7")
        assert page.get("/").headers["location"] == "/login"
        own = {"origin": "http://localhost:8321"}
        assert page.post("/login", data={"token": "wrong"}, headers=own).status_code == 403
        answer = page.post("/login", data={"token": f" {token}\n"}, headers=own)
        assert answer.headers["location"] == "/"
        assert "HttpOnly; SameSite=Strict" in answer.headers["set-cookie"]
        assert token not in answer.headers["set-cookie"]
        assert page.get("/").status_code == 200
        tokens.revoke("ada")
        assert page.get("/").status_code == 303

    def test_a_program_sends_its_token_with_each_request(self, tmp_path: Path) -> None:
        page = page_of(tmp_path / "x.db", tokens=Tokens(None, {"environment": "secret"}), address="10.0.0.7")
        refused = page.get("/", headers=PROGRAM)
        assert (refused.status_code, refused.json()["error"]) == (401, "a token is needed: Authorization: Bearer TOKEN")
        assert page.get("/", headers={**PROGRAM, "authorization": "Bearer other"}).status_code == 401
        assert page.get("/", headers={**PROGRAM, "authorization": "Bearer secret"}).status_code == 200

    def test_logging_out_ends_the_session(self, tmp_path: Path) -> None:
        page = page_of(tmp_path / "x.db", tokens=Tokens(None, {"environment": "secret"}))
        own = {"origin": "http://localhost:8321"}
        page.post("/login", data={"token": "secret"}, headers=own)
        page.post("/logout", headers=own)
        assert page.get("/").headers["location"] == "/login"
