"""What a worker node is sent is checkpointed, so its plain form stays as it is."""

from orchestrator import SubTask
from orchestrator.graph.payload import Payload

SUB_TASK = SubTask(id="b", description="do b", target_agent="clerk", depends_on=("a",))
FORM = {
    "sub_task": {"id": "b", "description": "do b", "target_agent": "clerk", "depends_on": ["a"]},
    "key": "b-2e",
    "needs": {"a": "a-1f"},
    "rank": 3,
    "round": 2,
    "memory_id": "t",
}


def test_the_plain_form_leaves_out_what_has_its_default() -> None:
    payload = Payload(SUB_TASK, "b-2e", {"a": "a-1f"}, 3, 2, "t")
    assert payload.plain() == FORM
    assert Payload.parse(FORM) == payload


def test_all_fields_are_read_back() -> None:
    payload = Payload(SUB_TASK, "b-2e", {"a": "a-1f"}, 3, 2, "t", ("a",), True, "b-1d")
    assert payload.plain() == FORM | {"done": ["a"], "auto_approve": True, "previous": "b-1d"}
    assert Payload.parse(payload.plain()) == payload
