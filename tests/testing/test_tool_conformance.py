"""The conformance suite for tools: the tools that ship pass it, and it finds what it is there to find."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import BaseTool, StructuredTool, tool
from orchestrator_tools.calculator import calculator
from orchestrator_tools.database.report import report_tools
from orchestrator_tools.database.tools import database_tools
from orchestrator_tools.documents.tools import document_tools
from orchestrator_tools.python.tools import python_tool
from orchestrator_tools.web.fetch import fetch_tool
from orchestrator_tools.web.search import web_search
from orchestrator_tools.workspace.tools import workspace_tools

from orchestrator import declare
from orchestrator.testing import assert_conforms, check_tool

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
COUNTRIES = EXAMPLES / "countries"
FIGURES = EXAMPLES / "figures.sqlite"
SELECT = "SELECT name, population FROM countries"
SHIPPED = [
    (calculator(), {"expression": "6 * 7"}),
    *zip(
        document_tools(COUNTRIES, embedder=None),
        [{"query": "population of Iceland"}, {"name": "iceland.md"}],
        strict=True,
    ),
    (python_tool(), {"code": "6 * 7"}),
    *zip(database_tools(FIGURES), [{"table": "countries"}, {"sql": SELECT}], strict=True),
]


@pytest.mark.parametrize(("made", "good"), SHIPPED, ids=lambda value: getattr(value, "name", ""))
def test_the_tools_that_ship_conform(made: BaseTool, good: dict[str, Any]) -> None:
    assert_conforms(made, good)


IN_WORKSPACE = [
    *((made, {"name": "kept.txt", "text": "x", "old": "words", "new": "x"}) for made in workspace_tools()),
    (report_tools(FIGURES)[0], {"sql": SELECT, "name": "table.csv"}),
]


@pytest.mark.parametrize(("made", "good"), IN_WORKSPACE, ids=lambda value: getattr(value, "name", ""))
def test_the_tools_of_the_workspace_conform(tmp_path: Path, made: BaseTool, good: dict[str, Any]) -> None:
    (tmp_path / "kept.txt").write_text("some words")
    arguments = {name: value for name, value in good.items() if name in made.args}
    assert_conforms(made, arguments, config={"configurable": {"workspace": str(tmp_path)}}, harmless=False)
    assert not str(made.invoke(arguments, {"configurable": {"workspace": str(tmp_path)}})).startswith("error")


@pytest.mark.parametrize("made", [fetch_tool(), web_search(), *database_tools(FIGURES, writable=True)[2:]])
def test_the_tools_that_reach_outside_declare_themselves(made: BaseTool) -> None:
    assert_conforms(made, {}, harmless=False)


def fine(text: str) -> str:
    """Repeats a text, shortened.

    Args:
        text: What to repeat.
    """
    return text[:100] or "(nothing)"


def made_of(function: Any, **said: Any) -> BaseTool:
    made = StructuredTool.from_function(
        func=function, parse_docstring=True, handle_tool_error=True, handle_validation_error=True
    )
    return declare(made, **{"output_limit": 1000, **said})


def problems(made: BaseTool, **good: Any) -> str:
    return str(check_tool(made, good or {"text": "x"}))


def test_a_sound_tool_has_no_problems() -> None:
    report = check_tool(made_of(fine), {"text": "x"})
    assert report
    assert len(report.checked) > 10
    assert str(report).endswith("0 problems")


def test_a_tool_that_declares_nothing_is_told_so() -> None:
    @tool
    def plain(text: str) -> str:
        """Does something or other."""
        return text[:10]

    found = problems(plain)
    for name in ("risk", "effect", "trust"):
        assert f"it does not declare its {name}" in found
    assert "its argument 'text' is not described" in found


def test_what_is_raised_at_bad_input_is_a_problem() -> None:
    def touchy(text: str) -> str:
        """Repeats a text if it likes it.

        Args:
            text: What to repeat.
        """
        if "\0" in text:
            raise ValueError("a zero byte")
        return text[:100] or "(nothing)"

    assert "raises ValueError: a zero byte" in problems(made_of(touchy))


def test_too_much_output_and_none_at_all_are_problems() -> None:
    def echo(text: str) -> str:
        """Repeats a text, however long.

        Args:
            text: What to repeat.
        """
        return text

    found = problems(made_of(echo))
    assert "is answered over the output limit" in found
    assert "is answered with nothing" in str(check_tool(made_of(echo), {"text": ""}))


def test_a_tool_that_takes_anything_is_a_problem() -> None:
    class Lax(BaseTool):
        name: str = "lax"
        description: str = "Takes whatever comes."

        def _run(self, text: str = "x", **_: Any) -> str:
            return "fine"

    assert "not described" in problems(Lax(metadata={"risk": "read", "effect": "none", "trust": "trusted"}))


def test_a_tool_that_works_only_one_way_is_a_problem() -> None:
    async def only_async(text: str) -> str:
        """Works on an event loop and nowhere else.

        Args:
            text: What to repeat.
        """
        await asyncio.sleep(0)
        return text[:100]

    made = declare(StructuredTool.from_function(coroutine=only_async, name="only_async", parse_docstring=True))
    assert "(sync) raises NotImplementedError" in problems(made)


def test_what_may_not_be_called_is_judged_by_its_declaration_alone() -> None:
    def dangerous(text: str) -> str:
        """Does what cannot be undone.

        Args:
            text: What to do.
        """
        raise AssertionError("it was called")

    assert check_tool(made_of(dangerous, risk="spend", effect="once"), {"text": "x"}, harmless=False)


def test_limits_and_metadata_that_cannot_hold_are_problems() -> None:
    # `declare` refuses such limits; a tool can have metadata of its own.
    made = made_of(fine)
    declared = made.metadata or {}
    made.metadata = {**declared, "time_limit_s": 0}
    assert "time limit is not between" in problems(made)
    made.metadata = {**declared, "output_limit": 0}
    assert "output limit is not above 0" in problems(made)
    made.metadata = {**declared, "call": fine}
    assert "no plain JSON" in problems(made)
    with pytest.raises(AssertionError, match="no plain JSON"):
        assert_conforms(made, {"text": "x"})


def test_a_declaration_on_the_function_of_a_tool_counts() -> None:
    @declare(risk="read")
    def look(text: str) -> str:
        """Looks at a text.

        Args:
            text: Any text.
        """
        return text

    made = tool(look, parse_docstring=True)
    assert check_tool(made, {"text": "x"}, harmless=False).problems == []


async def test_a_tool_is_checked_in_a_notebook_too_where_a_loop_runs_already() -> None:
    assert check_tool(made_of(fine), {"text": "x"}).problems == []
