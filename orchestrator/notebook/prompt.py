"""The prompt for a review in a notebook without buttons: the questions of the terminal, in the output of a cell."""

import sys

from rich.console import Console

from orchestrator.cli.asking.ask import ask_at_terminal
from orchestrator.reviews.answering.limits import is_budget
from orchestrator.reviews.review import Decision, Review


def ask_here(review: Review) -> Decision | None:
    """Ask a review by `input()`. Return None if the person leaves the review open."""
    # A kernel has no terminal for an editor. A budget is raised by typing a number.
    allowed = tuple(action for action in review.allowed if action != "edit" or is_budget(review))
    # Rich would draw each line as HTML, and a front end shows the prompt below all of them.
    console = Console(file=sys.stdout, force_jupyter=False, width=100)
    return ask_at_terminal(review.model_copy(update={"allowed": allowed}), console)
