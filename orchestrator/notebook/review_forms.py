"""ReviewForms: the open reviews of a run with buttons that answer them. It needs the package `ipywidgets`."""

import importlib.util
import json
from collections.abc import Callable, Iterable
from typing import Any

from orchestrator.cli.asking.choices import explanations
from orchestrator.cli.asking.editing import decision_of, subject_text
from orchestrator.errors import ConfigError, DecisionError
from orchestrator.reports.escaping import escape
from orchestrator.reports.review_html import review_html
from orchestrator.reviews.answering.limits import is_budget, typed_limit
from orchestrator.reviews.review import Action, Decision, Review, check_decision

_STYLES: dict[Action, str] = {"approve": "success", "reject": "warning", "stop": "danger"}
_HINTS = {"reject": "why, for reject", "answer": "the answer"}

Decide = Callable[[Review, Decision], object]


def has_widgets() -> bool:
    """True if buttons can be drawn."""
    return importlib.util.find_spec("ipywidgets") is not None


class ReviewForms:
    """The forms of the open reviews, one below the other.

    Args:
        decide: Records a decision.

    Raises:
        ImportError: There is no `ipywidgets`.
    """

    def __init__(self, decide: Decide) -> None:
        # Only a notebook has it, and it takes a second to load.
        import ipywidgets

        self._widgets = ipywidgets
        self._decide = decide
        self._forms: dict[str, Any] = {}
        self.box = ipywidgets.VBox([])

    def show(self, reviews: Iterable[Review]) -> None:
        """Show these reviews, and no others."""
        listed = {review.id: review for review in reviews}
        # A form that a person types in stays as it is.
        self._forms = {name: self._forms.get(name) or self._form(review) for name, review in listed.items()}
        self.box.children = tuple(self._forms.values())

    def _form(self, review: Review) -> Any:
        widgets = self._widgets
        text = widgets.Textarea(placeholder=_placeholder(review), layout={"width": "100%"})
        edit = None
        if "edit" in review.allowed:
            edit = widgets.Textarea(value=subject_text(review), layout={"width": "100%", "height": "16em"})
        message = widgets.HTML()
        styles = {action: _STYLES.get(action, "") for action in review.allowed}
        buttons = [widgets.Button(description=action, button_style=style) for action, style in styles.items()]
        for button, action in zip(buttons, review.allowed, strict=True):
            button.on_click(self._answer(review, action, text, edit, message, buttons))
        parts = [widgets.HTML(review_html(review))]
        if edit is not None:
            folded = widgets.Accordion([edit], titles=("edit",))
            folded.selected_index = None
            parts.append(folded)
        help_text = "<br/>".join(escape(line.strip()) for line in explanations(review)[:-1])
        return widgets.VBox([*parts, text, widgets.HBox(buttons), message, widgets.HTML(f"<small>{help_text}</small>")])

    def _answer(
        self, review: Review, action: Action, text: Any, edit: Any, message: Any, buttons: list[Any]
    ) -> Callable[[Any], None]:
        def click(_: Any) -> None:
            try:
                decision = _decision(review, action, text.value, edit.value if edit is not None else "")
                self._decide(review, check_decision(review, decision))
            # Raised in a handler of a widget, an error would be seen nowhere but in a log.
            except (DecisionError, ConfigError, json.JSONDecodeError, ValueError) as error:
                message.value = f'<span style="color:#c0392b">{escape(str(error))}</span>'
                return
            message.value = f"{escape(action)}: decided"
            for button in buttons:
                button.disabled = True

        return click


def _placeholder(review: Review) -> str:
    hints = [_HINTS[action] for action in review.allowed if action in _HINTS]
    if is_budget(review):
        hints.insert(0, "a new limit such as 500k or $5, for edit")
    return "; ".join(hints)


def _decision(review: Review, action: Action, text: str, edit: str) -> Decision:
    """Return the decision that a click means.

    Raises:
        DecisionError, ValueError: What was typed cannot be used.
    """
    if action != "edit":
        return Decision(review_id=review.id, action=action, text=text.strip())
    if is_budget(review) and (data := typed_limit(review, text)) is not None:
        return Decision(review_id=review.id, action="edit", data=data)
    if edit == subject_text(review):
        raise DecisionError("change the text under 'edit' first")
    return decision_of(review, edit)
