"""The notebooks, executed from top to bottom as a user would, with a scripted model behind a loopback endpoint."""

import ast
import html
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from orchestrator.testing import Gate, OpenAIServer, Reply, Request, Script, TeamScript, call

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
CELL_S = 200  # the first cell imports everything, and the machine may be slow

SUM = [
    {"id": "iceland", "description": "Find Iceland's population.", "target_agent": "researcher"},
    {"id": "uruguay", "description": "Find Uruguay's population.", "target_agent": "researcher"},
    {"id": "sum", "description": "Add them.", "target_agent": "coder", "depends_on": ["iceland", "uruguay"]},
    {"id": "check", "description": "Check the sum.", "target_agent": "reviewer", "depends_on": ["sum"]},
]
LUMPED = [{"id": "all", "description": "Find out everything.", "target_agent": "researcher"}]
FOUND = {
    "iceland": [call("search_documents", query="Iceland population"), "Iceland: 0.4 million."],
    "sum": [call("calculate", expression="0.4 + 3.4"), "3.8 million."],
    "density": "19.6 per square kilometre.",
    "es": "Buenos días, Uruguay.",
}
TEA = [{"id": "tea", "description": "Write it.", "target_agent": "writer"}]
EMISSIONS = [
    {"id": "emissions", "description": "Query the emissions, save and draw them.", "target_agent": "analyst"},
    {"id": "ratio", "description": "The most by the least.", "target_agent": "coder", "depends_on": ["emissions"]},
    {"id": "check", "description": "Check the ratio.", "target_agent": "reviewer", "depends_on": ["ratio"]},
]
SQL = "SELECT name, round(co2_emissions_tonnes / population, 2) AS tonnes FROM countries ORDER BY tonnes DESC"
MEASURED: dict[str, Any] = {
    "emissions": [
        call("describe_database"),
        call("query_database", sql=SQL),
        call("save_table", sql=SQL, name="emissions.csv"),
        call("draw_chart", sql=SQL, name="emissions.svg", title="Tonnes of CO2 for each inhabitant"),
        "The Netherlands 12.28 tonnes, Kenya 0.31.",
    ],
    "ratio": [call("python", code="round(12.28 / 0.31, 1)"), "39.6 times as much."],
}


def team_script(*plans: list[dict[str, Any]], results: dict[str, Any] = FOUND) -> TeamScript:
    return TeamScript(list(plans), results=results, summary="This is the answer.")


@pytest.fixture
def jupyter_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")


def executed(name: str, script: Script, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Any], list[Request]]:
    """The cells that have code, with their outputs, and what the model was asked."""
    asked: list[Request] = []

    def listen(request: Request) -> Reply:
        asked.append(request)
        return script(request)

    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    with OpenAIServer(listen) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        NotebookClient(notebook, timeout=CELL_S, resources={"metadata": {"path": str(FOLDER)}}).execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"], asked


def shown(cells: list[Any], code: str, kind: str = "text/plain") -> str:
    """What the one cell with this code printed and displayed."""
    [cell] = [cell for cell in cells if code in cell.source]
    return "".join(o.text if o.output_type == "stream" else o.data.get(kind, "") for o in cell.outputs)


def count(asked: list[Request], sub_task: str) -> int:
    return sum(f"Sub-task {sub_task}: " in request.text for request in asked)


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("jupyter_folders")
def test_quickstart(monkeypatch: pytest.MonkeyPatch) -> None:
    cells, asked = executed("01_quickstart", team_script(SUM), monkeypatch)
    assert "scripted" in shown(cells, "ModelProfile.of(model)")
    assert "researcher: " in shown(cells, "orchestrator.workers")
    assert "approve_plan" in shown(cells, "draw_mermaid", "text/markdown")
    assert "This is the answer." in shown(cells, "run = orchestrator.run(")
    assert "<svg" in shown(cells, "run = orchestrator.run(", "text/html")
    assert "<details><summary>" in shown(cells, "run = orchestrator.run(", "text/html")
    assert "[iceland] researcher: Iceland: 0.4 million." in shown(cells, "orchestrator.memory")
    assert "density" in shown(cells, "plan.table()")
    streamed = shown(cells, "orchestrator.astream(")
    assert streamed.index("people succeeded") < streamed.index("density running") < streamed.index("density succeeded")
    assert "This is the answer." in streamed
    assert ": done" in shown(cells, "await desk.arun(")
    assert shown(cells, "graph.invoke(").startswith("done\nThis is the answer.")
    assert count(asked, "es") == 2


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("jupyter_folders")
def test_approve_and_resume(monkeypatch: pytest.MonkeyPatch) -> None:
    cells, asked = executed("02_approve_and_resume", team_script(LUMPED, SUM), monkeypatch)
    first = shown(cells, "run = orchestrator.run(")
    assert "waiting" in first
    assert "Shall this plan be carried out?" in first
    assert "iceland" in shown(cells, '"reject"', "text/html")
    assert "Is the result of sub-task iceland good enough" in shown(cells, '"edit"')
    assert shown(cells, "again = orchestrator.resume(") == "True"
    assert "Iceland: 0.4 million." in shown(cells, "later.reviews():")
    last = shown(cells, "while run.status")
    assert ": done" in last
    assert "This is the answer." in last
    history = shown(cells, "get_state_history")
    assert history.count("approve_plan") == 2
    assert history.rstrip().splitlines()[-2].endswith("summarize")
    assert [count(asked, task_id) for task_id in ("all", "iceland", "uruguay")] == [0, 2, 1]


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("jupyter_folders")
def test_data_analyst(monkeypatch: pytest.MonkeyPatch) -> None:
    cells, asked = executed("03_data_analyst", team_script(EMISSIONS, results=MEASURED), monkeypatch)
    table = shown(cells, "print_tools(")
    assert "query_database" in table
    assert "write (contained)" in table
    assert shown(cells, "policy.rule_on(") == "this team's policy: allow\nthe default policy: ask\n"
    first = shown(cells, "run = orchestrator.run(")
    assert "Shall this plan be carried out?" in first
    assert not any(count([request], "emissions") for request in asked[:1]), (
        "nothing is read before the plan is approved"
    )
    went_on = shown(cells, 'while run.status == "waiting"')
    assert went_on.count("approved:") == 1, "the plan is all that was asked about"
    assert "This is the answer." in went_on
    assert "<svg" in shown(cells, 'while run.status == "waiting"', "text/html")
    assert "| Netherlands | 12.28 |" in shown(cells, "run.artifacts", "text/markdown")
    chart = shown(cells, "run.artifacts", "image/svg+xml")
    assert "Tonnes of CO2 for each inhabitant" in chart
    assert "Kenya" in chart
    assert shown(cells, '"sql" in event.args').count(SQL) == 3
    assert "('Netherlands', 12.28)" in shown(cells, "sqlite3.connect(")
    assert any("39.6" in text for request in asked for role, text in request.messages if role == "tool")


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("jupyter_folders")
def test_budgets_and_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    cells, asked = executed("04_budgets_and_limits", team_script(SUM), monkeypatch)
    assert "together at most" in shown(cells, "explain_limits")
    assert 0 < int(shown(cells, "bounds_of(researchers)")) < 200
    assert "The budget is spent." in shown(cells, "budget = Budget(")
    assert "the budget of model calls is spent (3 of 3 used" in shown(cells, '"problems"')
    assert ": done" in shown(cells, '"edit"')
    costs = shown(cells, "usage = run")
    assert ast.literal_eval(costs.splitlines()[0]) == {"iceland": 2, "uruguay": 1, "kenya": 1, "mongolia": 1}
    assert costs.endswith("None\n")
    last = shown(cells, "run.exit_code")
    assert last.startswith("limited 4\n")
    assert "not finished: the budget of model calls is spent" in last
    assert "This is the answer." in last
    assert "called search_documents" in shown(cells, "repetitions(")
    assert len(asked) == 6 + 4, "what was finished before the budget was raised was not done again"


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("jupyter_folders")
def test_steer(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, script = Gate(), team_script(TEA)
    held = iter([True])

    def answer(request: Request) -> Reply:
        # The first request where tea grows has no answer before it is cancelled.
        is_first = "Sub-task grows: " in request.text and next(held, False)
        return script(request).behind(gate) if is_first else script(request)

    try:
        cells, asked = executed("05_steer", answer, monkeypatch)
    finally:
        gate.release()
    assert "waiting\n" in shown(cells, "for review in run.reviews:")
    assert "running" in shown(cells, "mine = [")
    assert "interrupted ['serve']" in shown(cells, "print(live.cancel())")
    resumed = shown(cells, "for instruction in run.instructions")
    assert resumed.startswith("done\n")
    assert "said: Mention that tea also grows on the Azores." in resumed
    assert shown(cells, "live.resume()", "text/html").count("succeeded") >= 3, "the display was drawn up to the end"
    assert "<svg" in shown(cells, "run.picture", "image/svg+xml")
    assert "The budget is spent." in shown(cells, "budget=Budget(model_calls=2)")
    assert shown(cells, '"model_calls": 30').startswith("done ")
    assert [count(asked, name) for name in ("grows", "serve", "leaflet")] == [2, 1, 1], "what was finished stayed so"


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("jupyter_folders")
def test_your_own_team(monkeypatch: pytest.MonkeyPatch) -> None:
    ordered: Any = [call("stock_of", item="toner"), call("order", item="toner", amount=4), "4 were ordered."]
    cells, _ = executed("06_your_own_team", team_script([], results={"toner": ordered}), monkeypatch)
    assert "0 problems" in shown(cells, "assert_conforms(")
    assert "spend" in shown(cells, "print_tools(")
    assert shown(cells, "def test_an_order").endswith("passed: [('toner', 5)]\n")
    went_on = shown(cells, "while run.status")
    assert "{'item': 'toner', 'amount': 4}" in went_on
    assert went_on.endswith("done [('toner', 4)]\nThis is the answer.\n")
    assert "order {'item': 'toner', 'amount': 4} → ordered 4 of toner" in shown(cells, "run.results.items()")


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("jupyter_folders")
def test_serve_and_report(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("uvicorn")
    plan = [each for each in SUM if each["target_agent"] == "researcher"]
    cells, _ = executed("07_serve_and_report", team_script(plan), monkeypatch)
    assert re.search(r"\(http://127\.0\.0\.1:\d+/thread\?id=[\w-]+\)", shown(cells, "live.start(", "text/markdown"))
    answered = shown(cells, "urllib.request.urlopen")
    assert answered.startswith("Shall this plan be carried out?\n200\n")
    assert answered.endswith("done\nThis is the answer.\n")
    report = html.unescape(shown(cells, "srcdoc=", "text/html"))
    assert "This is the answer." in report
    assert "Iceland: 0.4 million." in report
    assert "# How many people live in Iceland and Uruguay together?" in shown(cells, '"run.md"')
    data = shown(cells, 'task["decisions"]')
    assert "approve plan" in data
    assert "iceland succeeded ['search_documents']" in data


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.ipynb")), ids=lambda path: path.stem)
def test_committed_outputs_are_small_and_hold_no_errors(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert all(output.output_type != "error" for output in outputs)
    assert path.stat().st_size < 200_000
