"""SQL databases: SQLite through its authorizer, others through SQLAlchemy and a check of each statement."""

from typing import TYPE_CHECKING

from orchestrator_tools.faces import lazy_face

if TYPE_CHECKING:
    from orchestrator_tools.database.report import report_tools
    from orchestrator_tools.database.tools import database_tools, open_database

__all__ = ["database_tools", "open_database", "report_tools"]

__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "report_tools": "report",
        "database_tools": "tools",
        "open_database": "tools",
    },
)
