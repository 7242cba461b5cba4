"""Answers as a person reads them: Markdown at a terminal, and the bare text elsewhere.

The text comes from a model, so nothing in it is hidden and nothing commands the terminal. Links show their address.
Pictures, HTML and definitions of links stay text.
"""

from typing import ClassVar

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown, MarkdownElement
from rich.text import Text
from rich.theme import Theme

from orchestrator.control_characters import visible

# Without backgrounds, and in colours that a dark and a light terminal show.
_THEME = Theme(
    {
        "markdown.code": "cyan",
        "markdown.code_block": "cyan",
        "markdown.block_quote": "italic",
        "markdown.list": "none",
        "markdown.item.bullet": "bold",
        "markdown.item.number": "bold",
        "markdown.h1": "bold underline",
        "markdown.h2": "bold underline",
        "markdown.h3": "bold",
        "markdown.h4": "bold",
        "markdown.h5": "italic",
        "markdown.h6": "italic",
        "markdown.hr": "dim",
        "markdown.link": "none",
        "markdown.link_url": "underline",
        "markdown.table.border": "dim",
        "markdown.table.header": "bold",
    }
)
# They hide what they were written with: HTML vanishes in rich 15, and so do the definitions at the end of an answer.
_TRUSTED_ONLY = ("html_block", "html_inline", "image", "reference", "entity")


class _LeftHeading(Heading):
    """A heading at the left, as all other text."""

    LEVEL_ALIGN: ClassVar = {}


class _PlainCode(CodeBlock):
    """Code as it is, without a background and without space behind its lines, so that it can be copied."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(str(self.text).rstrip(), "markdown.code_block", overflow="fold")


class AnswerMarkdown(Markdown):
    """Markdown that was written by somebody who is not trusted.

    Args:
        text: The text.
    """

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "heading_open": _LeftHeading,
        "fence": _PlainCode,
        "code_block": _PlainCode,
    }

    def __init__(self, text: str) -> None:
        # A link that a terminal opens at a click would show a text of the model's own instead of its address.
        super().__init__("", hyperlinks=False)
        self.markup = visible(text)
        parser = MarkdownIt("commonmark").enable(["strikethrough", "table"]).disable(_TRUSTED_ONLY)
        self.parsed = _with_line_ends(parser.parse(self.markup))


def _with_line_ends(tokens: list[Token]) -> list[Token]:
    """Return the tokens with each line end kept: many answers are lists and tables by their line ends alone."""
    for token in tokens:
        if token.type == "softbreak":
            token.type = "hardbreak"
        _with_line_ends(token.children or [])
    return tokens


def print_markdown(text: str, console: Console) -> None:
    """Print a text as Markdown.

    Args:
        text: The text.
        console: A console at a terminal.
    """
    with console.use_theme(_THEME):
        console.print(AnswerMarkdown(text))
