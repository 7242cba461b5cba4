"""Asking a human a review at the terminal."""

import json
from collections.abc import Callable

from rich.console import Console
from rich.text import Text

from orchestrator.cli.interruption import CTRL_C
from orchestrator.cli.output import print_subject
from orchestrator.reviews.review import Decision, Review


def ask_at_terminal(review: Review, console: Console, read: Callable[[Text], str] | None = None) -> Decision | None:
    """Show a review and read the decision. Return None if the person leaves the review open.

    Args:
        review: The review.
        console: The console.
        read: Shows a prompt and reads a line; by default the console does.
    """
    read = read or console.input
    console.print()
    console.print(Text.assemble(("?", "bold yellow"), " ", (review.question, "bold")))
    if review.stake:
        console.print(f"  at stake: {review.stake}", style="dim")
    print_subject(review, console)
    # The letter that suffices is printed in bold.
    choices = Text(", ").join(Text.assemble((action[0], "bold"), action[1:]) for action in review.allowed)
    question = Text.assemble(choices, ", or Enter to leave it open: ")
    try:
        while True:
            typed = read(question).strip().lower()
            if not typed:
                return None
            # Any beginning of the word will do, but "stay" must not stop the run.
            action = next((each for each in review.allowed if each.startswith(typed)), None)
            if action is None:
                console.print("  not one of these")
            elif action == "reject":
                feedback = read(Text("What should be different? ")).strip()
                return Decision(review_id=review.id, action=action, text=feedback)
            elif action == "answer":
                return Decision(review_id=review.id, action=action, text=read(Text("Your answer: ")).strip())
            elif action != "edit":
                return Decision(review_id=review.id, action=action)
            elif (edited := _edited(review, console)) is not None:
                return edited
    except EOFError:  # Ctrl-D decides nothing
        console.print()
        return None


def _edited(review: Review, console: Console) -> Decision | None:
    """Open the subject in an editor. Return None if nothing was saved, or nothing that can be parsed."""
    import click

    is_text = review.kind == "result"
    field = {"result": "result", "plan": "plan", "steer": "budget"}.get(review.kind, "args")
    before = review.subject[field]
    try:
        with CTRL_C.ignored():  # to an editor it is a key like others
            saved = click.edit(
                before if is_text else json.dumps(before, indent=2, ensure_ascii=False),
                extension=".txt" if is_text else ".json",
            )
        # click's answer for an editor that was left without saving. It once counted as an approval.
        if saved is None:
            console.print("  nothing was saved, so nothing is decided")
            return None
        if is_text:
            return Decision(review_id=review.id, action="edit", text=saved)
        return Decision(review_id=review.id, action="edit", data=json.loads(saved))
    except click.ClickException as error:
        console.print(f"no editor: {error.format_message()}; EDITOR names another", style="red")
    except ValueError as error:
        console.print(f"this cannot be used: {error}", style="red")
    return None
