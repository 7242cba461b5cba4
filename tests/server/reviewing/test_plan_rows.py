"""The table of a plan gives the plan back as it was, or as it was edited; its cost follows the change."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.control_characters import visible
from orchestrator.planning.plan import Plan
from orchestrator.server.reviewing.plan_change import changed_cost, changes
from orchestrator.server.reviewing.plan_rows import (
    PlanRow,
    plan_of,
    rows_of,
    typed_rows,
    with_new_row,
    without_row,
)
from tests.support.teams import step

PLAN = [step("a"), step("b", "a", approval=True), step("c", "a", "b", agent="tooled")]


def form_of(rows: list[PlanRow]) -> dict[str, str]:
    """Return the fields that a browser sends for rows."""
    form = {"rows": " ".join(map(str, range(len(rows))))}
    for number, row in enumerate(rows):
        description = visible(row.description).replace("\n", "\r\n")  # as the page shows and a browser sends it
        form |= {f"id-{number}": row.id, f"description-{number}": description, f"agent-{number}": row.agent}
        form |= {f"needs-{number}": row.needs, f"was-{number}": row.was}
        form |= {f"approval-{number}": "yes"} if row.needs_approval else {}
    return form


def plain(sub_tasks: list[dict[str, Any]]) -> Any:
    return Plan.parse(sub_tasks).plain()


def test_a_table_that_is_sent_as_it_is_means_the_same_plan() -> None:
    plan = [{**PLAN[0], "output_schema": {"type": "object"}, "feedback": ["more"], "attempt": 2}, *PLAN[1:]]
    assert plain(plan_of(typed_rows(form_of(rows_of(plan))), plan)) == plain(plan)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40).filter(str.strip))
def test_words_that_a_page_cannot_show_as_they_are_stay_as_they_were(text: str) -> None:
    plan = [{**PLAN[0], "description": text}]
    [sub_task] = plan_of(typed_rows(form_of(rows_of(plan))), plan)
    assert sub_task["description"] == text


def test_a_row_is_added_under_a_free_id_and_left_out_while_it_is_blank() -> None:
    rows = with_new_row(rows_of([*PLAN, step("t4")]), ["worker", "tooled"])
    assert (rows[-1].id, rows[-1].agent) == ("t5", "worker")
    blank = [*rows_of(PLAN), PlanRow(agent="worker")]
    assert len(plan_of(blank, PLAN)) == 3


def test_a_row_that_is_removed_leaves_no_dependency_behind() -> None:
    kept = without_row(rows_of(PLAN), 0)
    assert [row.dependencies for row in kept] == [[], ["b"]]


def test_dependencies_follow_a_sub_task_to_its_new_id() -> None:
    rows = rows_of(PLAN)
    renamed = [PlanRow("first", rows[0].description, "worker", was="a"), *rows[1:]]
    assert [each.get("depends_on") for each in plan_of(renamed, PLAN)] == [None, ["first"], ["first", "b"]]


def test_rows_may_be_taken_out_and_stand_in_any_order() -> None:
    form = form_of(rows_of(PLAN)) | {"rows": "2 0 7 0"}
    assert [row.id for row in typed_rows(form)] == ["c", "a", ""]


def test_changes_name_what_is_new_gone_and_another() -> None:
    after = [{**PLAN[0], "target_agent": "tooled"}, {**PLAN[2], "depends_on": ["a"]}, step("d", "c")]
    told = [(each.sign, each.sub_task.id, each.parts) for each in changes(Plan.parse(PLAN), Plan.parse(after))]
    assert told == [
        ("~", "a", (("agent", "worker", "tooled"),)),
        ("~", "c", (("after", "a, b", "a"),)),
        ("+", "d", ()),
        ("-", "b", ()),
    ]


def subject(**tokens: list[int]) -> dict[str, Any]:
    low, high = (sum(each[at] for each in tokens.values()) for at in (0, 1))
    forecast = {"tokens": tokens, "total_tokens": [low + 240, high + 1200], "total_usd": [0.1, 0.4]}
    return {"plan": PLAN, "forecast": forecast}


def test_the_cost_of_the_same_plan_is_the_forecast() -> None:
    cost = changed_cost(subject(a=[100, 200], b=[100, 300], c=[1000, 5000]), Plan.parse(PLAN))
    assert cost is not None
    assert (cost.total, cost.usd, cost.is_guess) == ((1440, 6700), (0.1, 0.4), False)


def test_a_sub_task_that_moves_to_another_agent_costs_what_that_one_costs() -> None:
    after = [*PLAN[:1], {**PLAN[1], "target_agent": "tooled"}, PLAN[2], step("d", agent="reviewer")]
    cost = changed_cost(subject(a=[100, 200], b=[100, 300], c=[1000, 5000]), Plan.parse(after))
    assert cost is not None
    assert cost.sub_tasks == {"a": (100, 200), "b": (1000, 5000), "c": (1000, 5000), "d": (100, 5000)}
    assert cost.is_guess, "nothing is known of the reviewer"


def test_what_has_its_result_costs_nothing_until_what_it_rests_on_is_changed() -> None:
    known = subject(c=[1000, 5000])
    assert changed_cost(known, Plan.parse(PLAN)).sub_tasks["a"] == (0, 0)  # type: ignore[union-attr]
    other = [{**PLAN[0], "description": "other work"}, *PLAN[1:]]
    again = changed_cost(known, Plan.parse(other))
    assert again is not None
    assert (again.sub_tasks["a"], again.sub_tasks["b"]) == ((1000, 5000), (1000, 5000))
