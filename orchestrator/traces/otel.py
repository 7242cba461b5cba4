"""Spans handed to an exporter of OpenTelemetry. Nothing else imports OpenTelemetry, and this module is loaded late."""

import logging
import threading
from collections.abc import Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from orchestrator.traces.span import TraceSpan

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVICE = "agent-task-orchestrator"
_BATCH = 512  # OpenTelemetry's own default
_PATH = "v1/traces"


class TraceError(Exception):
    """A collector did not take spans."""


def exporter_for(address: str) -> SpanExporter:
    """Return the exporter for a collector.

    Args:
        address: Its address; empty for the one that OpenTelemetry's variables name, or this machine.
    """
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    if not address:
        return OTLPSpanExporter()
    # The exporter takes its argument as it is, and only the variables as the address of a whole collector.
    path = address.rstrip("/")
    return OTLPSpanExporter(endpoint=path if path.endswith(_PATH) else f"{path}/{_PATH}")


def export(exporter: SpanExporter, spans: Sequence[TraceSpan]) -> None:
    """Hand spans to an exporter.

    Raises:
        TraceError: It did not take them.
    """
    resource, scope, limits = _resource(), InstrumentationScope(SERVICE, _version()), SpanLimits()
    readable = [_readable(span, resource, scope, limits) for span in spans]
    for at in range(0, len(readable), _BATCH):
        with _own_log_lines() as lines:
            result = exporter.export(readable[at : at + _BATCH])
        if result is not SpanExportResult.SUCCESS:
            raise TraceError(_reason(lines))


def _reason(lines: Sequence[str]) -> str:
    # The exporter gives the reason with its first attempt, and ends with the news that there is none left.
    first = lines[0] if lines else "the exporter reports a failure"
    return first.removeprefix("Transient error ").partition(" encountered while exporting")[0]


def _resource() -> Resource:
    resource = Resource.create()  # reads OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES
    if str(resource.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        return resource.merge(Resource({SERVICE_NAME: SERVICE}))
    return resource


def _version() -> str:
    try:
        return version(SERVICE)
    except ModuleNotFoundError:  # the sources on `PYTHONPATH`, without an installation
        return ""


def _readable(span: TraceSpan, resource: Resource, scope: InstrumentationScope, limits: SpanLimits) -> ReadableSpan:
    parent = _context(span.trace_id, span.parent_id) if span.parent_id is not None else None
    attributes = BoundedAttributes(
        limits.max_span_attributes, span.attributes, max_value_len=limits.max_span_attribute_length
    )
    return ReadableSpan(
        name=span.name,
        context=_context(span.trace_id, span.span_id),
        parent=parent,
        resource=resource,
        attributes=attributes,
        kind=SpanKind.CLIENT if span.is_request else SpanKind.INTERNAL,
        instrumentation_scope=scope,
        status=Status(StatusCode.ERROR, span.error) if span.error else Status(StatusCode.UNSET),
        start_time=_nanoseconds(span.began),
        end_time=_nanoseconds(span.ended),
    )


def _context(trace_id: int, span_id: int) -> SpanContext:
    return SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _nanoseconds(time: datetime) -> int:
    # Not through a float of nanoseconds, which has too few digits.
    return round(time.timestamp() * 1_000_000) * 1000


@contextmanager
def _own_log_lines() -> "Iterator[list[str]]":
    """Keep what the exporter logs on this thread, instead of having it printed again at every attempt."""
    lines: list[str] = []
    thread = threading.get_ident()

    def keep(record: logging.LogRecord) -> bool:
        if record.thread != thread:  # another exporter of the same program
            return True
        lines.append(record.getMessage())
        return False

    log = logging.getLogger("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    log.addFilter(keep)
    try:
        yield lines
    finally:
        log.removeFilter(keep)
