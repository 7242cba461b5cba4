"""One review: its evidence and its forms, and the answer."""

from collections.abc import Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from orchestrator.errors import ConfigError, DecisionError, OrchestratorError, ThreadBusyError, UnknownThreadError
from orchestrator.reviews.review import Review
from orchestrator.server.access.forms import sent
from orchestrator.server.desk import Desk, desk_of
from orchestrator.server.rendering import link_to, render
from orchestrator.server.reviewing.evidence import Evidence, evidence_of, part_of, whole_result
from orchestrator.server.reviewing.forms import Answer, answer_of
from orchestrator.server.reviewing.open_review import OpenReview

_NOTHING_TYPED: Mapping[str, str] = {}


async def review(request: Request) -> Response:
    """Show a review, or answer it. Programs send the decision as a JSON object, and get it back.

    Query:
        id: The review.
    """
    review_id = request.query_params.get("id", "")
    if request.method == "GET":
        return await run_in_threadpool(show_review, request, review_id)
    async with sent(request) as form:
        if form.is_program:
            return await run_in_threadpool(_answer_program, request, review_id, form.data)
        return await run_in_threadpool(_answer_person, request, review_id, form.fields)


def _answer_program(request: Request, review_id: str, body: Mapping[str, Any]) -> Response:
    desk = desk_of(request)
    # Whatever else a program sends is not passed on: the name of the user is the token's.
    fields = {name: body[name] for name in ("action", "text", "data") if name in body}
    if not isinstance(fields.get("action"), str) or not isinstance(fields.get("text", ""), str):
        raise DecisionError('send an action, and a text or data where it needs one, as in {"action": "approve"}')
    decision = desk.client.decide(review_id, **fields, by=str(request.state.user))
    desk.runs.answered(review_id.rpartition("/")[0])
    return JSONResponse(decision.model_dump(mode="json", exclude_defaults=True))


def _answer_person(request: Request, review_id: str, form: Mapping[str, str]) -> Response:
    desk = desk_of(request)
    # The form was made for the review as it was then. Another process may have answered it meanwhile.
    entry = desk.inbox.find(review_id)
    if entry is None:
        return show_review(request, review_id, "This review is not open any more.", 409)
    try:
        decide(desk, answer_of(entry.review, form), entry.review, str(request.state.user))
    except (ConfigError, DecisionError) as error:
        return show_review(request, review_id, str(error), 400, form)
    return go_on(request, entry.review, form.get("back", ""))


def go_on(request: Request, review: Review, back: str) -> Response:
    """Resume the thread of a review that was just answered, if the person wants that, and return to a page.

    Args:
        request: The request; `go_on` in its query says that the person does.
        review: The review.
        back: The page to return to, see `way_back`.
    """
    if "go_on" not in request.query_params:
        return way_back(request, back, review.thread_id)
    try:
        desk_of(request).runs.resume(review.thread_id)
    except ThreadBusyError:  # it goes on already, here or in another process
        pass
    except OrchestratorError as error:
        problem = f"The answer is recorded. The run does not go on: {error}"
        return show_review(request, review.id, problem, 409)
    return way_back(request, "thread", review.thread_id)


def way_back(request: Request, back: str, thread_id: str) -> Response:
    """Return to the page from which a form was sent.

    Args:
        request: The request.
        back: `thread`, or anything else for the inbox.
        thread_id: The thread.
    """
    address = link_to(request, "/thread", id=thread_id) if back == "thread" else link_to(request, "/inbox")
    return RedirectResponse(address, 303)


def decide(desk: Desk, answer: Answer, review: Review, user: str) -> None:
    """Record an answer.

    Args:
        desk: The desk.
        answer: The answer.
        review: The review.
        user: The name of the user who gives it.

    Raises:
        DecisionError: The review is not open any more, or the answer does not fit it.
    """
    desk.client.decide(review, answer.action, answer.text, answer.data, by=user)
    desk.runs.answered(review.thread_id)


def show_review(
    request: Request,
    review_id: str,
    problem: str = "",
    code: int = 200,
    typed: Mapping[str, str] = _NOTHING_TYPED,
) -> Response:
    """Show a review with its evidence.

    Args:
        request: The request.
        review_id: The review.
        problem: Why an answer was not taken.
        code: The HTTP status.
        typed: What a person had typed then.

    Raises:
        UnknownThreadError: There is no such thread.
    """
    desk = desk_of(request)
    entry = desk.inbox.find(review_id)
    thread_id = review_id.rpartition("/")[0]
    with desk.histories.reading(thread_id) as history:
        # Also of an earlier task of the thread: whoever follows an old link is told what became of the review.
        asked = [each for task in history.tasks for each in task.reviews if each.review.get("id") == review_id]
        if entry is None and not asked:
            raise UnknownThreadError(f"there is no review '{review_id}': the inbox has the open ones")
        evidence = evidence_of(history.tasks, entry.review) if entry else Evidence()
        return render(
            request,
            "review.html",
            code,
            entry=entry,
            answered=asked[-1] if asked and asked[-1].answered else None,
            thread_id=thread_id,
            seq=history.seq,
            evidence=evidence,
            result=_result(desk, entry),
            problem=problem,
            typed=typed,
            back="inbox",
        )


def _result(desk: Desk, entry: OpenReview | None) -> str:
    return whole_result(desk.client, entry.review) if entry is not None and entry.review.kind == "result" else ""


def review_text(request: Request) -> Response:
    """Show one text of a review whole, as plain text.

    Query:
        id: The review.
        part: The name of the text, see `part_of`.
    """
    desk, query = desk_of(request), request.query_params
    entry = desk.inbox.find(query.get("id", ""))
    if entry is None:
        raise OrchestratorError("this review is not open any more")
    with desk.histories.reading(entry.review.thread_id) as history:
        evidence = evidence_of(history.tasks, entry.review)
        text = part_of(entry.review, evidence, _result(desk, entry), query.get("part", ""))
    if text is None:
        raise OrchestratorError("this review has no such text")
    return PlainTextResponse(text)
