"""'Always allow this' writes a rule that says what it allows, and a rule is taken back, while a run goes on."""

import html
import re
from pathlib import Path

import pytest

from orchestrator import OrchestratorClient, Team
from orchestrator.runs import loading
from orchestrator.testing import ScriptedModel, TeamScript, call, say
from tests.server.test_inbox_page import SENT, at, mail, waiting
from tests.support.page import page_of, send_form
from tests.support.running import planned
from tests.support.teams import make_team, step


@pytest.fixture
def db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database, and a team that threads name."""
    letters = [call("mail", to=name, body="b") for name in ("ada", "bob")]
    script = TeamScript([], results={"a": [*letters, say("mailed")]})
    SENT.clear()

    def team(name: str, docs: object = None, own: object = None) -> Team:
        return make_team(script, mail)

    monkeypatch.setattr(loading, "load_team", team)
    monkeypatch.setattr(loading, "chat_model", lambda _: ScriptedModel(script))
    return tmp_path / "x.db"


def test_a_rule_is_shown_written_obeyed_at_once_and_taken_back(db: Path) -> None:
    page, plan = page_of(db), planned(step("a", agent="tooled"))
    with loading.open_orchestrator(str(db), {"team": "letters"}) as team:
        [review] = team.run("write", thread_id="t", plan=plan).reviews
        shown = html.unescape(page.get(at("/rules/new", review)).text)
        assert "the worker tooled may call the tool mail with any arguments without being asked" in shown
        assert f"<code>{db}.rules.toml</code>" in shown
        assert not Path(f"{db}.rules.toml").exists(), "nothing is written before it is wanted"
        assert send_form(page, at("/rules/new", review)).status_code == 400
        assert send_form(page, at("/rules/new", review), rule="any").status_code == 303
        assert team.resume("t").status == "done", "the second letter was not asked about"
    assert [each["to"] for each in SENT] == ["ada", "bob"]
    listed = page.get("/rules").text
    assert "may call the tool mail" in listed
    hidden = dict(re.findall(r'name="(file|place|mark)" value="([^"]*)"', listed))
    wrong = send_form(page, "/rules", **{**hidden, "mark": "x"})
    assert (wrong.status_code, "have changed meanwhile" in wrong.text) == (400, True)
    assert send_form(page, "/rules", **{**hidden, "file": "/etc/passwd"}).status_code == 400
    assert send_form(page, "/rules", **hidden).status_code == 303
    assert ">none<" in page.get("/rules").text
    with loading.open_orchestrator(str(db), {"team": "letters"}) as team:
        assert team.run("write", thread_id="u", plan=plan).status == "waiting"


def test_a_thread_with_a_policy_file_gets_its_rule_there(db: Path, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('# mine\n[[rule]]\naction = "ask"\ntool = "mail"\n')
    page, about = page_of(db), {"team": "letters", "policy": str(policy)}
    with loading.open_orchestrator(str(db), about) as team:
        [review] = team.run("write", thread_id="t", plan=planned(step("a", agent="tooled"))).reviews
        assert send_form(page, at("/rules/new", review), rule="any").status_code == 303
        assert policy.read_text().startswith("# mine\n[[rule]]\n")
        assert team.resume("t").status == "done"
    assert str(policy) in page.get("/rules").text


def test_a_thread_that_was_started_from_python_says_where_its_rule_goes(db: Path) -> None:
    review = waiting(db, step("a", agent="tooled"))
    shown = page_of(db).get(at("/rules/new", review)).text
    assert "started from Python or Studio" in shown
    assert "[[rule]]" in shown
    assert "Write the rule" not in shown


def test_an_answer_lets_the_run_go_on_in_the_server_where_the_thread_names_its_team(db: Path) -> None:
    page, plan = page_of(db), planned(step("a", agent="tooled"))
    with loading.open_orchestrator(str(db), {"team": "letters"}) as team:
        [review] = team.run("write", thread_id="t", plan=plan).reviews
    assert "Approve, and go on" in page.get("/inbox").text
    answer = send_form(page, f"{at('/review', review)}&go_on=1", action="approve")
    assert (answer.status_code, answer.headers["location"]) == (303, "/thread?id=t")
    with OrchestratorClient(db) as client:
        # The second letter is asked about by the run that went on.
        assert any(each.kind == "run_resumed" for each in client.follow("t"))
        assert [each.subject["args"]["to"] for each in client.reviews("t")] == ["bob"]
    assert [each["to"] for each in SENT] == ["ada"]


def test_a_run_that_cannot_go_on_here_says_so_and_the_answer_stays(db: Path) -> None:
    review = waiting(db, step("a", agent="tooled"))
    assert "and go on" not in page_of(db).get("/inbox").text, "its team is in another program"
    refused = send_form(page_of(db), f"{at('/review', review)}&go_on=1", action="approve")
    assert (refused.status_code, "The answer is recorded. The run does not go on" in refused.text) == (409, True)
    with OrchestratorClient(db) as client:
        assert client.reviews("t") == []
