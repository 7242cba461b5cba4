"""Doubles for tests of teams: a scripted model, a loopback server with the same script, and crash helpers."""

from orchestrator.testing.crash import CrashAfter, CrashingSaver, CrashingStore, EffectLog, run_until_killed
from orchestrator.testing.dialects.dialect import Dialect, Quirk, Refusal, Stray, Streaming, Window
from orchestrator.testing.openai_server import Fault, OpenAIServer
from orchestrator.testing.script import (
    Gate,
    Reply,
    Request,
    Script,
    UnscriptedCallError,
    call,
    fail,
    hang,
    say,
    structure,
)
from orchestrator.testing.scripted_model import ScriptedModel
from orchestrator.testing.team_script import TeamScript
from orchestrator.testing.tool_conformance import ToolReport, assert_conforms, check_tool

__all__ = [
    "CrashAfter",
    "CrashingSaver",
    "CrashingStore",
    "Dialect",
    "EffectLog",
    "Fault",
    "Gate",
    "OpenAIServer",
    "Quirk",
    "Refusal",
    "Reply",
    "Request",
    "Script",
    "ScriptedModel",
    "Stray",
    "Streaming",
    "TeamScript",
    "ToolReport",
    "UnscriptedCallError",
    "Window",
    "assert_conforms",
    "call",
    "check_tool",
    "fail",
    "hang",
    "run_until_killed",
    "say",
    "structure",
]
