"""Secrets: planted wherever they can be given, and then looked for on disk, on the terminal, in JSON and in logs."""

import logging
import sqlite3
import zlib
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult
from langchain_core.tools import tool
from pydantic import SecretStr

from orchestrator import ModelSettings, Supervisor, TaskOrchestrator, Worker, chat_model, declare
from orchestrator.cli.main import main
from orchestrator.errors import ModelError
from orchestrator.models.configured import split_login
from orchestrator.redaction import HIDDEN, redact, redact_error, redact_json
from orchestrator.testing import Fault, OpenAIServer, ScriptedModel, TeamScript, call, say
from tests.support.teams import open_team, step

KEY = "plain-Key-9f8e7d6c"  # no shape gives it away
PASSWORD = "pa55-w0rd-of-ada"
SECRETS = (KEY, PASSWORD)
PLAN = [step("a", agent="researcher")]


def stored(db: Path) -> str:
    """All that the database and its journals hold, unpacked."""
    texts = [path.read_bytes() for path in db.parent.rglob("*") if path.is_file()]
    with sqlite3.connect(db) as connection:
        for table, kind, data in (("checkpoints", "type", "checkpoint"), ("writes", "type", "value")):
            for name, blob in connection.execute(f"SELECT {kind}, {data} FROM {table}"):
                texts.append(zlib.decompress(blob) if str(name).endswith("+zlib") else blob)
    connection.close()
    return b"\n".join(texts).decode("utf-8", "replace")


def assert_hidden(*texts: str) -> None:
    for text in texts:
        for secret in SECRETS:
            assert secret not in text, text[max(0, text.index(secret) - 300) : text.index(secret) + 60]


FAULTS = [
    *(Fault(status, f"Incorrect API key provided: {KEY} ({PASSWORD})") for status in (400, 401, 403, 404, 429, 500)),
    Fault(401, raw=f'{{"detail": "Authorization: Bearer {KEY}"}}'),
    Fault(502, raw=f"<html>bad gateway for http://ada:{PASSWORD}@here key={KEY}</html>"),
    Fault(200, raw=f"welcome {KEY} {PASSWORD}"),
]


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
@pytest.mark.parametrize("only_workers", [False, True], ids=["planning", "working"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.status}-{'raw' if fault.raw else 'error'}")
def test_an_endpoint_that_repeats_the_key(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    fault: Fault,
    only_workers: bool,
    as_json: bool,
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("ORCHESTRATOR_MAX_RETRIES", "0")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    def fail(body: dict[str, Any]) -> Fault | None:
        return fault if not only_workers or "Sub-task" in str(body["messages"]) else None

    db = tmp_path / "x.db"
    with OpenAIServer(TeamScript(PLAN), faults=fail) as server:
        url = server.base_url.replace("://", f"://ada:{PASSWORD}@")
        place = ["--db", str(db), *(["--json"] if as_json else [])]
        for command in (
            ["run", "go", "--thread", "t", "--auto-approve", "--model", "m", "--base-url", url],
            ["resume", "t", "--base-url", url],
            ["show", "t"],
            ["threads"],
        ):
            with pytest.raises(SystemExit) as exited:
                main([*command, *place])
            assert exited.value.code in (None, 0, 1, 2, 3, 4)
    printed = capsys.readouterr()
    assert HIDDEN in printed.err + printed.out or fault.raw is not None, "the key was never in the way"
    assert_hidden(printed.out, printed.err, caplog.text, stored(db))


def test_a_password_in_an_address_is_not_recorded_and_a_resume_takes_it_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    db = str(tmp_path / "x.db")
    with OpenAIServer(TeamScript(PLAN)) as server:
        url = server.base_url.replace("://", f"://ada:{PASSWORD}@")
        with pytest.raises(SystemExit):
            main(["run", "go", "--thread", "t", "--model", "m", "--base-url", url, "--db", db])
        assert_hidden(*capsys.readouterr(), stored(tmp_path / "x.db"))
        with pytest.raises(SystemExit) as exited:
            main(["resume", "t", "--db", db])
        assert exited.value.code == 2
        assert "passwords are not recorded: name the endpoint again" in capsys.readouterr().err
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        with pytest.raises(SystemExit) as exited:
            main(["resume", "t", "--db", db])
        assert exited.value.code == 3
        assert_hidden(*capsys.readouterr(), stored(tmp_path / "x.db"))


class Telling(BaseChatModel):
    """A model of a user's own that puts its key into its error."""

    secret: SecretStr

    @property
    def _llm_type(self) -> str:
        return "telling"

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        raise RuntimeError(f"401 for {self.secret.get_secret_value()}")


def test_a_model_of_the_users_own_that_repeats_its_key(tmp_path: Path) -> None:
    planner = Supervisor(model=ScriptedModel(TeamScript([step("a")])))
    worker = Worker("worker", "You work.", model=Telling(secret=SecretStr("users-own-4711")))
    with TaskOrchestrator(planner, [worker], db=str(tmp_path / "x.db")) as team:
        try:
            text = str(team.run("go", thread_id="t", auto_approve=True).to_dict())
        except Exception as error:  # noqa: BLE001 - the script has no second plan
            text = str(error)
        text += str(team.show("t").to_dict())
    assert "users-own-4711" not in text + stored(tmp_path / "x.db")


def test_a_tool_that_puts_a_key_of_the_environment_into_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEARCH_API_KEY", KEY)

    @tool
    def look(what: str) -> str:
        """Looks."""
        raise ValueError(f"403 for https://ada:{PASSWORD}@search.example/?api_key={KEY}&q=1")

    script = TeamScript([step("a", agent="tooled")], results={"a": [call("look", what="x"), say("nothing")]})
    with open_team(script, tmp_path / "x.db", declare(look, risk="read")) as team:
        assert team.run("go", thread_id="t", auto_approve=True).status == "done"
        asked = str(team.supervisor.model.requests)  # type: ignore[union-attr]
    assert_hidden(asked, stored(tmp_path / "x.db"))


def test_errors_before_a_run() -> None:
    with pytest.raises(ModelError, match="cannot reach") as error:
        chat_model(ModelSettings(base_url=f"http://ada:{PASSWORD}@127.0.0.1:1/v1", api_key=SecretStr(KEY)))
    assert_hidden(str(error.value))


def test_a_login_in_an_address_still_reaches_the_endpoint() -> None:
    with OpenAIServer(lambda _: say("hi")) as server:
        url = server.base_url.replace("://", "://ada:a%40b@")
        model = chat_model(ModelSettings(base_url=url, model="m"))
        assert model.invoke("hello").text == "hi"
    assert split_login("https://ada:a%40b@here:81/v1") == (
        "https://here:81/v1",
        {"Authorization": "Basic " + b64encode(b"ada:a@b").decode()},
    )
    assert split_login("https://here/v1") == ("https://here/v1", {})
    assert split_login(None) == (None, {})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("key sk-proj-abcDEF0123456789 refused", "key *** refused"),
        ("sk-abc******************wxyz", "***"),
        ("Authorization: Bearer abc.def.ghi-123", "Authorization: Bearer ***"),
        ("https://me:secret@host/v1 and http://token@host", "https://***@host/v1 and http://***@host"),
        ("https://host/x?q=1&api_key=abcdef&y=2", "https://host/x?q=1&api_key=***&y=2"),
        ("{'api_key': 'abcdef', 'model': 'm'}", "{'api_key': '***', 'model': 'm'}"),
        ("write to ada@example.com about task-42", "write to ada@example.com about task-42"),
        ("a bearer of news; the key is under the mat", "a bearer of news; the key is under the mat"),
        ("risk-management and desk-research-2024", "risk-management and desk-research-2024"),
    ],
)
def test_shapes(text: str, shown: str) -> None:
    assert redact(text) == shown
    assert redact_json({"a": [text, 1, None]}) == {"a": [shown, 1, None]}


def test_an_error_and_its_causes_are_redacted_in_place() -> None:
    inner = ValueError("Bearer abcdefgh12345678")
    outer = RuntimeError("sk-0123456789abcdef", 7)
    outer.__cause__ = inner
    inner.__context__ = outer  # a circle
    redact_error(outer)
    assert (outer.args, inner.args) == ((HIDDEN, 7), (f"Bearer {HIDDEN}",))
