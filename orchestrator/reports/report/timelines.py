"""The timelines of a report: the picture of the page, with links to what stands in the report."""

from collections.abc import Mapping
from typing import Any

from orchestrator.redaction import hide_secrets
from orchestrator.reports.report.contents import Source
from orchestrator.reports.timeline.drawing import Look, timeline_html
from orchestrator.reports.timeline.timeline import timeline_of

_NORMAL_ROWS = 40  # more are drawn compact, so that a page shows how they go side by side
_MOST_ROWS = 1_000


def timelines(source: Source, view: Mapping[str, Any]) -> dict[int, str]:
    """Return the timeline of each task that the journal tells of, as a fragment of HTML.

    Args:
        source: What the report is made from.
        view: The contents of the report, with links.
    """
    drawn = {}
    for task in view["tasks"]:
        number = task["number"]
        # A plan that is proposed has not done anything that could be drawn.
        if (history := source.history(number)) is None or not history.attempts:
            continue
        timeline = timeline_of(history, source.at, is_running=source.run.status == "running", reader="a human")
        anchors = {each["id"]: each["anchor"] for each in task["sub_tasks"]}
        anchors |= {":plan": f"{task['anchor']}-plan", ":answer": f"{task['anchor']}-answer"}
        look = Look(
            "normal" if len(timeline.rows) <= _NORMAL_ROWS else "compact",
            link=lambda row, anchors=anchors, start=task["anchor"]: f"#{anchors.get(row, start)}",  # type: ignore[misc]
            most=_MOST_ROWS,
            prefix=f"row-{number}",
        )
        # The drawing is made from the journal, and not from the contents without secrets.
        drawn[number] = hide_secrets(timeline_html(timeline, look))
    return drawn
