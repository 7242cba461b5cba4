"""TimelineView: the timeline on the page of a thread, a page of rows at a time."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from markupsafe import Markup

from orchestrator.budget.spending import Spending
from orchestrator.reports.history.task import TaskHistory
from orchestrator.reports.timeline.drawing import DENSITIES, Density, Look, timeline_html
from orchestrator.reports.timeline.money import money_tracks, prices_of
from orchestrator.reports.timeline.timeline import timeline_of

_ROWS = 200  # of a thousand, more would take a browser too long to lay out


class TimelineView:
    """The timeline of a task.

    Args:
        task: The task.
        now: The time up to which what goes on is drawn.
        here: Returns the address of the page with other values in its query.
        density: The height of the rows; normal if it is unknown.
        query: The query of the page: `sub_task`, `rows`.
        spending: Tells the prices of requests for which none was booked.
        is_running: True if a process runs the task now.
    """

    def __init__(
        self,
        task: TaskHistory,
        now: datetime,
        here: Callable[..., str],
        density: str,
        query: Mapping[str, str],
        spending: Spending,
        *,
        is_running: bool,
    ) -> None:
        self._task = task
        self._here = here
        self._spending = spending
        self._density: Density = density if density in DENSITIES else "normal"
        self._selected = query.get("sub_task", "")
        self._page = int(query["rows"]) if query.get("rows", "").isdecimal() else 0
        self.timeline = timeline_of(task, now, is_running=is_running)

    def values(self) -> dict[str, Any]:
        """Return what the template is given."""
        # The chain and the statuses need all rows; only drawing is left out for the others.
        count = len(self.timeline.rows)
        pages = max(1, -(-count // _ROWS))
        page = min(max(1, self._page or self._page_of_selected()), pages)
        first = (page - 1) * _ROWS

        look = Look(self._density, self._selected, self.link, first, _ROWS)
        tracks = money_tracks(self._task, prices_of(self._spending))
        return {
            "timeline": Markup(timeline_html(self.timeline, look, tracks)),
            "shown": {row.id for row in self.timeline.rows[first : first + _ROWS]},
            "densities": DENSITIES,
            "density": self._density,
            "page": page,
            "pages": pages,
            "first": first,
            "last": min(count, first + _ROWS),
            "count": count,
        }

    def link(self, row: str) -> str:
        """Return the address at which a row is selected."""
        return f"{self._here(sub_task=row, rows='')}#details"

    def _page_of_selected(self) -> int:
        at = next((at for at, row in enumerate(self.timeline.rows) if row.id == self._selected), 0)
        return at // _ROWS + 1
