"""Hypothesis strategies for plans."""

from hypothesis import strategies as st

from orchestrator import Plan, SubTask


@st.composite
def plans(draw: st.DrawFn, max_size: int = 12, agent: str = "worker") -> Plan:
    """Draw sound plans of any shape: each sub-task depends on some earlier ones, and the list is in any order."""
    count = draw(st.integers(1, max_size))
    tasks = []
    for number in range(count):
        earlier = [f"t{i}" for i in range(number)]
        needs = draw(st.lists(st.sampled_from(earlier), unique=True, max_size=3)) if earlier else []
        tasks.append(
            SubTask(id=f"t{number}", description=f"step {number}", target_agent=agent, depends_on=tuple(needs))
        )
    return Plan(sub_tasks=tuple(draw(st.permutations(tasks))))
