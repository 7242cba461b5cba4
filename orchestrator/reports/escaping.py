"""Escaping: texts of models, tools and documents as text in HTML, never as markup."""

import html

from orchestrator.control_characters import visible


def escape(text: str) -> str:
    """Return a text for HTML: markup is escaped, control and bidi characters are shown."""
    return html.escape(visible(text))
