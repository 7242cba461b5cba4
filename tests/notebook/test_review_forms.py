"""Reviews with buttons, and what a click decides."""

import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from orchestrator.notebook.review_forms import ReviewForms, has_widgets
from orchestrator.planning.plan import Plan
from orchestrator.reviews.review import Decision, Review
from tests.support.teams import step

PLAN = Plan.parse([step("a"), {**step("b", "a"), "description": "<script>b</script>"}])
PLAN_REVIEW = Review(
    id="t/plan-1",
    kind="plan",
    question="Shall this plan be carried out?",
    subject={"plan": PLAN.plain(), "agents": ["worker"]},
)
TOOL_REVIEW = Review(
    id="t/tool-1",
    kind="tool",
    question="May <b>it</b>?",
    stake="it writes",
    subject={"tool": "write", "args": {"text": "<i>x</i>"}, "args_schema": {}},
)
RESULT_REVIEW = Review(id="t/result-1", kind="result", question="Good?", subject={"result": "It is 41."})
BUDGET_REVIEW = Review(
    id="t/steer-1",
    kind="steer",
    question="The budget is spent.",
    subject={"budget": {"tokens": 1000}, "spent": {"tokens": 990}, "problems": ["tokens"]},
    allowed=("approve", "edit", "stop"),
)


class Widget(SimpleNamespace):
    """Stands for a widget of ipywidgets where that is not installed: its state, and its click."""

    def __init__(self, *args: Any, **state: Any) -> None:
        content = {"children": tuple(args[0])} if args and isinstance(args[0], list) else {}
        super().__init__(**{"value": args[0] if args and not content else "", "disabled": False, **content, **state})
        self.handlers: list[Any] = []

    def on_click(self, handler: Any) -> None:
        self.handlers.append(handler)

    def click(self) -> None:
        for handler in self.handlers:
            handler(self)


@pytest.fixture(autouse=True)
def widgets(monkeypatch: pytest.MonkeyPatch) -> None:
    if not has_widgets():
        double = ModuleType("ipywidgets")
        for name in ("VBox", "HBox", "HTML", "Textarea", "Button", "Accordion"):
            setattr(double, name, type(name, (Widget,), {}))
        monkeypatch.setitem(sys.modules, "ipywidgets", double)


class Form:
    """The form of one review, as a person sees it."""

    def __init__(self, review: Review) -> None:
        self.decided: list[Decision] = []
        self.forms = ReviewForms(lambda _, decision: self.decided.append(decision))
        self.forms.show([review])
        self.parts = list(_within(self.forms.box))
        self.buttons = {part.description: part for part in self._of("Button")}
        self.text = self._of("Textarea")[-1]
        self.edit = self._of("Textarea")[0]

    def _of(self, kind: str) -> list[Any]:
        return [part for part in self.parts if type(part).__name__ == kind]

    @property
    def page(self) -> str:
        return "".join(part.value for part in self._of("HTML"))


def _within(widget: Any) -> Iterator[Any]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from _within(child)


def test_a_click_decides_once() -> None:
    form = Form(PLAN_REVIEW)
    assert list(form.buttons) == ["approve", "edit", "reject", "stop"]
    form.buttons["approve"].click()
    assert form.decided == [Decision(review_id="t/plan-1", action="approve")]
    assert all(button.disabled for button in form.buttons.values())


def test_a_rejection_without_a_reason_says_what_is_missing_and_can_be_mended() -> None:
    form = Form(RESULT_REVIEW)
    form.buttons["reject"].click()
    assert "a rejection needs a text" in form.page
    assert not form.decided
    form.text.value = "It is 42."
    form.buttons["reject"].click()
    assert [(each.action, each.text) for each in form.decided] == [("reject", "It is 42.")]


def test_a_plan_is_edited_as_text_and_a_mistake_is_told() -> None:
    form = Form(PLAN_REVIEW)
    form.buttons["edit"].click()
    assert "change the text under &#x27;edit&#x27; first" in form.page
    before = form.edit.value
    form.edit.value = before.replace('"worker"', '"nobody"', 1)
    form.buttons["edit"].click()
    assert "nobody" in form.page
    form.edit.value = "{"
    form.buttons["edit"].click()
    assert not form.decided
    form.edit.value = before.replace("do a", "do it")
    form.buttons["edit"].click()
    [decision] = form.decided
    assert Plan.parse(decision.data).by_id["a"].description == "do it"


def test_a_budget_is_raised_by_typing_an_amount() -> None:
    form = Form(BUDGET_REVIEW)
    form.text.value = "500k"
    form.buttons["edit"].click()
    assert [each.data for each in form.decided] == [{"tokens": 500_000}]


@pytest.mark.parametrize("review", [PLAN_REVIEW, TOOL_REVIEW, RESULT_REVIEW, BUDGET_REVIEW], ids=lambda r: r.kind)
def test_the_subject_unfolds_and_no_text_in_it_is_markup(review: Review) -> None:
    page = Form(review).page
    assert "<details><summary>" in page
    assert not any(markup in page for markup in ("<script>", "<b>it</b>", "<i>x</i>"))


def test_a_form_that_a_person_types_in_stays_while_others_come_and_go() -> None:
    forms = ReviewForms(lambda *_: None)
    forms.show([PLAN_REVIEW])
    [first] = forms.box.children
    forms.show([PLAN_REVIEW, RESULT_REVIEW])
    assert forms.box.children[0] is first
    forms.show([RESULT_REVIEW])
    assert len(forms.box.children) == 1
    assert forms.box.children[0] is not first
