"""Hooks of the documentation site: pages made from files outside `docs/`, and links that work in both places.

README.md and the like stay where GitHub and packages look for them. On the site, they are pages too.
"""

import json
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/README.md": "benchmarks.md",
    "LICENSE": "LICENSE.txt",
}
_SOURCES = {page: source for source, page in PAGES.items()}
_LINK = re.compile(r"(?<=\]\()([^)#\s]+)(?=(#[^)]*)?\))")
_FENCE = re.compile(r"^(```.*?^```$)", re.M | re.S)


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages that are made from other files of the repository."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text()))
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        page = f"notebooks/{notebook.stem}.md"
        _SOURCES[page] = f"notebooks/{notebook.name}"
        files.append(File.generated(config, page, content=notebook_page(json.loads(notebook.read_text()))))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files of the repository into links between pages."""
    address = page.file.src_uri
    source = _SOURCES.get(address, f"docs/{address}")
    pages = {original: made for made, original in _SOURCES.items()}

    def link(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), match[1]))
        made = pages.get(target) or (target.removeprefix("docs/") if target.startswith("docs/") else None)
        return posixpath.relpath(made, posixpath.dirname(address) or ".") if made else match[1]

    parts = _FENCE.split(markdown)
    return "".join(part if part.startswith("```") else _LINK.sub(link, part) for part in parts)


def notebook_page(notebook: dict[str, Any]) -> str:
    """Return a notebook with its saved outputs as Markdown.

    Args:
        notebook: The notebook as JSON.
    """
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
        elif source.strip():
            parts.append(f"```python\n{source}\n```")
            parts += [_output(output) for output in cell["outputs"]]
    return "\n\n".join(parts) + "\n"


def _output(output: dict[str, Any]) -> str:
    data = output.get("data", {"text/plain": output.get("text", "")})
    for kind in ("text/html", "image/svg+xml"):
        if kind in data:
            # A blank line would end the block of HTML in Markdown.
            html = re.sub(r"\n\s*\n", "\n", "".join(data[kind]))
            return f'<div class="notebook-output">{html}</div>'
    if "text/markdown" in data:
        return "".join(data["text/markdown"])
    return f'```text title="Output"\n{"".join(data["text/plain"]).rstrip()}\n```'
