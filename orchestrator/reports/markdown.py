"""Texts in Markdown as HTML in which nothing is markup that a model, a tool or a document wrote."""

import re
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markupsafe import Markup

from orchestrator.control_characters import visible

# markdown-it-py 4.3 takes two seconds for as many short lines, and time that grows with the square of open brackets.
_MOST_CHARS, _MOST_BRACKETS = 100_000, 2_000
_TAG = re.compile("<[A-Za-z/!?]")
_WEB = ("https://", "http://")


def markdown(text: str) -> Markup:
    """Return a text in Markdown as HTML: no markup of its own, no pictures, links to the web only.

    A text that would take long is shown as written.
    """
    if _is_long(text):
        return Markup("<pre>{}</pre>").format(visible(text))
    return Markup(_parser().render(visible(text)))


def is_harmless(text: str) -> bool:
    """True if a text in Markdown stays text in any program that renders it, also in one that takes HTML."""
    # A piece that looks like a tag is one for some programs, also where CommonMark takes it for words.
    if _is_long(text) or _TAG.search(text):
        return False
    for token in _plain_parser().parse(visible(text)):
        for child in (token, *(token.children or ())):
            url = str(child.attrs.get("href", ""))
            if child.type == "image" or (url and not url.startswith(_WEB)):
                return False
    return True


def _is_long(text: str) -> bool:
    return len(text) > _MOST_CHARS or text.count("[") > _MOST_BRACKETS


@cache
def _parser() -> MarkdownIt:
    # "js-default" has `html` off. Pictures would be fetched from elsewhere the moment that a page opens.
    parser = MarkdownIt("js-default", {"xhtmlOut": True}).disable("image")
    parser.validateLink = lambda url: url.startswith(_WEB)  # type: ignore[method-assign]
    parser.add_render_rule("link_open", _link)
    return parser


@cache
def _plain_parser() -> MarkdownIt:
    parser = MarkdownIt("js-default")
    parser.validateLink = lambda url: True  # type: ignore[method-assign]  # all are looked at
    return parser


def _link(renderer: Any, tokens: Any, index: int, options: Any, env: Any) -> str:
    # The other page learns neither the address of this one nor gets hold of its window.
    tokens[index].attrSet("rel", "noopener noreferrer nofollow")
    return str(renderer.renderToken(tokens, index, options, env))
