"""`from orchestrator import …`: the same names for programs, type checkers and completion; each loaded when used."""

import ast
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import orchestrator

SOURCE = ast.parse(Path(orchestrator.__file__).read_text())


def names_for_type_checkers() -> dict[str, str]:
    imports = [node for node in ast.walk(SOURCE) if isinstance(node, ast.ImportFrom)]
    return {
        alias.name: str(node.module)
        for node in imports
        for alias in node.names
        if str(node.module).startswith("orchestrator.")
    }


def test_programs_and_type_checkers_get_the_same_names() -> None:
    for_checkers = names_for_type_checkers()
    assert {*for_checkers, "__version__"} == set(orchestrator.__all__)
    assert len(orchestrator.__all__) == len(set(orchestrator.__all__))
    for name, module in for_checkers.items():
        assert getattr(orchestrator, name) is getattr(import_module(module), name)


def test_every_event_and_every_error_is_among_them() -> None:
    from orchestrator import errors, events

    def own(module: Any, base: type) -> set[str]:
        return {n for n, v in vars(module).items() if isinstance(v, type) and issubclass(v, base)}

    assert own(events, events.Event) | own(errors, Exception) <= set(orchestrator.__all__)


def test_dir_lists_them_before_any_is_loaded() -> None:
    code = "import orchestrator, sys; print(*dir(orchestrator)); print('langgraph' in sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {*orchestrator.__all__, "__doc__", "__file__"} <= set(done.stdout.split())
    assert not {"import_module", "TYPE_CHECKING", "Any"} & set(done.stdout.split())
    assert done.stderr.strip() == "False"


def test_the_version_is_that_of_the_installation() -> None:
    assert orchestrator.__version__ == version("agent-task-orchestrator")


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(AttributeError, match="module 'orchestrator' has no attribute 'Squad'"):
        getattr(orchestrator, "Squad")  # noqa: B009 - mypy refuses the plain attribute
    with pytest.raises(ImportError, match="cannot import name 'Squad'"):
        exec("from orchestrator import Squad")
