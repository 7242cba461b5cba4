"""Run: what a notebook and a script see of a thread."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from orchestrator.testing import Reply, Request, TeamScript, fail
from tests.support.teams import open_team, step

PLAN = [step("a"), step("b", "a"), {**step("c"), "description": "<script>alert('&')</script>"}]


def test_a_notebook_shows_status_plan_outcomes_and_answer(tmp_path: Path) -> None:
    with open_team(TeamScript(PLAN, summary="It is <42> & done."), tmp_path / "x.db") as team:
        run = team.run("go", thread_id="t", auto_approve=True)
    shown = run._repr_mimebundle_()
    html = shown["text/html"]
    assert html == run._repr_html_()
    assert "<b>t</b>: done" in html
    assert "It is &lt;42&gt; &amp; done." in html
    assert html.count("succeeded") >= 3
    assert "<script>" not in html, "what models and users write is text, never markup"
    assert shown["text/plain"].startswith("t: done")
    svg = html[html.index("<svg") : html.index("</svg>") + 6]
    drawn = "".join(ElementTree.fromstring(svg).itertext())
    assert all(task in drawn for task in "abc")


def test_a_waiting_run_shows_what_it_asks_and_under_which_id(tmp_path: Path) -> None:
    with open_team(TeamScript(PLAN), tmp_path / "x.db") as team:
        run = team.run("go", thread_id="t")
    [review] = run.reviews
    assert review.question in run._repr_html_()
    assert review.id in run._repr_html_()
    assert "approve, edit, reject, stop" in run._repr_html_()
    assert review.id in str(run)
    assert run.is_resumable
    assert run.exit_code == 3


def test_its_plain_form_survives_json(tmp_path: Path) -> None:
    with open_team(TeamScript(PLAN), tmp_path / "x.db") as team:
        run = team.run("go", thread_id="t", auto_approve=True)
    plain = json.loads(json.dumps(run.to_dict()))
    assert plain["thread_id"] == "t"
    assert plain["outcomes"]["b"]["status"] == "succeeded"
    assert plain["plan"][1]["depends_on"] == ["a"]
    assert not run.is_resumable
    assert run.exit_code == 0


def test_a_run_whose_answer_is_not_written_yet_is_interrupted_however_it_is_to_end(tmp_path: Path) -> None:
    finish = {"reason": "no use", "decision": "finish", "changes": []}
    script = TeamScript(PLAN[:2], results={"b": fail(RuntimeError("broken"))}, revisions=[finish])
    broken = [True]

    def answer(request: Request) -> Reply:
        if "Write the final answer" in request.last_user and broken:
            return fail(RuntimeError("no answer today"))
        return script(request)

    with open_team(answer, tmp_path / "x.db") as team:
        with pytest.raises(RuntimeError, match="no answer today"):
            team.run("go", thread_id="t", auto_approve=True)
        assert team.show("t").status == "interrupted"
        assert team.show("t").is_resumable
        broken.clear()
        run = team.resume("t")
    assert (run.status, bool(run.answer)) == ("failed", True)
