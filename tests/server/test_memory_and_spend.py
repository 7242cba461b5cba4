"""The pages of a thread's shared memory, and of the spending of all threads."""

import re
from pathlib import Path

from orchestrator import Budget, TaskOrchestrator
from orchestrator.testing import TeamScript, say
from tests.server.test_app import HOSTILE, with_thread
from tests.server.test_thread import text_of
from tests.support.page import page_of
from tests.support.teams import make_team, step


def test_the_memory_shows_each_entry_with_its_agent_trust_and_text(tmp_path: Path) -> None:
    db = with_thread(tmp_path)
    with TaskOrchestrator(team=make_team(TeamScript([step("a")])), db=str(db)) as team:
        memory = team.memory_of("t")
        memory.store("b", "from a letter", agent="scout", sources=("letter.pdf",), trusted=False)
    page = page_of(db)
    assert 'href="/thread/memory?id=t"' in page.get("/thread?id=t").text
    shown = text_of(page.get("/thread/memory?id=t").text)
    assert "seven lakes" in shown
    assert "by worker" in shown
    assert "not trusted, rests on b: letter.pdf" in shown
    assert "seven lakes" not in page.get("/thread/memory?id=t&find=LETTER+scout").text
    assert "No entry is like that" in page.get("/thread/memory?id=t&find=rivers").text
    assert "there is no thread" in page.get("/thread/memory?id=zz").text


def test_texts_of_the_memory_are_text_and_long_ones_have_an_address(tmp_path: Path) -> None:
    page = page_of(with_thread(tmp_path, HOSTILE + "x" * 1_000_000))
    shown = page.get("/thread/memory?id=t").text
    assert len(shown) < 50_000
    assert not re.search("<script>|<img|\u202e|\x1b", shown)
    [address] = re.findall(r'href="(/thread/text\?[^"]+)"', shown)
    assert len(page.get(address.replace("&amp;", "&")).text) > 1_000_000
    assert page.get("/thread/text?id=t&key=none").status_code == 404


def test_the_spending_is_summed_up_by_thread_worker_and_model(tmp_path: Path) -> None:
    db = tmp_path / "x.db"
    assert "Nothing has been spent" in page_of(db).get("/spend").text
    budget = Budget(cost_usd=5, prices={"*": {"input_usd": 1000, "output_usd": 2000}})
    for name in ("one", "two"):
        script = TeamScript([step("a"), step("b", agent="reviewer")], results={"a": say("x")})
        with TaskOrchestrator(team=make_team(script), db=str(db), budget=budget) as team:
            run = team.run(f"count {name}", thread_id=name, auto_approve=True)
    shown = page_of(db).get("/spend").text
    rows = {text_of(row).split(" $")[0]: text_of(row) for row in re.findall(r"<tr><th scope=.row.*?</tr>", shown, re.S)}
    assert set(rows) == {
        "count one",
        "count two",
        "ScriptedModel 2 threads",
        *(f"{agent} 2 threads" for agent in ("supervisor", "worker", "reviewer")),
    }
    assert f"${run.spending.total.cost_usd:.4f}" in rows["count two"]
    assert f"${2 * run.spending.total.cost_usd:.4f}" in rows["ScriptedModel 2 threads"]
    assert "count one" in page_of(db).get("/spend?days=7").text
    assert page_of(db).get("/spend?days=x&page=99").status_code == 200


def test_a_model_without_a_price_says_so(tmp_path: Path) -> None:
    shown = text_of(page_of(with_thread(tmp_path)).get("/spend").text)
    assert re.search(r"of [\d,]+ tokens no price is known", shown)
    assert "not known" in shown
