"""The inbox: the open reviews of all threads, and an answer to several of them at once."""

from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from orchestrator.errors import DecisionError, OrchestratorError
from orchestrator.reviews.review import Action
from orchestrator.server.access.forms import sent
from orchestrator.server.desk import Desk, desk_of
from orchestrator.server.rendering import render
from orchestrator.server.reviewing.open_review import OpenReview

_PAGE = 20
_PAGE_OF_SEVERAL = 200
KINDS = {"plan": "plans", "result": "results", "tool": "tool calls", "question": "questions", "steer": "stuck runs"}
AT_ONCE: tuple[Action, ...] = ("approve", "reject")


def inbox(request: Request) -> Response:
    """Show the open reviews, a page at a time.

    Query:
        kind: Only those of this kind.
        page: The number of the page, from 1.
    """
    desk, query = desk_of(request), request.query_params
    reviews, kind = desk.inbox.look(at_once=True), query.get("kind", "")
    if "text/html" not in request.headers.get("accept", ""):
        return JSONResponse([_plain(each) for each in reviews])
    wanted = [each for each in reviews if kind in ("", each.review.kind)]
    page = max(1, int(query["page"])) if query.get("page", "").isdecimal() else 1
    return render(
        request,
        "inbox.html",
        entries=wanted[(page - 1) * _PAGE : page * _PAGE],
        counts=_counts(reviews),
        total=len(reviews),
        found=len(wanted),
        unread=desk.inbox.unread,
        resting=desk.inbox.resting(),
        kind=kind,
        page=page,
        pages=max(1, -(-len(wanted) // _PAGE)),
    )


def _counts(reviews: list[OpenReview]) -> list[tuple[str, str, int]]:
    counted = ((kind, words, sum(each.review.kind == kind for each in reviews)) for kind, words in KINDS.items())
    return [row for row in counted if row[2]]


def _plain(entry: OpenReview) -> dict[str, object]:
    return {
        **entry.review.model_dump(mode="json"),
        "schema": entry.review.answer_schema,
        "asked": None if entry.asked is None else entry.asked.isoformat(),
        "holds_up": entry.held_up,
        "sub_tasks": entry.sub_tasks,
        "at_work": list(entry.at_work),
        "running": entry.is_running,
    }


@dataclass(frozen=True)
class Told:
    """The fate of the answer to one of several reviews.

    Args:
        review_id: The review.
        problem: Why the answer was not taken; empty if it was.
    """

    review_id: str
    problem: str = ""


async def several(request: Request) -> Response:
    """Show reviews of one kind to choose from, or answer those that were chosen, each by itself.

    Query:
        kind: The kind.
        all: With it, all of them are chosen at first.
    """
    desk, kind = desk_of(request), request.query_params.get("kind", "")
    told: list[Told] = []
    chosen: list[str] = []
    typed, problem = "", ""
    if request.method == "POST":
        async with sent(request) as form:
            chosen, typed, action = form.lists.get("review", []), form["text"], form["action"]
        try:
            told = await run_in_threadpool(_answer_all, desk, chosen, action, typed, str(request.state.user))
        except DecisionError as error:
            problem = str(error)
    return await run_in_threadpool(_show_several, request, kind, chosen, told, typed, problem)


def _show_several(
    request: Request, kind: str, chosen: list[str], told: list[Told], typed: str, problem: str
) -> Response:
    reviews = desk_of(request).inbox.look(at_once=True)
    return render(
        request,
        "several.html",
        400 if problem else 200,
        entries=[each for each in reviews if each.review.kind == kind][:_PAGE_OF_SEVERAL],
        counts=_counts(reviews),
        kind=kind,
        words=KINDS.get(kind, "reviews"),
        chosen=set(chosen),
        is_all="all" in request.query_params,
        told=told,
        typed=typed,
        problem=problem,
    )


def _answer_all(desk: Desk, chosen: list[str], action: str, text: str, user: str) -> list[Told]:
    """Answer reviews, each checked by itself.

    Raises:
        DecisionError: Nothing was chosen, or the answer suits none of them.
    """
    if action not in AT_ONCE:
        raise DecisionError("several at once are approved or refused: answer others one by one")
    if not chosen:
        raise DecisionError("nothing is chosen")
    if action == "reject" and not text.strip():
        raise DecisionError("a rejection needs a text that says what should be different")
    if len({review_id.rpartition("/")[2].partition("-")[0] for review_id in chosen}) > 1:
        raise DecisionError("these are reviews of several kinds: choose some of one kind")
    told, threads = [], dict[str, None]()
    # One after the other: a stop, or a thread that was deleted, must not spoil the answers to the rest.
    for review_id in dict.fromkeys(chosen):
        try:
            desk.client.decide(review_id, "approve" if action == "approve" else "reject", text, by=user)
        except OrchestratorError as error:  # answered elsewhere meanwhile, or its thread was deleted
            told.append(Told(review_id, str(error)))
        else:
            told.append(Told(review_id))
            threads[review_id.rpartition("/")[0]] = None
    for thread_id in threads:  # each goes on once, with all of its answers
        desk.runs.answered(thread_id)
    return told
