"""Tools that make files from a database: a CSV table of the rows of a query, and a chart of them.

The figures go from the database into the file without passing through a model, which could miscopy them.
"""

import csv
import io
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, StructuredTool, ToolException

from orchestrator_tools.answers import bad_arguments
from orchestrator_tools.database.sql_result import Limits, Result
from orchestrator_tools.database.tools import Database, open_database
from orchestrator_tools.workspace.contained_folder import ContainedFolder
from orchestrator_tools.workspace.contained_folder import Limits as FolderLimits

_MOST_BARS: Final = 60
_ROWS: Final = 10_000
Kind = Literal["bar", "line"]


def report_tools(url: str | Path, *, max_rows: int = _ROWS, time_limit_s: float = 10.0) -> list[BaseTool]:
    """Return the tools `save_table` and `draw_chart`, over the rows that `query_database` may read.

    Args:
        url: As for `database_tools`.
        max_rows: Most rows of one file.
        time_limit_s: Longest time of one statement.
    """
    # The rows go into a file. So the limit of characters is far beyond what a model could read.
    database = open_database(url, limits=Limits(max_rows, 20_000_000, time_limit_s))
    return [_tool(_save_table(database), time_limit_s), _tool(_draw_chart(database), time_limit_s)]


def _tool(function: Callable[..., str], time_limit_s: float) -> BaseTool:
    return StructuredTool.from_function(
        func=function,
        parse_docstring=True,
        handle_tool_error=True,
        handle_validation_error=bad_arguments,
        metadata={
            "risk": "write",
            "effect": "idempotent",
            "trust": "trusted",  # the answer names the file and its rows, and holds none of them
            "contained": True,
            "time_limit_s": 3 * time_limit_s + 30,
            "output_limit": 2_000,
        },
    )


def _save_table(database: Database) -> Callable[..., str]:
    def save_table(sql: str, name: str, config: RunnableConfig) -> str:
        """Saves the rows of one SELECT as a CSV file in the workspace, for the user to open.

        For example: save_table(sql="SELECT name, population FROM countries", name="population.csv")

        Args:
            sql: One SELECT statement, tried out with query_database before.
            name: The file, ending in .csv.
        """
        result = _rows_of(database, sql)
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(result.columns)
        writer.writerows([["" if cell == "NULL" else cell for cell in row] for row in result.rows])
        artifact = _workspace(config).write(_named(name, ".csv"), text.getvalue().encode())
        note = "; there were more, which are left out" if result.more else ""
        return f"{len(result.rows)} rows are saved{note}.\n{artifact.line()}"

    return save_table


def _draw_chart(database: Database) -> Callable[..., str]:
    def draw_chart(sql: str, name: str, title: str, config: RunnableConfig, kind: Kind = "bar") -> str:
        """Draws the rows of one SELECT as a chart: an SVG file in the workspace, for the user to open.

        For example: draw_chart(sql="SELECT name, population FROM countries", name="population.svg", title="People")

        Args:
            sql: One SELECT of two columns or more: first the labels, then one column of figures for each series.
            name: The file, ending in .svg.
            title: What stands above the chart.
            kind: "bar" or "line".
        """
        result = _rows_of(database, sql)
        artifact = _workspace(config).write(_named(name, ".svg"), _chart(result, title, kind))
        return f"The chart of {len(result.rows)} rows is drawn.\n{artifact.line()}"

    return draw_chart


def _rows_of(database: Database, sql: str) -> Result:
    result = database.read(sql)
    if not result.rows:
        raise ToolException("error: the statement gives no rows, so there is nothing to save; change it")
    return result


def _workspace(config: RunnableConfig) -> ContainedFolder:
    folder = config.get("configurable", {}).get("workspace")
    if not folder:
        raise ToolException("error: there is no workspace here; give the table in your answer instead")
    return ContainedFolder(Path(folder), FolderLimits())


def _named(name: str, ending: str) -> str:
    return name if name.strip().lower().endswith(ending) else f"{name.strip()}{ending}"


def _chart(result: Result, title: str, kind: Kind) -> bytes:
    if len(result.columns) < 2:
        raise ToolException("error: a chart needs two columns: the labels and the figures; select both")
    if len(result.rows) > _MOST_BARS:
        raise ToolException(f"error: {len(result.rows)} rows are too many for a chart; use LIMIT {_MOST_BARS} or group")
    pygal = _pygal()
    chart = (pygal.Line if kind == "line" else pygal.Bar)(
        title=title[:200],
        x_label_rotation=30,
        show_legend=len(result.columns) > 2,
        js=[],  # by default the picture would fetch scripts from the network
    )
    chart.x_labels = [row[0] for row in result.rows]
    for at, column in enumerate(result.columns[1:], start=1):
        chart.add(column, [_figure(row[at], column) for row in result.rows])
    # pygal puts its settings into a script element all the same. A picture that a browser opens needs none.
    root = ElementTree.fromstring(chart.render())
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.rpartition("}")[2] == "script":
                parent.remove(child)
    ElementTree.register_namespace("", "http://www.w3.org/2000/svg")
    picture: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return picture


def _pygal() -> Any:
    try:
        import pygal
    except ImportError:
        raise ToolException("error: charts need a package: pip install 'agent-task-orchestrator[data]'") from None
    # pygal leaves a finder for its plugins in the import system. Python 3.11 warns of finders of that kind at every
    # later import.
    sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != "pygal"]
    return pygal


def _figure(cell: str, column: str) -> float | None:
    if cell == "NULL":
        return None
    try:
        return float(cell)
    except ValueError:
        raise ToolException(
            f"error: the column '{column}' has '{cell[:40]}', which is no figure; select labels first, then figures"
        ) from None
