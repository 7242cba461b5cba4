"""The example documents hold what the default task asks for, and a search finds it first."""

import re
from pathlib import Path

import pytest
from orchestrator_tools.calculator import calculator
from orchestrator_tools.documents.tools import document_tools

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SHEETS = sorted((EXAMPLES / "countries").glob("*.md"))
TASK_COUNTRIES = ("Iceland", "Mongolia", "Netherlands")


def figure(country: str, line: str) -> float:
    text = (EXAMPLES / "countries" / f"{country.lower()}.md").read_text()
    found = re.search(rf"^- {line}: ([\d,.]+)", text, re.MULTILINE)
    assert found is not None
    return float(found.group(1).replace(",", ""))


def density(country: str) -> float:
    return figure(country, "Population") / figure(country, "Land area")


def test_the_true_answer_of_the_default_task() -> None:
    """Netherlands 515.3, Iceland 3.6, Mongolia 2.1 people per square kilometre of land; 245.9 times."""
    task = (EXAMPLES / "task.txt").read_text()
    assert all(country in task for country in TASK_COUNTRIES)
    densities = {country: density(country) for country in TASK_COUNTRIES}
    assert max(densities, key=densities.__getitem__) == "Netherlands"
    assert min(densities, key=densities.__getitem__) == "Mongolia"
    assert densities == pytest.approx({"Iceland": 3.5997, "Mongolia": 2.0955, "Netherlands": 515.27}, rel=1e-4)
    assert densities["Netherlands"] / densities["Mongolia"] == pytest.approx(245.89, abs=0.01)


def test_the_calculator_gives_the_same() -> None:
    answer = calculator().invoke({"expression": "(17,463,930 / 33,893) / (3,255,468 / 1,553,556)"})
    assert answer.endswith("= 245.892596081")


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.stem)
@pytest.mark.parametrize(
    ("query", "line"),
    [
        ("population of {}", "Population"),
        ("What is the population of {}?", "Population"),
        ("{} land area", "Land area"),
        ("land area of {} in square kilometres", "Land area"),
        ("electricity consumption of {}", "Electricity consumption"),
        ("{} GDP per capita", "Real GDP per capita (2017 dollars)"),
    ],
)
def test_a_search_finds_the_figure_in_the_first_passage(sheet: Path, query: str, line: str) -> None:
    text = sheet.read_text()
    country = text.splitlines()[0].removeprefix("# ")
    wanted = next(item for item in text.splitlines() if item.startswith(f"- {line}: "))
    search, _ = document_tools(EXAMPLES / "countries")
    first = search.invoke({"query": query.format(country)}).split("\n\n2. ")[0]
    assert first.startswith(f"1. {sheet.name} > {country}")
    assert wanted in first


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.stem)
def test_the_sheets_are_regular(sheet: Path) -> None:
    text = sheet.read_text()
    assert re.findall("^## (.*)$", text, re.MULTILINE) == [
        "Area and geography",
        "Population and people",
        "Economy",
        "Energy",
        "Environment and resources",
    ]
    assert 300 <= len(text.split()) <= 500
    total, land, water = (
        int(re.search(rf"^- {name} area: ([\d,]+) sq km$", text, re.MULTILINE)[1].replace(",", ""))  # type: ignore[index]
        for name in ("Total", "Land", "Water")
    )
    assert total == land + water


def test_every_sheet_has_its_source() -> None:
    readme = (EXAMPLES / "README.md").read_text()
    assert len(SHEETS) == 8
    assert all(f"`{sheet.name}`" in readme for sheet in SHEETS)
