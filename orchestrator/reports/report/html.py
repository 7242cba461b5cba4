"""A report as HTML: one file without scripts, which loads nothing, and in which every text is text."""

import copy
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from orchestrator.errors import PlanError
from orchestrator.planning.plan import Plan
from orchestrator.reports.plan_svg import plan_svg
from orchestrator.reports.report import words
from orchestrator.reports.report.contents import Source, strings
from orchestrator.reports.report.excerpts import excerpt_of, fitting_limit
from orchestrator.reports.report.linking import linked
from orchestrator.reports.report.timelines import timelines
from orchestrator.reports.templating import environment
from orchestrator.reports.wording import called, seconds_text

_FOLDER = Path(__file__).parent / "templates"
_SHEETS = (_FOLDER / "report.css", _FOLDER.parents[1] / "styles" / "timeline.css")
_SPEC = ("id", "description", "depends_on", "requires_approval")


def report_html(source: Source, plain: Mapping[str, Any]) -> str:
    """Return a report as a page of HTML that is also well-formed XML.

    Args:
        source: What it is made from.
        plain: Its contents.
    """
    # Anchors are added in place, and the caller's data has names that programs rely on.
    view = linked(copy.deepcopy(dict(plain)))
    limit = fitting_limit(strings(plain))
    template = _templates().get_template("report.html")
    return template.render(
        report=view,
        limit=limit,
        excerpt=lambda text: excerpt_of(text, limit),
        pictures={task["number"]: _picture(task) for task in view["tasks"]},
        timelines={number: Markup(drawing) for number, drawing in timelines(source, view).items()},
    )


@cache
def _templates() -> Environment:
    names = ("when", "clock", "zone", "amount", "dollars", "decided", "limits", "pretty")
    filters = {name: getattr(words, name) for name in names}
    templates = environment(_FOLDER, **filters, duration=seconds_text)
    templates.globals |= {
        # Functions and no filters, since they take two values.
        "called": called,
        "counted": words.counted,
        "lasted": words.lasted,
        "waited": words.waited,
        # In the page, since a file of its own would be lost on the way.
        "sheet": Markup("".join(sheet.read_text() for sheet in _SHEETS)),
    }
    return templates


def _picture(task: dict[str, Any]) -> Markup:
    """Return the plan of a task as a picture; empty where there is none."""
    sub_tasks = [each for each in task["sub_tasks"] if each["number"]]
    specs = [{**{name: each[name] for name in _SPEC}, "target_agent": each["agent"]} for each in sub_tasks]
    try:
        plan = Plan.parse(specs)
    except PlanError:
        return Markup("")  # a secret that was taken out of it, or a thread that another program wrote
    statuses = {each["id"]: each["status"] for each in sub_tasks}
    links = {each["id"]: f"#{each['anchor']}" for each in sub_tasks}
    return Markup(plan_svg(plan, statuses=statuses, links=links, tip=f"tip-{task['number']}")) if specs else Markup("")
