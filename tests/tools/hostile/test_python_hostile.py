"""Hostile Python harms nothing outside, in every sandbox that is here, as root and as an ordinary user."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from orchestrator_tools.python.sandbox import SandboxUnavailableError
from orchestrator_tools.python.tools import PythonTool

from tests.tools.hostile.hostile_cases import CASES, Hostile
from tests.tools.hostile.hostile_python import SECRET, Surroundings, problems_of, surroundings, tool_for

_ROOT = Path(__file__).resolve().parents[3]
_NOBODY = 65534


def bubblewrap_problem() -> str | None:
    """Why bubblewrap cannot be tested here."""
    try:
        answer = tool_for("bubblewrap").invoke({"code": "6 * 7"})
    except SandboxUnavailableError as error:
        return str(error)
    return None if answer == "=> 42" else str(answer)


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surroundings]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("A_SECRET", SECRET)
        with surroundings(tmp_path_factory.mktemp("around")) as made:
            yield made


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workspace")


@pytest.fixture(scope="module", params=["monty", "bubblewrap"])
def tool(request: pytest.FixtureRequest, around: Surroundings) -> Iterator[PythonTool]:
    if request.param == "bubblewrap" and (problem := bubblewrap_problem()):
        pytest.skip(problem)
    made = tool_for(request.param)
    yield made
    made.end_sub_task("hostile")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_contained(case: Hostile, tool: PythonTool, around: Surroundings, workspace: Path) -> None:
    assert problems_of(case, tool, around, workspace)[1] == []


def test_nothing_is_left_of_it(tool: PythonTool, around: Surroundings) -> None:
    tool.end_sub_task("hostile")
    backend = (tool.metadata or {})["backend"]
    assert backend == "monty" or not around.sandboxes()


def _others_python() -> str | None:
    """A Python with the packages of this one, that an ordinary user can run."""
    for program in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        try:
            subprocess.run(
                [program, "-c", "import orchestrator_tools.python.tools"],
                check=True,
                capture_output=True,
                user=_NOBODY,
                group=_NOBODY,
                extra_groups=[],
                cwd="/",
                env=_environment(),
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        return program
    return None


def _environment() -> dict[str, str]:
    path = [
        str(_ROOT),
        str(_ROOT / "tools"),
        str(_ROOT / "graphs"),
        *(entry for entry in sys.path if entry.endswith("site-packages")),
    ]
    return {"PATH": "/usr/bin:/bin", "PYTHONPATH": os.pathsep.join(path), "A_SECRET": SECRET, "HOME": "/nonexistent"}


def test_all_of_it_is_contained_for_an_ordinary_user() -> None:
    """All cases in one process of that user, because only it may start them."""
    if os.getuid() != 0:
        pytest.skip("the other tests run as an ordinary user already")
    if problem := bubblewrap_problem():
        pytest.skip(problem)
    program = _others_python()
    if program is None:
        pytest.skip("an ordinary user cannot run any Python here that has the packages")
    # Below /tmp itself: pytest's own folders are closed to other users.
    made = subprocess.run(["mktemp", "-d"], check=True, capture_output=True, text=True).stdout.strip()
    os.chown(made, _NOBODY, _NOBODY)
    run = subprocess.run(
        [program, str(Path(__file__).with_name("hostile_python.py")), made, program],
        capture_output=True,
        text=True,
        user=_NOBODY,
        group=_NOBODY,
        extra_groups=[],
        cwd="/",
        env=_environment(),
        check=False,
    )
    subprocess.run(["rm", "-rf", made], check=True)
    found = {line["name"]: line["problems"] for line in map(json.loads, run.stdout.splitlines())}
    assert run.returncode == 0, run.stderr[-2_000:]
    assert found == {name: [] for name in (*(case.name for case in CASES), "the end")}
