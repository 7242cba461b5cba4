"""The page inside other applications: mounted, behind a proxy with a prefix, with teams of the user's own."""

import re
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from orchestrator.server.access.tokens import Tokens
from orchestrator.server.app import create_app
from orchestrator.testing import TeamScript
from tests.support.page import BROWSER, submit, until
from tests.support.teams import make_team, step

TEAM = make_team(TeamScript([step("a")], summary="7 [a]"))


def browser(app: FastAPI, **options: str) -> TestClient:
    return TestClient(
        app, "http://localhost", headers=BROWSER, client=("127.0.0.1", 1), follow_redirects=False, **options
    )


def test_mounted_into_an_application_a_run_is_started_beside_its_own_pages(
    tmp_path: Path,
) -> None:
    app = FastAPI()
    app.mount("/deep/inside", create_app(tmp_path / "x.db", teams={"mine": TEAM}))

    @app.get("/own")
    def own() -> str:
        return "mine"

    page = browser(app)
    answer = submit(page, "/deep/inside/new", "/deep/inside/new", task="Count", team="mine", auto_approve="1")
    assert re.fullmatch(r"/deep/inside/thread\?id=count-\w+", answer.headers["location"])
    until(lambda: "is-done" in page.get(answer.headers["location"]).text)
    assert page.get("/own").json() == "mine"
    shown = page.get("/deep/inside/").text
    assert not re.findall(r'(?:href|action|src)="(/(?!deep/inside/)[^"]*)"', shown)


@pytest.mark.parametrize("path", ["", "/tools/agents"], ids=["a proxy that takes the prefix off", "one that leaves it"])
def test_behind_a_proxy_every_address_has_its_prefix(tmp_path: Path, path: str) -> None:
    app = create_app(tmp_path / "x.db", tokens=Tokens(given={"mira": "a-secret"}))
    page = browser(app, root_path="/tools/agents")  # type: ignore[arg-type]
    refused = page.get(f"{path}/")
    assert (refused.status_code, refused.headers["location"]) == (303, "/tools/agents/login")
    assert page.get(f"{path}/static/page.css").status_code == 200
    form = page.get(f"{path}/login")
    assert form.status_code == 200
    admitted = page.post(f"{path}/login", data={"token": "a-secret"}, headers={"sec-fetch-site": "same-origin"})
    assert admitted.headers["location"] == "/tools/agents/"
    assert "Path=/tools/agents;" in admitted.headers["set-cookie"]
    cookie = admitted.headers["set-cookie"].partition(";")[0]
    shown = page.get(f"{path}/", headers={"cookie": cookie})
    assert shown.status_code == 200
    assert not re.findall(r'(?:href|action|src)="(/(?!tools/agents/)[^"]*)"', shown.text)


def test_an_application_ends_the_runs_with_its_own_lifespan(tmp_path: Path) -> None:
    app = create_app(tmp_path / "x.db", teams={"mine": TEAM})
    with browser(app) as page:  # type: ignore[arg-type]
        page.get("/")
    answer = browser(app).post("/new", json={"task": "Count"})  # type: ignore[arg-type]
    assert "is ending" in answer.text
