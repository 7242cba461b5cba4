"""The web: tools that search it and read its pages."""

from typing import TYPE_CHECKING

from orchestrator_tools.faces import lazy_face

if TYPE_CHECKING:
    from orchestrator_tools.web.fetch import fetch_tool
    from orchestrator_tools.web.search import web_search

__all__ = ["fetch_tool", "web_search"]

__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "fetch_tool": "fetch",
        "web_search": "search",
    },
)
