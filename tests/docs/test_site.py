"""The documentation site: it builds without a warning, has every public name, and loads nothing from outside."""

import importlib
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytest.importorskip("mkdocs")

ROOT = Path(__file__).resolve().parents[2]
FACES = (
    "orchestrator",
    "orchestrator.testing",
    "orchestrator_tools.database",
    "orchestrator_tools.documents",
    "orchestrator_tools.mcp",
    "orchestrator_tools.python",
    "orchestrator_tools.web",
    "orchestrator_tools.workspace",
)
# `folder_problem` is for the command line and the teams that ship: users name a folder to `document_tools`.
NOT_SHOWN = {"orchestrator.__version__", "orchestrator_tools.documents.folder_problem"}
LOADING_RELS = {"icon", "manifest", "modulepreload", "preconnect", "preload", "stylesheet"}


class Page(HTMLParser):
    """Collects what a browser would load for a page, and the anchors in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.classes: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors.add(values.get("id", ""))
        self.classes.update(values.get("class", "").split())
        self.loaded += [values[name] for name in ("src", "srcset", "poster", "data") if name in values]
        if tag == "link" and LOADING_RELS & set(values.get("rel", "").split()):
            self.loaded.append(values["href"])


def test_the_site_builds_strictly_has_every_public_name_and_loads_nothing_from_outside(tmp_path: Path) -> None:
    # Not --quiet: mkdocs 1.6 does not count the warnings that it does not print, and strict mode then passes.
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(tmp_path / "site")]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    site = tmp_path / "site"
    pages = {path.relative_to(site).as_posix(): Page(path) for path in site.rglob("*.html")}
    assert {"index.html", "guides/tool.html", "notebooks/01_quickstart.html"} <= pages.keys()
    assert outside(site, pages) == []
    anchors = set().union(*(page.anchors for page in pages.values()))
    missing = {name for name, places in public_names().items() if not places & anchors} - NOT_SHOWN
    assert missing == set(), "each public name has its place in docs/reference"


def outside(site: Path, pages: dict[str, Page]) -> list[str]:
    """Everything in pages and style sheets that a browser would fetch from another host."""
    loaded = [(name, url) for name, page in pages.items() for url in page.loaded]
    for sheet in site.rglob("*.css"):
        loaded += [(sheet.name, url) for url in re.findall(r"(?:url\(|@import )[\"']?([^\"')]+)", sheet.read_text())]
    found = [f"{name}: {url}" for name, url in loaded if re.match(r"(https?:)?//", url)]
    # The theme's script fetches Mermaid from a CDN for elements of this class, and for nothing else.
    return found + [f"{name}: mermaid" for name, page in pages.items() if "mermaid" in page.classes]


def public_names() -> dict[str, set[str]]:
    """Every name that the public modules hand on, with the anchors that it can have."""
    names = {}
    for module in map(importlib.import_module, FACES):
        for name in module.__all__:
            home = getattr(getattr(module, name), "__module__", module.__name__)
            names[f"{module.__name__}.{name}"] = {f"{module.__name__}.{name}", f"{home}.{name}"}
    return names
