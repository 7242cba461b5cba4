"""Plan: what is refused and how, and what follows from the dependencies."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import Outcome, Plan, SubTask
from orchestrator.errors import PlanError
from orchestrator.reports.plan_svg import plan_svg
from tests.support.strategies import plans
from tests.support.teams import step


def sub_task(id: str, *needs: str, agent: str = "coder", description: str = "work") -> SubTask:
    return SubTask(id=id, description=description, target_agent=agent, depends_on=needs)


def plan(*tasks: SubTask) -> Plan:
    return Plan(sub_tasks=tasks)


@pytest.mark.parametrize(
    ("bad", "culprit"),
    [
        (plan(), "empty"),
        (plan(sub_task("a", agent="poet")), "'a' names the unknown agent 'poet' (there are: coder)"),
        (plan(sub_task("a"), sub_task("a")), "'a' is used more than once"),
        (plan(sub_task("a", "b")), "'a' depends on 'b', which is not in the plan"),
        (plan(sub_task("a", "a")), "'a' depends on itself"),
        (plan(sub_task("a", "c"), sub_task("b", "a"), sub_task("c", "b")), "cycle"),
        (plan(*(sub_task(f"t{i}") for i in range(9))), "9 sub-tasks, the limit is 8"),
    ],
    ids=["empty", "unknown agent", "duplicate id", "missing id", "self-dependency", "cycle", "too large"],
)
def test_an_unsound_plan_is_refused_with_the_culprit_named(bad: Plan, culprit: str) -> None:
    with pytest.raises(PlanError) as refused:
        bad.check(["coder"], most=8)
    assert culprit in str(refused.value)


def test_all_problems_are_told_at_once() -> None:
    bad = plan(sub_task("a", agent="poet"), sub_task("b", "nowhere"))
    assert len(bad.problems(["coder"])) == 2


def test_a_cycle_is_told_with_its_members() -> None:
    problems = plan(sub_task("a", "b"), sub_task("b", "a"), sub_task("c")).problems(["coder"])
    assert any("a" in line and "b" in line and "c" not in line.split("cycle")[1].split(": ")[1] for line in problems)


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ([{"id": "a", "description": "x"}], "sub-task 'a'"),
        ([{"id": "a b", "description": "x", "target_agent": "coder"}], "id"),
        ([{"id": "a", "description": "", "target_agent": "coder"}], "description"),
        ("nonsense", "plan"),
        (None, "plan"),
        ({"sub_tasks": 3}, "sub_tasks"),
        ([{"id": "a", "description": "x", "target_agent": "coder", "prio": 1}], "prio"),
    ],
)
def test_data_that_is_no_plan_is_refused_with_its_place(data: object, place: str) -> None:
    with pytest.raises(PlanError) as refused:
        Plan.parse(data)
    assert place in str(refused.value)


@given(plans())
def test_the_order_puts_dependencies_first(made: Plan) -> None:
    place = {task_id: at for at, task_id in enumerate(made.order)}
    assert set(place) == set(made.by_id)
    assert all(place[dep] < place[task.id] for task in made.sub_tasks for dep in task.depends_on)


@given(plans(), st.data())
def test_the_critical_path_is_a_chain_and_no_chain_is_longer(made: Plan, data: st.DataObject) -> None:
    durations = {i: data.draw(st.integers(0, 9)) * 1.0 for i in made.by_id}
    path, length = made.critical_path(durations)
    assert length == sum(durations[i] for i in path)
    assert all(a in made.by_id[b].depends_on for a, b in pairwise(path))

    def longest(task_id: str) -> float:
        return durations[task_id] + max((longest(dep) for dep in made.by_id[task_id].depends_on), default=0.0)

    assert length == max(longest(i) for i in made.by_id)


@given(plans(), st.data())
def test_changing_a_sub_task_renews_its_key_and_those_of_all_that_is_built_on_it(
    made: Plan, data: st.DataObject
) -> None:
    changed = data.draw(st.sampled_from(sorted(made.by_id)))
    after = made.replace(made.by_id[changed].retry("do better"))
    renewed = {i for i in made.by_id if made.keys[i] != after.keys[i]}
    assert renewed == {changed} | made.dependents(changed)


@given(plans())
def test_plans_survive_json(made: Plan) -> None:
    assert Plan.parse(made.plain()) == made
    assert Plan.parse(made.plain()).digest == made.digest


@given(plans())
def test_ancestors_and_dependents_mirror_each_other(made: Plan) -> None:
    assert all(a in made.ancestors(b) for a in made.by_id for b in made.dependents(a))


def test_a_plan_prints_as_a_table_and_as_mermaid() -> None:
    made = plan(sub_task("find", agent="researcher"), sub_task("end", "find", description='say "x"\nand y'))
    done = {"find": Outcome(id="find", key=made.keys["find"], status="succeeded")}
    assert "find  researcher  -" in made.table(done)
    assert "succeeded" in made.table(done)
    picture = made.mermaid(done)
    assert picture.startswith("graph TD")
    assert "n_find --> n_end" in picture
    assert '"x"' not in picture
    assert "style n_find fill:" in picture


def test_a_chain_longer_than_the_limit_is_refused() -> None:
    chain = Plan.parse([step("a"), step("b", "a"), step("c", "b"), step("d")])
    assert chain.depth == 3
    assert chain.check(["worker"], depth=3) is chain
    with pytest.raises(PlanError, match="longest chain of dependencies has 3 sub-tasks, the limit is 2"):
        chain.check(["worker"], depth=2)


def test_a_retry_has_the_same_shape_and_other_work_has_not() -> None:
    plan = Plan.parse([step("a"), step("b", "a")])
    assert plan.replace(plan.by_id["a"].retry("again")).shape == plan.shape
    assert Plan.parse([step("a"), step("b")]).shape != plan.shape


def test_a_plan_is_a_sequence_of_its_sub_tasks() -> None:
    a, b = sub_task("a"), sub_task("b", "a")
    both = plan(a, b)
    assert list(both) == [a, b]
    assert list(reversed(both)) == [b, a]
    assert len(both) == 2
    assert (both[0], both[-1], both["b"], both[:1]) == (a, b, b, (a,))
    assert "a" in both
    assert b in both
    assert "c" not in both
    assert sub_task("c") not in both
    with pytest.raises(KeyError):
        both["c"]
    with pytest.raises(IndexError):
        both[2]
    first = {"id": "a", "description": "work", "target_agent": "coder"}
    assert both.plain() == {"sub_tasks": [first, {**first, "id": "b", "depends_on": ["a"]}]}
    assert Plan.model_validate_json(both.model_dump_json()) == both


@given(plans())
def test_in_order_every_sub_task_stands_behind_its_dependencies(shuffled: Plan) -> None:
    ordered, seen = shuffled.in_order(), set[str]()
    for task in ordered:
        assert seen.issuperset(task.depends_on)
        seen.add(task.id)
    assert ordered.keys == shuffled.keys
    assert ordered.in_order() is ordered


def test_a_plan_is_read_from_a_plan_a_list_of_sub_tasks_or_of_dicts() -> None:
    a, b = sub_task("a"), sub_task("b", "a")
    both = plan(a, b)
    for given_plan in (both, [a, b], (a, b), [a, b.model_dump()], both.plain(), both.plain()["sub_tasks"]):
        assert Plan.parse(given_plan) == both


@given(plans())
def test_a_sub_task_lies_one_deeper_than_its_deepest_dependency(plan: Plan) -> None:
    for task in plan.sub_tasks:
        assert plan.depths[task.id] == max((plan.depths[dep] + 1 for dep in task.depends_on), default=0)
    assert plan.depth == max(plan.depths.values()) + 1


def test_an_id_that_is_used_three_times_is_named_twice() -> None:
    problems = plan(sub_task("a"), sub_task("a"), sub_task("a")).problems(["coder"])
    assert problems == ["sub-task id 'a' is used more than once"] * 2


def test_a_status_has_one_colour_in_every_picture() -> None:
    made = plan(sub_task("a"))
    for status in ("succeeded", "failed", "skipped", "waiting", "running"):
        outcomes = {"a": Outcome(id="a", key=made.keys["a"], status=status)}
        fill = made.mermaid(outcomes).rpartition("fill:")[2]
        assert f'fill="{fill}"' in plan_svg(made, outcomes)
