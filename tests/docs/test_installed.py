"""The package as a user has it: editable and from a wheel, in a project whose modules have the names of ours."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import orchestrator
from orchestrator.testing import OpenAIServer, TeamScript, call, say
from tests.docs.test_readme import PLAN, PYTHON_BLOCKS, ROOT

CACHE = ROOT / ".mypy_cache" / "installed"  # the libraries below take mypy 25 s, and are the same in every run
USERS_NAMES = ("tools", "graphs", "errors", "events", "testing")
OWN_TEAM = """
from errors import Untidy
from orchestrator import Supervisor, Team, Worker, declare
from tools import days_between

team = Team(Supervisor(), [Worker("clerk", "You compute with dates.", tools=[days_between])])
declare(team.workers["clerk"].tools[0], risk="read")
assert issubclass(Untidy, ValueError)
"""
OWN_TOOLS = '''
def days_between(first: str, last: str) -> int:
    """Counts the days from one ISO date to another."""
    from datetime import date

    return (date.fromisoformat(last) - date.fromisoformat(first)).days
'''


@dataclass(frozen=True)
class Installed:
    """One way in which the package can be installed.

    Args:
        kind: `editable` or `wheel`.
        target: The folder that pip installed it into.
        home: The folder in which `orchestrator` has to lie.
        path: What `PYTHONPATH` has to be.
    """

    kind: str
    target: Path
    home: Path
    path: tuple[Path, ...]

    def run(self, *arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run Python with the installed package, beside whatever lies in `cwd`."""
        env = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "ORCHESTRATOR_"))}
        env |= {"PYTHONPATH": os.pathsep.join(map(str, self.path)), "COLUMNS": "200", **environment}
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)

    def command(self, *arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the `orchestrator` command that pip made."""
        return self.run(self.target / "bin" / "orchestrator", *arguments, cwd=cwd, **environment)


def build(hook: str, folder: Path, source: Path = ROOT) -> Path:
    """Build a distribution offline, as pip would, with a hook of PEP 517 or 660."""
    code = f"import sys; from hatchling.build import {hook} as build; print(build(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", code, folder], cwd=source, capture_output=True, text=True, check=True)
    return folder / done.stdout.split()[-1]


def install(wheel: Path, target: Path) -> None:
    """Install a wheel into a folder, offline."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", target, wheel], check=True)


@pytest.fixture(scope="module", params=["editable", "wheel"])
def installed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    hook = "build_editable" if request.param == "editable" else "build_wheel"
    wheel = build(hook, tmp_path_factory.mktemp("dist"))
    target = tmp_path_factory.mktemp(request.param)
    install(wheel, target)
    if request.param == "wheel":
        return Installed("wheel", target, target, (target,))
    # Python reads `.pth` files in its own folder only, so the path of one in another folder is set by hand.
    (pth,) = target.glob("*.pth")
    return Installed("editable", target, ROOT, (target, *map(Path, pth.read_text().splitlines())))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's project; whoever imports one of its modules by mistake fails."""
    for name in USERS_NAMES:
        (tmp_path / f"{name}.py").write_text(f'raise SystemExit("the user\'s own {name}.py was imported")\n')
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    return tmp_path


@pytest.fixture
def endpoint() -> Iterator[str]:
    results = {
        "coasts": [call("search_documents", query="coastline"), say("New Zealand: 15,134 km.")],
        "age": [call("days_between", first="2024-02-01", last="2024-03-01"), say("29 days.")],
    }
    with OpenAIServer(TeamScript(PLAN, results=results, summary="New Zealand [coasts].")) as server:
        yield server.base_url


def test_the_readmes_program_runs_beside_modules_of_the_same_names(
    installed: Installed, project: Path, endpoint: str
) -> None:
    (block,) = PYTHON_BLOCKS
    (project / "program.py").write_text(f"{block.source}\nimport orchestrator as package\nprint(package.__file__)\n")
    done = installed.run("program.py", cwd=project, OPENAI_BASE_URL=endpoint)
    assert done.returncode == 0, done.stderr
    *_, answer, file = done.stdout.splitlines()
    assert answer == "New Zealand."
    assert Path(file) == installed.home / "orchestrator" / "__init__.py"


def test_the_command_line_works_beside_modules_of_the_same_names(installed: Installed, project: Path) -> None:
    listed = installed.command("tools", cwd=project)
    assert listed.returncode == 0, listed.stderr
    assert "search_documents" in listed.stdout
    version = installed.run("-m", "orchestrator", "--version", cwd=project)
    assert version.stdout == f"orchestrator {orchestrator.__version__}\n", version.stderr
    drawn = installed.command("graph", "--team", "document_desk", cwd=project)
    assert drawn.returncode == 0, drawn.stderr
    assert "reader" in drawn.stdout


def test_a_team_of_ones_own_is_found_with_the_modules_that_it_imports(installed: Installed, project: Path) -> None:
    (project / "mine.py").write_text(OWN_TEAM)
    (project / "tools.py").write_text(OWN_TOOLS)
    (project / "errors.py").write_text("class Untidy(ValueError): ...\n")
    done = installed.command("tools", "--team", "mine:team", cwd=project)
    assert done.returncode == 0, done.stderr
    assert "days_between" in done.stdout


def test_a_wheel_holds_all_that_the_package_reads(tmp_path: Path) -> None:
    names = set(zipfile.ZipFile(build("build_wheel", tmp_path)).namelist())
    expected = {f"{package}/py.typed" for package in ("orchestrator", "orchestrator_graphs", "orchestrator_tools")}
    expected |= {f"orchestrator/prompts/{path.name}" for path in (ROOT / "orchestrator/prompts").glob("*.md")}
    for folder in ("orchestrator/server/templates", "orchestrator/server/static", "orchestrator/reports/styles"):
        page = [path for path in (ROOT / folder).rglob("*") if path.is_file()]
        assert page
        expected |= {path.relative_to(ROOT).as_posix() for path in page}
    countries = (ROOT / "examples/countries").glob("*.md")
    expected |= {f"orchestrator_graphs/examples/countries/{path.name}" for path in countries}
    expected |= {"orchestrator_graphs/examples/figures.sqlite"}
    assert expected <= names
    assert {Path(name).name for name in names if "/licenses/" in name} == {"LICENSE", "NOTICE"}
    packages = {"orchestrator", "orchestrator_graphs", "orchestrator_tools"}
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == packages


def test_a_wheel_made_from_the_source_distribution_is_the_same(tmp_path: Path) -> None:
    with tarfile.open(build("build_sdist", tmp_path)) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (source,) = (tmp_path / "unpacked").iterdir()
    (tmp_path / "direct").mkdir()
    direct, by_way = build("build_wheel", tmp_path / "direct"), build("build_wheel", tmp_path, source)
    assert zipfile.ZipFile(by_way).namelist() == zipfile.ZipFile(direct).namelist()


def test_a_users_program_is_checked_against_real_types(tmp_path: Path) -> None:
    """Mypy reads `py.typed` in the folder of an interpreter only, so the wheel is installed into one of its own."""
    venv.create(tmp_path / "venv", symlinks=True)
    (site_packages,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    install(build("build_wheel", tmp_path), site_packages)
    (tmp_path / "program.py").write_text((Path(__file__).parent / "typed_program.py").read_text())
    options = ["--strict", "--python-executable", tmp_path / "venv" / "bin" / "python", "--cache-dir", CACHE]
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MYPYPATH")}
    command = [sys.executable, "-m", "mypy", *options, "program.py"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.stdout == "Success: no issues found in 1 source file\n", done.stdout + done.stderr
