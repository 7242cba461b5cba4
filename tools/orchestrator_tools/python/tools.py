"""A tool that runs Python code of a model in a sandbox, since the code may be hostile.

There are two sandboxes, and neither takes the place of the other. Monty is built in: a subset of Python without files,
fast, on every system. bubblewrap is full CPython with the installed libraries and the workspace's files, on Linux.
Names are kept between the calls of one sub-task, and are gone when it ends.

Also considered: wasmtime with CPython (needs a vendored binary, no numpy), Landlock (needs a very new kernel), Pyodide
on Node (its code can read the host's environment), and restricting `exec` (not a boundary at all).
"""

from pathlib import Path
from typing import Any, Final, Literal

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, ToolException
from pydantic import BaseModel, Field, PrivateAttr

from orchestrator_tools.answers import bad_arguments
from orchestrator_tools.python.monty import MontySandbox
from orchestrator_tools.python.sandbox import Outcome, Sandbox, SandboxUnavailableError, Sessions

__all__ = ["Backend", "PythonTool", "SandboxUnavailableError", "backend_name", "python_tool"]

Backend = Literal["monty", "bubblewrap"]

_LONGEST_CODE: Final = 50_000
_SESSIONS: Final = 8
_START_S: Final = 40.0
_ERROR_CHARACTERS: Final = 1_200

_COMMON: Final = (
    "Runs Python code and returns what it prints and the value of its last line, if that is an expression.\n\n"
    "Use it for what needs several steps: parsing, tables, statistics, simulations, checks. Names that you define are "
    "still there in your next call. No network, no input(), no installing. {limits}\n\n{subset}\n\n"
    'For example: python(code="total = sum([3, 4, 5])\\ntotal / 3") gives "=> 4.0".'
)
_SUBSET: Final = {
    "monty": (
        "It is a subset of Python: functions, classes without inheritance, comprehensions, f-strings, try, with and "
        "async work; class inheritance, yield, del, and numpy, pandas or other packages do not. There are no files. "
        "Modules: asyncio, base64, binascii, bisect, collections, copy, csv, dataclasses, datetime, decimal, "
        "functools, hashlib, itertools, json, math, random, re, time, tomllib, typing, unicodedata."
    ),
    "bubblewrap": (
        "It is full CPython with the packages that are installed. Files: the working directory /workspace is shared "
        "with the other workers; /tmp is yours alone. What runs in the background stands still between calls."
    ),
}


class PythonArguments(BaseModel):
    """The arguments of the tool."""

    code: str = Field(description="Python code, several lines if you like.", min_length=1, max_length=_LONGEST_CODE)


class PythonTool(BaseTool):
    """The tool `python(code)`; made by `python_tool`."""

    name: str = "python"
    args_schema: type[BaseModel] = PythonArguments
    handle_tool_error: Any = True
    handle_validation_error: Any = bad_arguments
    output_characters: int
    _sessions: Sessions = PrivateAttr()

    def __init__(self, sandbox: Sandbox, sessions: int = _SESSIONS, **fields: Any) -> None:
        super().__init__(**fields)
        self._sessions = Sessions(sandbox, sessions)

    def end_sub_task(self, key: str) -> None:
        """End the session of a sub-task, and everything that runs in it.

        Args:
            key: The sub-task's key.
        """
        self._sessions.end(key)

    def _run(self, code: str, config: RunnableConfig) -> str:
        configurable = config.get("configurable", {})
        key, workspace = configurable.get("sub_task_key"), configurable.get("workspace")
        try:
            outcome = self._sessions.run(key, Path(workspace) if workspace else None, code)
        except SandboxUnavailableError as error:
            raise ToolException(f"error: no Python can be run here: {error}. Go on without Python") from error
        except OSError as error:
            raise ToolException(f"error: no Python can be run here ({error}). Go on without Python") from error
        answer = _answer_of(outcome, self.output_characters, kept=key is not None)
        # Half of a surrogate pair is text in Python, but UTF-8 cannot encode it for a store or a request.
        answer = answer.encode("utf-8", "backslashreplace").decode()
        if outcome.error is not None or outcome.ended is not None:
            raise ToolException(answer)
        return answer


def _answer_of(outcome: Outcome, characters: int, *, kept: bool) -> str:
    """Return the text for the model: the print, then the value or the error, within a limit of characters."""
    printed = outcome.printed.rstrip("\n")
    value = outcome.value
    if value is not None and len(value) > characters // 2:
        rest = len(value) - characters // 2
        value = f"{value[: characters // 2]}\n[… the value goes on for {rest:,} characters or more; show less of it]"
    room = max(0, characters - len(value or ""))
    left_out = outcome.left_out + max(0, len(printed) - room)
    printed = printed[:room]
    if left_out:
        printed += f"\n[… {left_out:,} more characters were printed; print less]"
    if outcome.error is None and outcome.ended is None:
        parts = [printed, "" if value is None else f"=> {value}"]
        output = "\n".join(part for part in parts if part)
        return output or "(the code ran; it printed nothing, and its last line has no value)"
    parts = [f"error: {_why(outcome, kept)}"]
    if printed:
        parts.append(f"It had printed:\n{printed}")
    return "\n".join(parts)


def _why(outcome: Outcome, kept: bool) -> str:
    error = _shortened(outcome.error or "")
    if outcome.ended is not None:
        # The limit explains the end; a traceback into the middle of a loop would add nothing.
        return (
            f"{outcome.ended}, so Python was stopped. All names that you had defined are gone; define them again, and "
            "do less in one call"
        )
    last = error.rpartition("\n")[2]
    hint = ""
    if last.startswith("NameError") and kept:
        hint = "\nNames of earlier calls may be gone, after a pause for example; if so, define them again."
    elif last.startswith("NameError"):
        hint = "\nNothing is kept from earlier calls here; define all names in the same call."
    elif last.startswith(("NotImplementedError: The monty", "ModuleNotFoundError")):
        hint = "\nThis Python does not have that; write it differently, with what the tool's description names."
    return f"the code failed; correct it and call again.\n{error}{hint}"


def _shortened(error: str) -> str:
    """Return a traceback without its middle: the model's line is at its beginning, the error at its end."""
    if len(error) <= _ERROR_CHARACTERS:
        return error
    half = _ERROR_CHARACTERS // 2
    return f"{error[:half]}\n[…]\n{error[-half:]}"


def backend_name(tool: BaseTool) -> str:
    """Return the sandbox of a tool, for a listing; empty for a tool that runs no code.

    Args:
        tool: Any tool.
    """
    return str((tool.metadata or {}).get("backend", ""))


def python_tool(
    backend: Backend = "monty",
    *,
    time_limit_s: float | None = None,
    memory_mb: int | None = None,
    output_characters: int = 2_400,
    sessions: int = _SESSIONS,
    processes: int = 32,
    workspace_mb: int = 50,
    python: str | None = None,
) -> PythonTool:
    """Return the tool `python(code)`, which keeps its names for the length of a sub-task.

    No process starts before the first call. If the sandbox is missing, the first call returns an error that says so.

    Args:
        backend: "monty", a built-in subset of Python without files, or "bubblewrap", full CPython on Linux.
        time_limit_s: Seconds for one call; None for 5 in Monty and 20 in bubblewrap.
        memory_mb: Megabytes for all processes of a session; None for 256 in Monty and 1,024 in bubblewrap.
        output_characters: Most characters of one answer, errors and notes apart.
        sessions: Most sub-tasks whose names are kept, and most calls at once.
        processes: Most processes and threads of one session; bubblewrap only.
        workspace_mb: Most megabytes that the workspace may hold; bubblewrap only.
        python: Path of another Python, with the data libraries for example; bubblewrap only.

    Raises:
        SandboxUnavailableError: The backend cannot work on this system.
        ValueError: There is no such backend.
    """
    if backend == "monty":
        limit, memory = time_limit_s or 5.0, memory_mb or 256
        # Twice as many: those that are kept, and those of calls without a sub-task.
        sandbox: Sandbox = MontySandbox(
            time_limit_s=limit, memory_mb=memory, characters=output_characters, sessions=2 * sessions
        )
        # The code can only compute, and its output derives from the call alone.
        facts: dict[str, Any] = {"risk": "read", "effect": "none", "trust": "trusted"}
    elif backend == "bubblewrap":
        from orchestrator_tools.python.bubblewrap import BubblewrapSandbox
        from orchestrator_tools.python.bubblewrap_command import Bounds

        limit, memory = time_limit_s or 20.0, memory_mb or 1_024
        bounds = Bounds(limit, memory, processes, workspace_mb, 64, output_characters)
        sandbox = BubblewrapSandbox(bounds, python)
        # "read" although the code can write: nothing outside the workspace changes, so no human has to be asked.
        # Untrusted because the code reads files of the workspace, which can come from anywhere.
        facts = {"risk": "read", "effect": "idempotent", "trust": "untrusted", "contained": True}
    else:
        raise ValueError(f"there is no backend '{backend}'; use 'monty' or 'bubblewrap'")
    limits = f"A call may take {limit:g} seconds and {memory:,} MB."
    return PythonTool(
        sandbox,
        sessions,
        output_characters=output_characters,
        description=_COMMON.format(limits=limits, subset=_SUBSET[backend]),
        metadata={
            **facts,
            "time_limit_s": limit + _START_S,
            "output_limit": output_characters + _ERROR_CHARACTERS + 600,
            "backend": backend,
        },
    )
