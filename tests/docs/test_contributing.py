"""CONTRIBUTING.md: the tree and the staircase that it shows are the real ones."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
PACKAGES = ("orchestrator", "tools/orchestrator_tools", "graphs/orchestrator_graphs")


def block(heading: str) -> list[str]:
    """The lines of the first text block under a heading."""
    return TEXT.split(f"## {heading}\n")[1].split("```text\n")[1].split("```")[0].splitlines()


def shown() -> set[str]:
    """Every path in the tree."""
    paths: set[str] = set()
    folders: list[str] = []
    for line in block("Where things are"):
        name, about = line.split(maxsplit=1)
        assert about, f"{name} has no description"
        depth = (len(line) - len(line.lstrip())) // 2
        folders = folders[:depth]
        paths.add("".join(folders) + name)
        if name.endswith("/"):
            folders.append(name)
    return paths


def real() -> set[str]:
    """Every package and every module, but for the faces of packages."""
    paths = {"orchestrator/__init__.py"}
    for package in PACKAGES:
        modules = [path.relative_to(ROOT) for path in (ROOT / package).rglob("*.py")]
        paths |= {f"{path.parent.as_posix()}/" for path in modules}
        paths |= {path.as_posix() for path in modules if path.name != "__init__.py"}
    return paths


def test_the_tree_is_the_one_on_disk() -> None:
    assert real() - shown() == set(), "add a line to the tree of CONTRIBUTING.md"
    assert shown() - real() == set(), "these files are gone: take them out of the tree of CONTRIBUTING.md"


def test_the_staircase_is_the_import_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [layers] = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    assert block("Imports") == layers


def test_every_file_that_it_links_is_there() -> None:
    links = re.findall(r"\]\(([^)]+)\)", TEXT)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_make_target_that_it_names_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"`make ([a-z-]+)", TEXT)) <= targets
