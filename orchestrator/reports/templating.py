"""Templates in which every text is text, for the page and for reports.

Whatever a template prints is escaped, and control and bidi characters are shown. Only what the templates themselves
write is markup.
"""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from orchestrator.control_characters import visible
from orchestrator.reports.markdown import markdown


def environment(folder: Path, **filters: Any) -> Environment:
    """Return the templates of a folder.

    Args:
        folder: The folder.
        filters: Filters beside `markdown`, by name.
    """
    templates = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,  # a name that is missing is a mistake, and not an empty place
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"markdown": markdown, **filters}
    return templates


def _shown(value: object) -> object:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
