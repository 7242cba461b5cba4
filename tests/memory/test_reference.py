"""References: an answer is bare, and the results that it rests on are named beside it."""

from pathlib import Path

import pytest

from orchestrator import Persistence, Reference, compile_graph, declare
from orchestrator.testing import TeamScript, call
from tests.support.teams import make_team, open_team, step

CODE = "Use `row[t1]`, or [t1](https://a.example).\n```\n[t2]\n```"
PLAN = [step("t1"), step("t2", "t1", agent="tooled"), step("t3")]


@pytest.mark.parametrize(
    ("said", "answer", "named"),
    [
        ("It is 5.\n\nFrom: [t2] [t1]", "It is 5.", ["t2", "t1"]),
        ("It is 5.\n**Sources:** [t1], [t3].", "It is 5.", ["t1", "t3"]),
        ("Es sind 5.\n\nQuellen: [t1, t2]\n", "Es sind 5.", ["t1", "t2"]),
        ("It is 5 [t1] and 6 [t2].", "It is 5 and 6.", ["t1", "t2"]),
        ("It is 5 [t1] and [t2]; surely (see [t3]).", "It is 5; surely.", ["t1", "t2", "t3"]),
        ("As [t1] says, it is 5[t2].", "As t1 says, it is 5.", ["t1", "t2"]),
        ("[t1]: five\n- [t2] six\n1. [t3]: seven", "five\n- six\n1. seven", ["t1", "t2", "t3"]),
        ("A | B [t1]\n\nC [t1]", "A | B\n\nC", ["t1"]),
        ("It is 5.", "It is 5.", ["t1", "t2", "t3"]),
        ("See note [1] and [t9].", "See note [1] and [t9].", ["t1", "t2", "t3"]),
        (CODE, CODE, ["t1", "t2", "t3"]),
    ],
)
def test_the_marks_leave_the_text_and_name_the_results(
    tmp_path: Path, said: str, answer: str, named: list[str]
) -> None:
    with open_team(TeamScript(PLAN, summary=said), tmp_path / "x.db") as team:
        run = team.run("task", auto_approve=True)
    assert run.answer == answer
    assert [reference.sub_task_id for reference in run.references] == named


def test_a_reference_says_where_its_result_is_and_what_it_was_made_with(tmp_path: Path) -> None:
    def look() -> str:
        """Look outside."""
        return "it is 5"

    script = TeamScript(PLAN, results={"t2": [call("look"), "it is 5"]}, summary="5 [t2]")
    with open_team(script, tmp_path / "x.db", declare(look, risk="read", trust="untrusted")) as team:
        run = team.run("task", thread_id="t", auto_approve=True)
        [reference] = run.references
        assert reference == Reference("t2", run.outcomes["t2"].key, "tooled", ("look",), ("t2: look()",))
        entry = team.memory.read(reference.key)
        assert entry is not None
        assert entry.text == "it is 5"
        assert str(reference) == "t2 (tooled, look)"
        assert team.show("t").references == run.references
        assert run.to_dict()["references"] == [reference.plain()]
    assert "from t2 (tooled, look)" in run._repr_html_()


def test_an_answer_without_a_model_is_bare_and_rests_on_all_results(tmp_path: Path) -> None:
    with open_team(TeamScript([step("t1"), step("t2")], summary="[t1]"), tmp_path / "x.db") as team:
        run = team.run("task", auto_approve=True)
    assert run.answer.endswith("do t1:\nresult of t1\n\ndo t2:\nresult of t2")
    assert [reference.sub_task_id for reference in run.references] == ["t1", "t2"]


def test_the_next_run_on_the_thread_begins_without_them(tmp_path: Path) -> None:
    with open_team(TeamScript([step("t1")]), tmp_path / "x.db") as team:
        assert team.run("task", thread_id="t", auto_approve=True).references
        assert team.run("another task", thread_id="t").references == ()


def test_the_state_of_the_bare_graph_has_them(tmp_path: Path) -> None:
    with Persistence(tmp_path / "x.db") as persistence:
        graph = compile_graph(
            make_team(TeamScript([step("t1")], summary="5 [t1]")),
            checkpointer=persistence.checkpointer,
            store=persistence.store,
        )
        state = graph.invoke({"task": "x", "auto_approve": True}, {"configurable": {"thread_id": "t"}})
    assert (state["answer"], [form["sub_task_id"] for form in state["references"]]) == ("5", ["t1"])
