"""Asking a human a review at the terminal."""

from collections.abc import Callable

from rich.console import Console
from rich.text import Text

from orchestrator.budget.budget import Budget
from orchestrator.cli.asking.choices import choices, chosen, explanations
from orchestrator.cli.asking.editing import edited
from orchestrator.cli.asking.subject import indented, print_subject
from orchestrator.control_characters import visible
from orchestrator.errors import ConfigError, DecisionError
from orchestrator.reviews.answering.limits import is_budget, typed_limit
from orchestrator.reviews.review import Action, Decision, Review, check_decision

_HELP = ("?", "h", "help")
_QUIT = ("q", "quit")
_ASKED_FOR: dict[Action, str] = {"reject": "What should be different? ", "answer": "Your answer: "}
_FEWEST_ROWS = 3


class QuitError(Exception):
    """The person wants to be asked nothing more."""


def ask_at_terminal(
    review: Review, console: Console, read: Callable[[Text], str] | None = None, *, can_quit: bool = False
) -> Decision | None:
    """Show a review and read the decision. Return None if the person leaves the review open.

    Args:
        review: The review.
        console: The console.
        read: Shows a prompt and reads a line; by default the console does.
        can_quit: Other reviews follow, and `q` quits.

    Raises:
        QuitError: The person typed `q`.
    """
    read = read or console.input
    prompt = choices(review, can_quit=can_quit)
    _show(review, console, prompt)
    try:
        while True:
            typed = read(prompt).strip()
            if not typed or (can_quit and typed.lower() == "skip"):
                return None
            if can_quit and typed.lower() in _QUIT:
                raise QuitError
            if typed.lower() in _HELP:
                _explain(review, console)
                continue
            try:
                if (decision := _decision(review, typed, console, read)) is not None:
                    return check_decision(review, decision)
            except (DecisionError, ConfigError, ValueError) as error:
                console.print(f"  {error}", style="red")
    except EOFError:  # Ctrl-D decides nothing
        console.print()
        if can_quit:
            raise QuitError from None
        return None


def _show(review: Review, console: Console, prompt: Text) -> None:
    """Print a review so that it fits the terminal, the question last."""
    tail = _question(review, console)
    rows = None
    if console.is_terminal:
        below = [*tail, prompt]
        # The empty line above, and the end of the last line, where the cursor stands.
        rows = max(_FEWEST_ROWS, console.height - 2 - sum(len(console.render_lines(each)) for each in below))
    console.print()
    print_subject(review, console, rows=rows, is_whole=not console.is_terminal)
    for each in tail:
        console.print(each, soft_wrap=not console.is_terminal)


def _question(review: Review, console: Console) -> list[Text]:
    stake = [indented(Text(visible(f"at stake: {review.stake}"), "dim"), console, 2)] if review.stake else []
    return [*stake, Text.assemble(("?", "bold yellow"), " ", (review.question, "bold"))]


def _explain(review: Review, console: Console) -> None:
    """Print all that the review asks about, and each answer in a line."""
    print_subject(review, console)
    for each in _question(review, console):
        console.print(each, soft_wrap=not console.is_terminal)
    for line in explanations(review):
        console.print(line)


def _decision(review: Review, typed: str, console: Console, read: Callable[[Text], str]) -> Decision | None:
    """Return the decision that a typed line means, or None to ask again.

    Raises:
        ValueError: It begins like an amount and is none.
    """
    if is_budget(review) and "edit" in review.allowed and (data := typed_limit(review, typed)) is not None:
        console.print(f"  the new limits: {Budget.parse(review.subject['budget']).raised(data)}")
        return Decision(review_id=review.id, action="edit", data=data)
    action = chosen(review, typed)
    if action is None:
        console.print("  not one of these; ? explains them")
    elif action in _ASKED_FOR:
        text = read(Text(_ASKED_FOR[action])).strip()
        if text:
            return Decision(review_id=review.id, action=action, text=text)
        console.print("  nothing was said, so nothing is decided")
    elif action == "edit":
        return edited(review, console)
    else:
        return Decision(review_id=review.id, action=action)
    return None
