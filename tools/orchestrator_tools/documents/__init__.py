"""A folder of documents: tools that search it by words and by meaning, and read it page by page."""

from typing import TYPE_CHECKING

from orchestrator_tools.faces import lazy_face

if TYPE_CHECKING:
    from orchestrator_tools.documents.tools import document_tools, folder_problem

__all__ = ["document_tools", "folder_problem"]

__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "document_tools": "tools",
        "folder_problem": "tools",
    },
)
