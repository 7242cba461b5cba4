"""A run is sent as OpenTelemetry spans by the GenAI conventions, made from its journal, and nothing waits for it."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from orchestrator import ConfigError, Decision, OrchestratorError, Review, TaskOrchestrator
from orchestrator.testing import TeamScript, call, fail, say
from orchestrator.traces import sender
from tests.support.teams import make_team, step, writer

PLAN = [step("a", agent="tooled"), step("b", "a")]
FINISH = {"reason": "enough", "decision": "finish", "changes": []}
CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


@pytest.fixture(autouse=True)
def no_setting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("ORCHESTRATOR_TRACES", raising=False)
    monkeypatch.delenv(CONTENT, raising=False)
    monkeypatch.setattr(sender, "_failing", set())
    yield
    wait_for_senders()


def wait_for_senders() -> None:
    for thread in threading.enumerate():
        if thread.name == "orchestrator-traces":
            thread.join()


def script(**given: Any) -> TeamScript:
    return TeamScript(PLAN, results={"a": [call("write", text="lakes"), say("3 lakes")]}, **given)


def opened(db: Path, traces: Any, model: TeamScript | None = None) -> TaskOrchestrator:
    return TaskOrchestrator(team=make_team(model or script(), writer([])), db=db, traces=traces)


def approve(review: Review) -> Decision:
    return Decision(review_id=review.id, action="approve")


def run(db: Path, traces: Any = None, model: TeamScript | None = None) -> None:
    with opened(db, traces, model) as team:
        assert team.run("count the waters", thread_id="t", on_review=approve).status == "done"


def spans_of(exporter: InMemorySpanExporter) -> list[ReadableSpan]:
    return list(exporter.get_finished_spans())


def named(spans: list[ReadableSpan], name: str) -> list[ReadableSpan]:
    return [span for span in spans if span.name == name]


def told(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def tree(spans: list[ReadableSpan]) -> list[str]:
    """Return the path of names to each span; an unknown parent is a `?`."""
    by_id = {span.context.span_id: span for span in spans if span.context}

    def path(span: ReadableSpan) -> str:
        if span.parent is None:
            return span.name
        above = by_id.get(span.parent.span_id)
        return f"{path(above) if above else '?'}/{span.name}"

    return sorted(map(path, spans))


def test_a_run_is_a_tree_of_rounds_sub_tasks_calls_and_reviews(tmp_path: Path) -> None:
    exporter = InMemorySpanExporter()
    run(tmp_path / "x.db", exporter)
    agent = "invoke_workflow/round 1/invoke_agent"
    assert tree(spans_of(exporter)) == [
        "invoke_workflow",
        "invoke_workflow/chat ScriptedModel",
        "invoke_workflow/chat ScriptedModel",
        "invoke_workflow/review plan",
        "invoke_workflow/round 1",
        f"{agent} tooled",
        f"{agent} tooled/chat ScriptedModel",
        f"{agent} tooled/chat ScriptedModel",
        f"{agent} tooled/execute_tool write",
        f"{agent} tooled/review tool",
        f"{agent} worker",
        f"{agent} worker/chat ScriptedModel",
    ]
    assert len({span.context.trace_id for span in spans_of(exporter) if span.context}) == 1


def test_attributes_have_the_names_of_the_conventions(tmp_path: Path) -> None:
    exporter = InMemorySpanExporter()
    run(tmp_path / "x.db", exporter)
    spans = spans_of(exporter)
    assert all(told(span)["gen_ai.conversation.id"] == "t" for span in spans)
    chat = named(spans, "chat ScriptedModel")[0]
    assert chat.kind is SpanKind.CLIENT
    assert (
        told(chat).items()
        >= {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "ScriptedModel",
            "gen_ai.provider.name": "ScriptedModel",
            "gen_ai.agent.name": "supervisor",
        }.items()
    )
    assert told(chat)["gen_ai.usage.input_tokens"] > told(chat)["gen_ai.usage.output_tokens"] > 0
    (tool,) = named(spans, "execute_tool write")
    assert (told(tool)["gen_ai.operation.name"], told(tool)["gen_ai.tool.name"]) == ("execute_tool", "write")
    assert told(tool)["gen_ai.tool.call.id"].startswith("call_")
    (worker,) = named(spans, "invoke_agent worker")
    assert (
        told(worker).items()
        >= {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": "worker",
            "orchestrator.sub_task.id": "b",
            "orchestrator.sub_task.attempt": 1,
            "orchestrator.sub_task.status": "succeeded",
        }.items()
    )
    (root,) = named(spans, "invoke_workflow")
    assert told(root)["gen_ai.operation.name"] == "invoke_workflow"
    assert told(root)["orchestrator.run.status"] == "done"
    assert root.resource.attributes["service.name"] == "agent-task-orchestrator"


def test_times_are_those_of_the_journal(tmp_path: Path) -> None:
    exporter = InMemorySpanExporter()
    with opened(tmp_path / "x.db", exporter) as team:
        team.run("count the waters", thread_id="t", on_review=approve)
        records = team.journal("t")
    asked, answered = (next(r.at for r in records if r.kind == kind) for kind in ("tool_called", "tool_returned"))
    (tool,) = named(spans_of(exporter), "execute_tool write")
    assert tool.start_time
    assert tool.end_time
    assert abs(tool.start_time - asked.timestamp() * 1e9) < 2000
    assert abs(tool.end_time - answered.timestamp() * 1e9) < 2000


def test_a_child_lies_within_its_parent(tmp_path: Path) -> None:
    exporter = InMemorySpanExporter()
    run(tmp_path / "x.db", exporter)
    by_id = {span.context.span_id: span for span in spans_of(exporter) if span.context}
    for span in by_id.values():
        above = by_id[span.parent.span_id] if span.parent else span
        assert (above.start_time or 0) <= (span.start_time or 0) <= (span.end_time or 0) <= (above.end_time or 0)


def test_a_later_export_gives_the_same_ids(tmp_path: Path) -> None:
    sent, again = InMemorySpanExporter(), InMemorySpanExporter()
    run(tmp_path / "x.db", sent)
    with opened(tmp_path / "x.db", False) as team:
        (trace_id,) = team.export_trace("t", again)

    def ids(exporter: InMemorySpanExporter) -> list[tuple[int, int, str]]:
        contexts = [(span.context, span.name) for span in spans_of(exporter)]
        return sorted((each.trace_id, each.span_id, name) for each, name in contexts if each)

    assert ids(sent) == ids(again)
    assert len({span_id for _, span_id, _ in ids(sent)}) == len(ids(sent))
    assert trace_id == f"{ids(sent)[0][0]:032x}"


def test_prompts_and_answers_are_sent_only_when_the_conventions_variable_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter, full = InMemorySpanExporter(), InMemorySpanExporter()
    run(tmp_path / "x.db", exporter)
    assert not [text for span in spans_of(exporter) for text in ("lakes", "waters") if text in span.to_json()]
    monkeypatch.setenv(CONTENT, "SPAN_ONLY")
    with opened(tmp_path / "x.db", False) as team:
        team.export_trace("t", full)
    (tool,) = named(spans_of(full), "execute_tool write")
    assert told(tool)["gen_ai.tool.call.arguments"] == '{"text": "lakes"}'
    assert told(tool)["gen_ai.tool.call.result"] == "wrote lakes"
    (root,) = named(spans_of(full), "invoke_workflow")
    assert "count the waters" in told(root)["gen_ai.input.messages"]
    assert '"finish_reason": "stop"' in told(root)["gen_ai.output.messages"]


def test_each_stretch_between_pauses_is_sent_once(tmp_path: Path) -> None:
    exporter = InMemorySpanExporter()
    with opened(tmp_path / "x.db", exporter) as team:
        assert team.run("count the waters", thread_id="t").status == "waiting"
        for status in ("waiting", "done"):
            (review,) = team.reviews("t")
            team.decide(review.id, "approve")
            assert team.resume("t").status == status
    spans = spans_of(exporter)
    assert [told(span)["orchestrator.run.status"] for span in named(spans, "invoke_workflow")] == [
        "waiting",
        "waiting",
        "done",
    ]
    assert len({span.context.span_id for span in spans if span.context}) == len(spans)
    assert [told(span)["orchestrator.sub_task.status"] for span in named(spans, "invoke_agent tooled")] == [
        "unfinished",
        "succeeded",
    ]
    assert all(path.startswith("invoke_workflow") for path in tree(spans))
    assert [span.name for span in spans if span.parent is None] == ["invoke_workflow"]


def test_a_run_that_fails_is_sent_with_its_error(tmp_path: Path) -> None:
    exporter = InMemorySpanExporter()
    model = TeamScript(PLAN, results={"a": [fail(ValueError("the model is out"))] * 9}, revisions=[FINISH])
    with opened(tmp_path / "x.db", exporter, model) as team:
        team.run("count the waters", thread_id="t", auto_approve=True)
    failed = [span for span in named(spans_of(exporter), "chat ScriptedModel") if "error.type" in told(span)]
    assert failed
    assert {told(span)["error.type"] for span in failed} == {"ValueError"}
    assert failed[0].status.status_code is StatusCode.ERROR


class Refusing(SpanExporter):
    def export(self, spans: Any) -> SpanExportResult:
        raise SystemExit("no collector today")


class Hanging(SpanExporter):
    def __init__(self) -> None:
        self.ended = threading.Event()

    def export(self, spans: Any) -> SpanExportResult:
        self.ended.wait()
        return SpanExportResult.SUCCESS


def test_an_exporter_that_fails_is_told_once_and_fails_no_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for thread in ("x", "y"):
        run(tmp_path / f"{thread}.db", Refusing())
        wait_for_senders()
    lines = [record.getMessage() for record in caplog.records if "traces" in record.getMessage()]
    assert lines == ["traces are not sent to Refusing: SystemExit: no collector today"]


def test_a_collector_that_hangs_holds_up_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sender, "PATIENCE_S", 0.01)
    exporter = Hanging()
    try:
        run(tmp_path / "x.db", exporter)
        run(tmp_path / "y.db", exporter)
    finally:
        exporter.ended.set()
    assert [r.getMessage() for r in caplog.records if "traces" in r.getMessage()] == [
        "traces are not sent to Hanging: no answer within 0.01 s"
    ]


@pytest.fixture
def collector() -> Iterator[tuple[str, list[tuple[str, ExportTraceServiceRequest]]]]:
    requests: list[tuple[str, ExportTraceServiceRequest]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            requests.append((self.path, ExportTraceServiceRequest.FromString(body)))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", requests
        server.shutdown()


@pytest.mark.parametrize("variables", ["own", "otel"])
def test_one_setting_sends_to_a_collector_over_http(
    variables: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, collector: tuple[str, list[Any]]
) -> None:
    address, requests = collector
    if variables == "own":
        monkeypatch.setenv("ORCHESTRATOR_TRACES", address)
    else:
        monkeypatch.setenv("ORCHESTRATOR_TRACES", "1")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "waters")
    monkeypatch.setattr(sender, "PATIENCE_S", 60)
    run(tmp_path / "x.db")
    ((path, request),) = requests
    assert path == "/v1/traces"
    (resource,) = request.resource_spans
    assert "waters" in [each.value.string_value for each in resource.resource.attributes]
    assert {span.name for span in resource.scope_spans[0].spans} >= {"invoke_workflow", "execute_tool write"}


def test_an_export_says_why_a_collector_did_not_take_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "3")  # enough for a second attempt
    run(tmp_path / "x.db")
    with (
        opened(tmp_path / "x.db", False) as team,
        pytest.raises(OrchestratorError, match=r"9 did not take the traces: .*Connection refused"),
    ):
        team.export_trace("t", "http://127.0.0.1:9")


@pytest.mark.parametrize("value", ["maybe", "localhost:4318", "http://", "ftp://x"])
def test_a_wrong_setting_is_refused_in_one_line(value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATOR_TRACES", value)
    with pytest.raises(ConfigError, match="is no address: use 1, or a collector"):
        opened(tmp_path / "x.db", None)


def test_the_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.traces.setting.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'agent-task-orchestrator\[otel\]'"):
        opened(tmp_path / "x.db", True)


def test_nothing_of_opentelemetry_is_loaded_while_traces_are_off(tmp_path: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from tests.traces.test_traces import run
loaded = [name for name in sys.modules if name.startswith("opentelemetry")]
for name in loaded: del sys.modules[name]
for name in [n for n in sys.modules if n.startswith("orchestrator.traces.")]: del sys.modules[name]
run(Path({str(tmp_path / "x.db")!r}))
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
