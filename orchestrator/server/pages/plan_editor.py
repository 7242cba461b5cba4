"""The plan editor: a table of the plan in question, a look at the change, and the edited plan as the answer."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from orchestrator.errors import DecisionError, PlanError
from orchestrator.planning.plan import Plan
from orchestrator.reports.plan_svg import plan_svg
from orchestrator.reviews.review import Review
from orchestrator.server.access.forms import sent_fields
from orchestrator.server.desk import desk_of
from orchestrator.server.pages.review import decide, go_on, show_review
from orchestrator.server.rendering import render
from orchestrator.server.reviewing.forms import Answer
from orchestrator.server.reviewing.open_review import OpenReview
from orchestrator.server.reviewing.plan_change import changed_cost, changes, proposed_cost
from orchestrator.server.reviewing.plan_rows import (
    PlanRow,
    plan_of,
    rows_of,
    typed_rows,
    with_new_row,
    without_row,
)


async def plan_editor(request: Request) -> Response:
    """Show the table, or do what the button that was pressed says: add, remove, look or send.

    Query:
        id: The review.
    """
    form = await sent_fields(request)
    request.state.back = (form or request.query_params).get("back", "inbox")
    return await run_in_threadpool(_edit, request, form)


def _edit(request: Request, form: Mapping[str, str] | None) -> Response:
    review_id = request.query_params.get("id", "")
    entry = desk_of(request).inbox.find(review_id)
    if entry is None or entry.review.kind != "plan":
        return show_review(request, review_id, "This plan is not in question any more.", 409)
    review = entry.review
    if form is None:
        return _table(request, entry, rows_of(review.subject["plan"]))
    rows, wish = typed_rows(form), form.get("do", "look")
    if wish == "add":
        return _table(request, entry, with_new_row(rows, review.subject["agents"]))
    if wish.startswith("remove-"):
        return _table(request, entry, without_row(rows, _place(form, wish)))
    if wish == "change":
        return _table(request, entry, rows)
    try:
        plan = _sound_plan(review, rows)
        if wish == "send":
            edited = plan.plain()["sub_tasks"]
            # Sent as it was, it is no edit: the journal says what the person did.
            is_same = edited == Plan.parse(list(review.subject["plan"])).plain()["sub_tasks"]
            answer = Answer("approve") if is_same else Answer("edit", data=edited)
            decide(desk_of(request), answer, review, str(request.state.user))
            return go_on(request, review, form.get("back", ""))
    except PlanError as error:
        return _table(request, entry, rows, error.problems)
    except DecisionError as error:
        return _table(request, entry, rows, [str(error)])
    return _look(request, entry, rows, plan)


def _place(form: Mapping[str, str], wish: str) -> int:
    """Return the place of the row whose button was pressed."""
    # Numbers are not places: rows that were taken out in the browser leave gaps.
    numbers = form.get("rows", "").split()
    number = wish.removeprefix("remove-")
    return numbers.index(number) if number in numbers else -1


def _sound_plan(review: Review, rows: Sequence[PlanRow]) -> Plan:
    """Return the plan that the rows mean.

    Raises:
        PlanError: It is not sound.
    """
    subject = review.subject
    return Plan.parse(plan_of(rows, subject["plan"])).check(subject["agents"], most=subject.get("most"))


def _table(request: Request, entry: OpenReview, rows: Sequence[PlanRow], problems: Sequence[str] = ()) -> Response:
    return render(
        request, "plan_editor.html", 400 if problems else 200, problems=problems, **_common(request, entry, rows)
    )


def _look(request: Request, entry: OpenReview, rows: Sequence[PlanRow], plan: Plan) -> Response:
    subject = entry.review.subject
    return render(
        request,
        "plan_change.html",
        changes=changes(Plan.parse(list(subject["plan"])), plan),
        before=proposed_cost(subject),
        after=changed_cost(subject, plan),
        plan=plan,
        picture=Markup(plan_svg(plan)),
        **_common(request, entry, rows),
    )


def _common(request: Request, entry: OpenReview, rows: Sequence[PlanRow]) -> dict[str, Any]:
    subject = entry.review.subject
    back = request.state.back
    return {"entry": entry, "rows": rows, "agents": subject["agents"], "most": subject.get("most"), "back": back}
