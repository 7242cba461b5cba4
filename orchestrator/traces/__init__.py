"""Traces: what a journal tells, as OpenTelemetry spans by its GenAI conventions."""
