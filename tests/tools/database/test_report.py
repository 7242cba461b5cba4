"""Files made from a database: a table and a chart of the example's real figures."""

import csv
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import BaseTool
from orchestrator_tools.database.report import report_tools

from examples.make_figures import make

FIGURES = Path(__file__).resolve().parents[3] / "examples" / "figures.sqlite"
POPULATION = "SELECT name, population FROM countries ORDER BY population DESC"


def tools() -> dict[str, BaseTool]:
    return {made.name: made for made in report_tools(FIGURES)}


def place(folder: Path) -> Any:
    return {"configurable": {"workspace": str(folder)}}


def test_the_rows_of_a_query_become_a_table(tmp_path: Path) -> None:
    answer = tools()["save_table"].invoke({"sql": POPULATION, "name": "people"}, place(tmp_path))
    assert "8 rows are saved" in answer
    assert "[artifact: people.csv, " in answer
    rows = list(csv.reader((tmp_path / "people.csv").read_text().splitlines()))
    assert rows[:2] == [["name", "population"], ["Bangladesh", "167184465"]]
    assert len(rows) == 9


@pytest.mark.parametrize("kind", ["bar", "line"])
def test_the_rows_of_a_query_become_a_chart(tmp_path: Path, kind: str) -> None:
    arguments = {"sql": POPULATION, "name": "people.svg", "title": "People & <land>", "kind": kind}
    tools()["draw_chart"].invoke(arguments, place(tmp_path))
    text = (tmp_path / "people.svg").read_text()
    drawn = "".join(ElementTree.fromstring(text).itertext())
    assert "People & <land>" in drawn
    assert "Mongolia" in drawn
    assert "script" not in text, "a picture runs nothing and fetches nothing"


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT name FROM countries", "needs two columns"),
        ("SELECT population, name FROM countries", "which is no figure"),
        ("SELECT name, population FROM countries WHERE 0", "no rows"),
        ("DELETE FROM countries", "error: "),
        ("SELECT * FROM nowhere", "countries"),
        ("SELECT a.name, b.population FROM countries a, countries b", "too many"),
    ],
)
def test_what_cannot_be_drawn_is_said(tmp_path: Path, sql: str, said: str) -> None:
    answer = tools()["draw_chart"].invoke({"sql": sql, "name": "x", "title": "x"}, place(tmp_path))
    assert answer.startswith("error: ")
    assert said in answer
    assert not list(tmp_path.glob("*.svg"))


def test_without_a_workspace_and_with_a_name_that_leaves_it_nothing_is_written(tmp_path: Path) -> None:
    save = tools()["save_table"]
    assert "there is no workspace" in save.invoke({"sql": POPULATION, "name": "x"})
    assert "leads out" in save.invoke({"sql": POPULATION, "name": "../x"}, place(tmp_path / "in"))
    assert not list(tmp_path.glob("*.csv"))


def test_the_example_database_is_what_the_sheets_say(tmp_path: Path) -> None:
    import sqlite3

    def rows(path: Path) -> list[Any]:
        connection = sqlite3.connect(path)
        try:
            found = [*connection.execute("SELECT * FROM countries"), *connection.execute("SELECT * FROM cities")]
        finally:
            connection.close()
        return found

    make(tmp_path / "again.sqlite")
    assert rows(tmp_path / "again.sqlite") == rows(FIGURES)
    assert len(rows(FIGURES)) == 8 + 13
