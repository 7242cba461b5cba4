"""A declaration holds for tools and for functions, said in any order; what is not said counts as the worst."""

from typing import Any

import pytest
from langchain_core.tools import BaseTool, tool
from orchestrator_graphs import data_analyst, document_desk, research_team
from orchestrator_tools.workspace.tools import workspace_tools

from orchestrator import TaskOrchestrator, Worker, declare
from orchestrator.testing import ScriptedModel, TeamScript, call, say
from orchestrator.tool_calls.declaration import (
    effect_of,
    is_contained,
    is_trusted,
    output_limit_of,
    risk_of,
    says_its_risk,
    time_limit_of,
)
from tests.support.teams import step


def plain(at: str) -> str:
    """Looks at something."""
    return f"saw {at}"


async def awaited(at: str) -> str:
    """Looks at something."""
    return f"saw {at}"


class Eye:
    """Something with a method."""

    def look(self, at: str) -> str:
        """Looks at something."""
        return f"saw {at}"


@declare(risk="write", effect="idempotent", trust="untrusted", contained=True, time_limit_s=5, output_limit=50)
def decorated(at: str) -> str:
    """Looks at something."""
    return f"saw {at}"


@declare(risk="write", effect="idempotent", trust="untrusted", contained=True, time_limit_s=5, output_limit=50)
@tool
def above_tool(at: str) -> str:
    """Looks at something."""
    return f"saw {at}"


@tool
@declare(risk="write", effect="idempotent", trust="untrusted", contained=True, time_limit_s=5, output_limit=50)
def below_tool(at: str) -> str:
    """Looks at something."""
    return f"saw {at}"


@declare(risk="write", effect="idempotent", trust="untrusted", contained=True, time_limit_s=5, output_limit=50)
async def decorated_coroutine(at: str) -> str:
    """Looks at something."""
    return f"saw {at}"


def tool_of(given: Any) -> BaseTool:
    (made,) = Worker("clerk", "You look.", tools=[given]).tools
    return made


@pytest.mark.parametrize("given", [decorated, above_tool, below_tool, decorated_coroutine])
def test_as_a_decorator_it_holds_for_the_tool_of_a_worker(given: Any) -> None:
    made = tool_of(given)
    assert (risk_of(made), effect_of(made), is_trusted(made)) == ("write", "idempotent", False)
    assert (is_contained(made), time_limit_of(made), output_limit_of(made)) == (True, 5.0, 50)


def test_a_decorated_function_is_still_a_function() -> None:
    assert decorated("it") == "saw it"


@pytest.mark.parametrize("given", [plain, awaited, Eye().look])
def test_what_is_not_declared_counts_as_the_worst(given: Any) -> None:
    made = tool_of(given)
    assert (says_its_risk(made), risk_of(made), effect_of(made), is_trusted(made)) == (False, "write", "once", False)


def test_called_on_a_function_or_a_method_it_returns_the_same_one() -> None:
    def own(at: str) -> str:
        """Looks at something."""
        return at

    class Other(Eye):
        """A method of its own."""

        def look(self, at: str) -> str:
            """Looks at something."""
            return at

    method = Other().look
    assert declare(own, risk="read") is own
    assert declare(method, risk="read") is method
    assert risk_of(tool_of(own)) == risk_of(tool_of(method)) == "read"
    assert not says_its_risk(tool_of(Eye().look))


def test_what_the_tool_itself_declares_goes_before_its_functions() -> None:
    made = declare(tool(decorated), risk="spend")
    assert risk_of(made) == "spend"
    assert risk_of(tool_of(decorated)) == "write"


@pytest.mark.parametrize(("risk", "asked"), [("read", 0), ("write", 1)])
def test_a_declared_function_is_asked_about_as_its_risk_demands(risk: Any, asked: int) -> None:
    @declare(risk=risk)
    def act(at: str) -> str:
        """Acts."""
        return f"did {at}"

    model = ScriptedModel(TeamScript([step("a", agent="clerk")], results={"a": [call("act", at="it"), say("did")]}))
    worker = Worker("clerk", "You act.", tools=[act])
    with TaskOrchestrator(workers=[worker], model=model, db="memory://") as opened:
        run = opened.run("go", plan=[step("a", agent="clerk")])
    assert [review.kind for review in run.reviews] == ["tool"] * asked


@pytest.mark.parametrize(
    ("properties", "effect"),
    [
        ({}, "none"),
        ({"risk": "read"}, "none"),
        ({"risk": "write"}, "once"),
        ({"risk": "execute", "trust": "untrusted"}, "once"),
        ({"risk": "spend", "time_limit_s": 5}, "once"),
        ({"risk": "write", "contained": True}, "once"),
        ({"risk": "write", "effect": "none"}, "none"),
        ({"risk": "read", "effect": "once"}, "once"),
    ],
    ids=str,
)
def test_an_effect_that_is_not_declared_is_the_safe_one_for_the_risk(properties: dict[str, Any], effect: str) -> None:
    def act(at: str) -> str:
        """Acts."""
        return at

    assert effect_of(declare(tool(act), **properties)) == effect
    assert effect_of(tool_of(declare(act, **properties))) == effect


def test_the_shipped_tools_declare_their_effects() -> None:
    teams = (data_analyst.team(), document_desk.team(), research_team.team())
    tools = [each for team in teams for worker in team.workers.values() for each in worker.tools]
    assert {"save_table", "python", "write_file"} <= {each.name for each in [*tools, *workspace_tools()]}
    for shipped in [*tools, *workspace_tools()]:
        assert "effect" in (shipped.metadata or {}), shipped.name
        assert not is_contained(shipped) or effect_of(shipped) != "once", f"{shipped.name} would ask before each call"
