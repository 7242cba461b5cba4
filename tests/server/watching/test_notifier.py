"""People are told of each new review once, signed, by whatever is there to tell them; a run never waits for it."""

import hashlib
import hmac
import json
import shlex
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from orchestrator import OrchestratorClient
from orchestrator.errors import ConfigError
from orchestrator.server.reviewing.inbox import Inbox
from orchestrator.server.watching.notifier import SIGNATURE, Notifier, NotifySettings
from orchestrator.server.watching.review_watch import ReviewWatch
from orchestrator.testing import TeamScript
from tests.support.running import planned
from tests.support.teams import open_team, step


class Clock:
    """Seconds that go up when the test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def receiver(*codes: int) -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """A webhook that answers with these codes, and then with 204."""
    got: list[tuple[dict[str, str], bytes]] = []
    left = list(codes)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((dict(self.headers), self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(left.pop(0) if left else 204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Stay silent."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/hook", got
        server.shutdown()


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """A database with a thread that waits."""
    wait(tmp_path / "x.db", "t")
    return tmp_path / "x.db"


def wait(db: Path, thread_id: str) -> None:
    with open_team(TeamScript([]), db) as team:
        team.run("count", thread_id=thread_id, plan=planned(step("a", approval=True), step("b", "a")))


def watch(client: OrchestratorClient, clock: Clock | None = None, **settings: str) -> ReviewWatch:
    told = NotifySettings(page="https://page.example/o/", **settings)
    return ReviewWatch(client, Inbox(client), Notifier(told, client.persistence.store, clock or Clock()))


def test_a_review_is_posted_once_with_a_link_and_a_signature(db: Path) -> None:
    with receiver() as (address, got), OrchestratorClient(db) as client:
        looking = watch(client, webhook=address, secret="s3cret")
        looking.look()
        looking.look()
        watch(client, webhook=address, secret="s3cret").look()  # another server, later
        [(headers, body)] = got
        [review] = client.reviews()
    told = json.loads(body)
    assert told["review"]["id"] == review.id
    assert told["link"] == f"https://page.example/o/review?id={review.id.replace('/', '%2F')}"
    assert (told["event"], told["holds_up"], told["sub_tasks"]) == ("review_asked", 2, 2)
    assert "result" not in told["review"], "what a worker wrote does not leave the machine"
    at, _, proof = {k.lower(): v for k, v in headers.items()}[SIGNATURE].partition(",")
    expected = hmac.new(b"s3cret", f"{at.removeprefix('t=')}.".encode() + body, hashlib.sha256).hexdigest()
    assert proof == f"v1={expected}"


def test_what_could_not_be_told_is_tried_again_after_longer_and_longer_waits(db: Path) -> None:
    clock = Clock()
    with receiver(500, 302) as (address, got), OrchestratorClient(db) as client:
        looking = watch(client, clock, webhook=address)
        for seconds, sent in ((0, 1), (1.9, 1), (2, 2), (5.9, 2), (6, 3), (1000, 3)):
            clock.now = seconds
            looking.look()
            assert len(got) == sent, seconds


def test_a_receiver_that_is_not_there_holds_up_nothing_and_another_server_tells_it(db: Path) -> None:
    with OrchestratorClient(db) as client:
        watch(client, webhook="http://127.0.0.1:9/").look()
        with receiver() as (address, got):
            watch(client, webhook=address).look()
            assert len(got) == 1


def test_a_review_that_was_answered_meanwhile_is_not_told_of(db: Path) -> None:
    clock = Clock()
    with receiver(500) as (address, got), OrchestratorClient(db) as client:
        looking = watch(client, clock, webhook=address)
        looking.look()
        client.decide(client.reviews()[0], "approve")
        clock.now = 100
        looking.look()
        assert len(got) == 1


def test_a_command_gets_the_review_and_its_link_but_no_secret(
    db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_NOTIFY_SECRET", "s3cret")
    code = (
        "import json, os, sys; open(sys.argv[1], 'a').write(json.dumps([json.load(sys.stdin)['link'], "
        "os.environ['ORCHESTRATOR_REVIEW_LINK'], os.environ.get('ORCHESTRATOR_NOTIFY_SECRET')]) + chr(10))"
    )
    command = shlex.join([sys.executable, "-c", code, str(tmp_path / "told $(touch x)")])
    with OrchestratorClient(db) as client:
        looking = watch(client, command=command)
        looking.look()
        looking.look()
    [line] = (tmp_path / "told $(touch x)").read_text().splitlines()
    link, variable, secret = json.loads(line)
    assert link == variable
    assert secret is None


def test_one_way_that_fails_does_not_make_the_other_tell_twice(db: Path, tmp_path: Path) -> None:
    clock = Clock()
    command = shlex.join([sys.executable, "-c", "import sys; sys.exit(3)"])
    with receiver() as (address, got), OrchestratorClient(db) as client:
        looking = watch(client, clock, webhook=address, command=command)
        for seconds in (0, 10, 100):
            clock.now = seconds
            looking.look()
        assert len(got) == 1


def test_a_watch_outlives_a_look_that_fails(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.server.watching.review_watch._LOOK_S", 0)
    looked = threading.Event()
    with OrchestratorClient(db) as client:
        looking = watch(client)
        looks = iter([RuntimeError("the database is away"), ValueError("still")])

        def look() -> None:
            if (error := next(looks, None)) is not None:
                raise error
            looked.set()

        monkeypatch.setattr(looking, "look", look)
        looking.start()
        assert looked.wait(30)
        looking.stop()


@pytest.mark.parametrize("settings", [{"webhook": "ftp://x"}, {"command": "'"}, {"command": " "}])
def test_settings_that_cannot_work_are_refused_in_one_line(settings: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        NotifySettings(**settings).check()
