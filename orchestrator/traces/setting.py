"""The setting of traces: off, on, or on with the address of a collector."""

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Union
from urllib.parse import urlsplit

from orchestrator.errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

VARIABLE = "ORCHESTRATOR_TRACES"
_ON, _OFF = ("1", "true", "on", "yes"), ("", "0", "false", "off", "no")
_EXPORTER = "opentelemetry.exporter.otlp.proto.http"

Traces = Union[bool, str, "SpanExporter"]
"""True for the collector that OpenTelemetry's own variables name; the address of a collector; or an exporter."""


def wanted_traces(traces: Traces | None) -> "str | SpanExporter | None":
    """Return where traces go: an exporter, an address, an empty text for OpenTelemetry's own variables, or None.

    Args:
        traces: The caller's argument; None for the environment variable.

    Raises:
        ConfigError: It is no setting, or the `otel` extra is not installed.
    """
    source = "traces" if traces is not None else VARIABLE
    value: object = os.environ.get(VARIABLE, "") if traces is None else traces
    if not isinstance(value, bool | str):
        if not callable(getattr(value, "export", None)):
            raise ConfigError(f"{source} is {value!r}: use True, the address of a collector, or a SpanExporter")
        return value  # type: ignore[return-value] # a duck of the right kind
    word = str(value).strip().lower()
    # OpenTelemetry's own switch turns off all that a program sends.
    if word in _OFF or os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    address = "" if word in _ON else str(value).strip()
    if address and not _is_address(address):
        raise ConfigError(f"{source}={address} is no address: use 1, or a collector such as http://localhost:4318")
    if not is_installed():
        raise ConfigError(f"{source} needs OpenTelemetry: pip install 'agent-task-orchestrator[otel]'")
    return address


def is_installed() -> bool:
    """True if the `otel` extra is installed."""
    try:
        return find_spec(_EXPORTER) is not None and find_spec("opentelemetry.sdk.trace") is not None
    except ModuleNotFoundError:  # a parent of the module is missing
        return False


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
