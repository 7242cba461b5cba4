"""The graph of a plan shows by shape and colour how far each sub-task is."""

from xml.etree import ElementTree

from orchestrator import Plan
from orchestrator.reports.plan_graph import NodeFacts, plan_graph
from orchestrator.reports.plan_layout import PlanLayout
from tests.support.teams import step

HOSTILE = "<script>alert(1)</script>\"'\u202e\x1b[31m"


def test_each_box_tells_status_agent_cost_and_question() -> None:
    plan = Plan.parse([step("a"), step("b", "a", agent="coder", approval=True), step("c", "b")])
    facts = {
        "a": NodeFacts("succeeded", "1,200 tokens, $0.0040"),
        "b": NodeFacts("waiting", asked="May b call the tool 'python'?"),
    }
    root = ElementTree.fromstring(plan_graph(plan, facts, "b", lambda name: f"?sub_task={name}"))
    boxes = {each.get("href"): "".join(each.itertext()) for each in root.iter("a")}
    assert list(boxes) == ["?sub_task=a", "?sub_task=b", "?sub_task=c"]
    assert "worker · 1,200 tokens, $0.0040" in boxes["?sub_task=a"]
    assert "asks you: May b call" in boxes["?sub_task=b"]
    names = [each.get("class", "") for each in root.iter("g") if "node" in each.get("class", "")]
    assert names == ["node is-succeeded", "node is-waiting selected", "node is-pending"]
    signs = [ElementTree.tostring(each) for each in root.iter("g") if each.get("class") == "sign"]
    assert len(set(signs)) == 3, "the shapes differ, for eyes that see no colours"


def test_every_text_is_text() -> None:
    plan = Plan.parse([{**step("a"), "description": HOSTILE, "target_agent": HOSTILE}])
    drawn = plan_graph(plan, {"a": NodeFacts(HOSTILE, HOSTILE, HOSTILE)})
    assert "<script" not in drawn
    ElementTree.fromstring(drawn)


def test_a_large_plan_has_small_boxes_in_columns_of_bounded_height() -> None:
    plan = Plan.parse([step(f"s{number}") for number in range(1000)])
    root = ElementTree.fromstring(plan_graph(plan, {}))
    assert int(root.attrib["height"]) < 1200
    assert len(set(PlanLayout.of(plan).corners.values())) == 1000


def test_no_arrow_points_back() -> None:
    plan = Plan.parse([step("c", "a", "b"), step("b", "a"), step("a"), *(step(f"s{n}", "c") for n in range(100))])
    corners = PlanLayout.of(plan).corners
    assert all(corners[dep][0] < corners[task.id][0] for task in plan for dep in task.depends_on)
