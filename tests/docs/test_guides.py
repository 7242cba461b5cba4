"""The guides: every Python block runs as it stands, one guide after the other, against a scripted endpoint."""

import inspect
import json
import re
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_examples import find_examples
from starlette.testclient import TestClient

from orchestrator import Policy, TaskOrchestrator
from orchestrator.testing import Gate, OpenAIServer, Reply, Request, Script, TeamScript, call, say
from tests.support.teams import step

ROOT = Path(__file__).resolve().parents[2]
GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))


@pytest.fixture
def run_guide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Script], dict[str, Any]]:
    """Run the Python blocks of a guide in their order, in a folder of its own, and return the names they define."""
    monkeypatch.chdir(tmp_path)

    def run(name: str, script: Script) -> dict[str, Any]:
        with OpenAIServer(script) as server:
            monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
            return run_blocks(name)

    return run


def run_blocks(name: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": name}
    for example in find_examples(ROOT / "docs" / "guides" / f"{name}.md"):
        # Empty lines before it, so that a traceback names the line of the guide.
        code = compile("\n" * example.start_line + example.source, str(example.path), "exec")
        exec(code, names)
    return names


def script_of(*plan: Mapping[str, Any], results: Mapping[Any, Any] | None = None, summary: Any = "done") -> TeamScript:
    return TeamScript(list(plan), results=results, summary=summary)


def test_every_guide_is_tested() -> None:
    tested = {name.removeprefix("test_guide_") for name in globals() if name.startswith("test_guide_")}
    assert tested == {path.stem for path in GUIDES}


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.stem)
def test_every_command_in_a_guide_is_a_command(path: Path) -> None:
    from typer.main import get_command

    from orchestrator.cli.commands import app

    commands = get_command(app).commands  # type: ignore[attr-defined]
    assert set(re.findall(r"^orchestrator (\w+)", path.read_text(), re.M)) <= set(commands)


def test_guide_worker(run_guide: Any, capsys: pytest.CaptureFixture[str]) -> None:
    script = script_of(
        step("short", agent="editor"),
        step("es", "short", agent="translator"),
        results={"es": "El puente, de 1932, mide 503 metros."},
        summary="El puente [es]",
    )
    names = run_guide("worker", script)
    assert capsys.readouterr().out.splitlines() == ["El puente", "El puente, de 1932, mide 503 metros."]
    assert list(names["team"].workers) == ["editor", "translator", "critic"]


def test_guide_own_graph(run_guide: Any, capsys: pytest.CaptureFixture[str]) -> None:
    names = run_guide("own_graph", script_of(step("train", agent="trains"), summary="At 9:00 [train]"))
    assert capsys.readouterr().out.splitlines() == ["From which city do you leave?", "At 9:00"]
    assert names["run"].outcomes["train"].status == "succeeded"


def test_guide_context(run_guide: Any, capsys: pytest.CaptureFixture[str]) -> None:
    calls = [call("find_invoice", number="17"), "It is paid."]
    script = script_of(step("look", agent="clerk"), results={"look": calls, ("look", 1): calls}, summary="Paid [look]")

    def either(request: Any) -> Any:  # the first clerk of the guide has no tools
        return script(request) if request.tools or "Sub-task look" not in request.last_user else say("It is paid.")

    run_guide("context", either)
    first, *spans, last = capsys.readouterr().out.splitlines()
    assert (first, last) == ("['supervisor', 'clerk look', 'supervisor']", "Paid")
    assert {"invoke_workflow invoice-17", "round 1 invoice-17", "invoke_agent clerk invoice-17"} <= {*spans}


def test_guide_memory(run_guide: Any, capsys: pytest.CaptureFixture[str]) -> None:
    plan = [step("rivers", agent="researcher"), step("bridges", agent="researcher")]
    results = {"rivers": "The river Limmat.", "bridges": "Twelve bridges."}
    run_guide("memory", script_of(*plan, results=results, summary="Done."))
    assert capsys.readouterr().out.splitlines() == ["The river Limmat.", "done"]


def test_guide_tool(run_guide: Any, capsys: pytest.CaptureFixture[str]) -> None:
    calls = [call("read_invoice", number="17"), call("pay_invoice", number="17"), "It is paid."]
    names = run_guide("tool", script_of(step("pay", agent="clerk"), results={"pay": calls}, summary="Paid 17 [pay]"))
    assert "0 problems" in capsys.readouterr().out
    assert names["run"].spending.total.tool_calls == 2
    assert names["run"].answer == "Paid 17"
    [text] = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/guides/tool.md").read_text(), re.S)
    assert Policy.model_validate(tomllib.loads(text)) == names["policy"]


def test_guide_model(run_guide: Any, capsys: pytest.CaptureFixture[str]) -> None:
    names = run_guide("model", script_of(step("rivers", agent="researcher"), summary="Tagus, Douro, Minho [rivers]"))
    assert capsys.readouterr().out == "Tagus, Douro, Minho\n"
    assert names["team"].calls.fallbacks == (names["local"],)


def test_guide_reviews(run_guide: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run_guide("reviews", script_of(step("trip", agent="researcher"), summary="Take the tram [trip]"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("waiting ['Shall this plan")
    assert lines[1].startswith("lisbon plan ")
    assert "edit" in lines[2]
    assert lines[3:] == [*["done Take the tram"] * 2, "done"]


def test_guide_page(run_guide: Any) -> None:
    names = run_guide("page", script_of(step("a")))
    page = TestClient(names["app"], "http://localhost", client=("127.0.0.1", 1))
    assert "There are no threads yet" in page.get("/orchestrator/").text


def test_guide_journal(run_guide: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run_guide("journal", script_of(step("sights", agent="researcher"), results={"sights": "the bridge of Dom Luís"}))
    printed = capsys.readouterr().out
    assert re.search(r"^1 \d\d:\d\d:\d\d run_began", printed, re.M)
    assert "sub_task_ended sights" in printed
    assert "succeeded the bridge of Dom Luís" in printed
    assert re.search(r"^True \(\) [0-9a-f]{64}$", printed, re.M)


def test_guide_notebook(run_guide: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run_guide("notebook", script_of(step("trip", agent="researcher"), summary="Take the tram [trip]"))
    printed = capsys.readouterr().out
    assert "waiting ['Shall this plan be carried out?']" in printed
    assert "instruction: No museums, please." in printed
    assert printed.endswith("done Take the tram\n")


def test_guide_report(run_guide: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_guide("report", script_of(step("sights", agent="researcher"), results={"sights": "the bridge of Dom Luís"}))
    assert capsys.readouterr().out == "{\n"
    assert "the bridge of Dom Luís" in (tmp_path / "porto.html").read_text()
    assert "the bridge of Dom Luís" in (tmp_path / "porto.md").read_text()


def test_guide_intervene(run_guide: Any, capsys: pytest.CaptureFixture[str]) -> None:
    script, gates = script_of(step("trip", agent="researcher"), summary="Take the tram [trip]"), [Gate()]

    def hanging_once(request: Request) -> Reply:
        is_work = not request.title and "Sub-task trip" in request.last_user
        return script(request).behind(gates.pop()) if is_work and gates else script(request)

    run_guide("intervene", hanging_once)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "cancelled"
    assert lines[1].startswith("interrupted ('cancelled by ")
    assert lines[2:] == ["Take the tram", "Take the tram", "['No museums, please.'] Take the tram"]


def test_guide_fastapi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    testclient = pytest.importorskip("fastapi.testclient")
    monkeypatch.chdir(tmp_path)
    script = script_of(step("rivers", agent="researcher"), summary="Tagus [rivers]")
    with OpenAIServer(script) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        with testclient.TestClient(run_blocks("fastapi")["app"]) as client:
            thread = client.post("/tasks", json={"text": "Name a river."}).json()["thread_id"]
            wait_for(lambda: client.get("/reviews").json())
            [review] = client.get("/reviews").json()
            wait_for(lambda: client.get(f"/threads/{thread}").json()["status"] == "waiting")
            assert client.post(f"/reviews/{review['id']}", json={"action": "perhaps"}).status_code == 409
            assert client.post(f"/reviews/{review['id']}", json={"action": "approve"}).status_code == 202
            wait_for(lambda: client.get(f"/threads/{thread}").json()["status"] == "done")
            assert client.get(f"/threads/{thread}").json()["answer"] == "Tagus"
            assert client.get("/threads/unknown").status_code == 404


def wait_for(holds: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came to hold"
        time.sleep(0.02)


def test_guide_graph(run_guide: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run_guide("graph", script_of(step("rivers", agent="researcher"), summary="Tagus [rivers]"))
    letter, _, rest = capsys.readouterr().out.partition("Shall")
    assert letter == "Dear customer,\n\nTagus\n"
    assert rest.endswith("\nTagus\n")


def test_guide_conversation(run_guide: Any, capsys: pytest.CaptureFixture[str]) -> None:
    (Path.cwd() / "examples").symlink_to(ROOT / "examples")
    run_guide("conversation", script_of(step("people", agent="researcher"), summary="364,134 [people]"))
    printed = ["364,134", "364,134", "1 How many people live in Iceland? 364,134"]
    assert capsys.readouterr().out.splitlines() == printed


def test_guide_streaming(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    testclient = pytest.importorskip("fastapi.testclient")
    monkeypatch.chdir(tmp_path)
    script = script_of(step("rivers", agent="researcher"), summary="Tagus and Douro")
    with OpenAIServer(script) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        names = run_blocks("streaming")
        assert capsys.readouterr().out == "Tagus and Douro\nTagus and Douro"
        assert (names["run"].answer, names["words"]) == ("Tagus and Douro", "Tagus and Douro")
        with testclient.TestClient(names["app"]) as client:
            lines = [json.loads(line) for line in client.get("/answer?task=Name+a+river.").text.splitlines()]
        names["orchestrator"].close()
    assert (
        "".join(line["text"] for line in lines if line.get("event") == "text" and not line["sub_task_id"])
        == (lines[-1]["answer"])
    )


def test_guide_typed_answers(run_guide: Any, capsys: pytest.CaptureFixture[str]) -> None:
    (Path.cwd() / "examples").symlink_to(ROOT / "examples")
    country: Any = {"name": "Iceland", "people": 364134, "area_km2": None}
    script = TeamScript([step("people", agent="researcher")], summary=country, outputs={"facts": country})
    run_guide("typed_answers", script)
    assert capsys.readouterr().out.splitlines() == ["364134 ['people']", "Iceland", str(country)]


def test_guide_testing(run_guide: Any, tmp_path: Path) -> None:
    names = run_guide("testing", script_of(step("unused")))
    tests = {name: test for name, test in names.items() if name.startswith("test_") and inspect.isfunction(test)}
    assert len(tests) == 4
    for name, test in tests.items():
        (tmp_path / name).mkdir()
        test(tmp_path / name)


def test_guide_sample_class(run_guide: Any, capsys: pytest.CaptureFixture[str]) -> None:
    plan = [step("lengths", agent="researcher", approval=True), step("check", "lengths", agent="reviewer")]
    run_guide("sample_class", script_of(*plan, summary="The Tagus [lengths]."))
    printed = ["please review lengths: result of lengths", "The Tagus.", "The Tagus."]
    assert capsys.readouterr().out.splitlines() == printed
    [sample] = re.findall(r"```python\n(.*?)```", (ROOT / "tests/docs/brief_sample.md").read_text(), re.S)
    assert sample in (ROOT / "docs/guides/sample_class.md").read_text(), "the sample stands in the guide word for word"


def test_guide_deployment(run_guide: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = run_guide("deployment", script_of(step("rivers", agent="researcher")))
    assert capsys.readouterr().out == "[]\n"
    assert (tmp_path / "backup.db").stat().st_size > 0
    resumed: list[str] = []
    statuses: Sequence[tuple[str, str]] = (("a", "done"), ("b", "interrupted"), ("c", "running"))
    orchestrator = SimpleNamespace(
        threads=lambda: [SimpleNamespace(id=thread) for thread, _ in statuses],
        show=lambda thread: SimpleNamespace(status=dict(statuses)[thread]),
        resume=resumed.append,
    )
    assert names["resume_interrupted"](orchestrator) == resumed == ["b"]
    assert set(vars(orchestrator)) <= set(dir(TaskOrchestrator))
