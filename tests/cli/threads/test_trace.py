"""`orchestrator trace THREAD`: a thread sent to a collector, after it has run."""

import json

import pytest

from orchestrator.testing import OpenAIServer, TeamScript
from tests.cli.test_main import Cli, cli
from tests.support.teams import step
from tests.traces.test_traces import collector

__all__ = ["cli", "collector"]


def test_a_thread_is_sent_afterwards(
    cli: Cli, collector: tuple[str, list[object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, requests = collector
    with OpenAIServer(TeamScript([step("a", agent="researcher")])) as server:
        cli("run", "x", "--base-url", server.base_url, "--auto-approve", "--thread", "t")
    assert not requests, "traces are off by default"
    code, out, _ = cli("trace", "t", "--to", address, "--json")
    (trace_id,) = json.loads(out)["traces"]
    assert (code, len(requests)) == (0, 1)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
    assert cli("trace", "t")[:2] == (0, f"sent trace {trace_id}\n")
    assert len(requests) == 2
    assert "no thread 'y'" in cli("trace", "y")[2]
    assert "use 1, or a collector such as" in cli("trace", "t", "--to", "nowhere")[2]
