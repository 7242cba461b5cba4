"""Standing rules: writing one instead of being asked again, and taking it back."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from orchestrator.errors import ConfigError, OrchestratorError
from orchestrator.server.access.forms import sent_fields
from orchestrator.server.desk import Desk, desk_of
from orchestrator.server.pages.review import show_review, way_back
from orchestrator.server.rendering import link_to, render
from orchestrator.server.reviewing.rule_place import RulePlace, rule_files, rule_place
from orchestrator.tool_calls.policy import Rule
from orchestrator.tool_calls.standing.rules import refusal, rule_words, rules_for
from orchestrator.tool_calls.standing.rules_file import RulesFile, rule_text


@dataclass(frozen=True)
class ShownRule:
    """A standing rule as the page lists it.

    Args:
        place: Its place among all rules of its file.
        rule: The rule.
    """

    place: int
    rule: Rule

    @property
    def words(self) -> str:
        """Exactly what it allows."""
        return rule_words(self.rule)

    @property
    def mark(self) -> str:
        """Tells it from another rule at the same place."""
        # A digest: a page would show control characters of the text itself as signs.
        return hashlib.sha256(self.rule.model_dump_json().encode()).hexdigest()[:16]


async def new_rule(request: Request) -> Response:
    """Say what a rule would allow, or write it and approve the call in question.

    Query:
        id: The review of the call.
    """
    form = await sent_fields(request)
    return await run_in_threadpool(_new_rule, request, form)


def _new_rule(request: Request, form: Mapping[str, str] | None) -> Response:
    desk, review_id = desk_of(request), request.query_params.get("id", "")
    entry = desk.inbox.find(review_id)
    if entry is None:
        return show_review(request, review_id, "This review is not open any more.", 409)
    review = entry.review
    place = rule_place(desk.client, desk.inbox.thread(review.thread_id).record)
    user, refused = str(request.state.user), refusal(review, place.policy)
    # Without a file the rules are shown all the same, to be copied to where the policy is.
    rules = {} if refused else rules_for(review, entry.agent)
    problem = refused or place.problem
    if form is not None and not problem:
        if (rule := rules.get(form.get("rule", ""))) is not None:
            return _write(request, desk, place, rule, review_id, form.get("back", ""))
        problem = "choose what the rule allows"
    values: dict[str, Any] = {
        "choices": [(name, rule_words(rule), rule_text(rule, user)) for name, rule in rules.items()],
        "can_write": not refused and place.file is not None,
        "path": str(place.file.path) if place.file is not None else "",
    }
    back = (form or request.query_params).get("back", "inbox")
    return render(request, "new_rule.html", 400 if form else 200, entry=entry, problem=problem, back=back, **values)


def _write(request: Request, desk: Desk, place: RulePlace, rule: Rule, review_id: str, back: str) -> Response:
    assert place.file is not None
    user = str(request.state.user)
    # The rule first: if the call was answered elsewhere just now, the next one of its kind is still not asked about.
    place.file.add(rule, user)
    try:
        desk.client.decide(review_id, "approve", by=user)
    except OrchestratorError as error:
        return show_review(request, review_id, f"The rule is written, and this call was not approved: {error}", 409)
    desk.runs.answered(review_id.rpartition("/")[0])
    return way_back(request, back, review_id.rpartition("/")[0])


async def rules(request: Request) -> Response:
    """List the standing rules, or take one back."""
    form = await sent_fields(request)
    return await run_in_threadpool(_rules, request, form)


def _rules(request: Request, form: Mapping[str, str] | None) -> Response:
    desk = desk_of(request)
    files = rule_files(desk.client, desk.db)
    problem = ""
    if form is not None:
        try:
            _take_back(files, form)
        except ConfigError as error:
            problem = str(error)
        else:
            return RedirectResponse(link_to(request, "/rules"), 303)
    listed = [(str(file.path), *_standing(file)) for file in files]
    return render(request, "rules.html", 400 if problem else 200, files=listed, problem=problem)


def _standing(file: RulesFile) -> tuple[list[ShownRule], str]:
    """Return the standing rules of a file, and why it cannot be read."""
    try:
        return [ShownRule(place, rule) for place, rule in file.standing()], ""
    except ConfigError as error:
        return [], str(error)


def _take_back(files: list[RulesFile], form: Mapping[str, str]) -> None:
    """Take the rule out that a form names.

    Raises:
        ConfigError: It is not there any more.
    """
    # Only files that the page itself lists: a form could name any other.
    file = next((each for each in files if str(each.path) == form.get("file")), None)
    rules = file.standing() if file is not None else []
    shown = next((rule for rule in (ShownRule(*each) for each in rules) if str(rule.place) == form.get("place")), None)
    if file is None or shown is None or shown.mark != form.get("mark"):
        raise ConfigError("the rules have changed meanwhile: look at them again")
    file.remove(shown.place, shown.rule)
