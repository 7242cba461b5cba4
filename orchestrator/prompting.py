"""Asking a review at the terminal."""

import json
from typing import Any

from rich.console import Console
from rich.markup import escape

from orchestrator.printing import print_subject
from orchestrator.reviews import Action, Decision, Review

_KEYS: dict[str, Action] = {"a": "approve", "e": "edit", "r": "reject", "s": "stop"}


def ask_at_terminal(review: Review, console: Console) -> Decision | None:
    """Shows a review and reads the answer; None when the person leaves it open."""
    console.print()
    console.print(f"[bold yellow]?[/bold yellow] [bold]{escape(review.question)}[/bold]", highlight=False)
    if review.stake:
        console.print(f"  at stake: {escape(review.stake)}", style="dim", highlight=False)
    print_subject(review, console)
    choices = ", ".join(f"[b]{action[0]}[/b]{action[1:]}" for action in review.allowed)
    while True:
        typed = console.input(f"{choices}, or Enter to leave it open: ").strip().lower()
        if not typed:
            return None
        action = _KEYS.get(typed[0])
        if action in review.allowed and action is not None and action.startswith(typed):
            break
        console.print("  not one of these")
    text, data = _details(review, action, console)
    return Decision(review_id=review.id, action=action, text=text, data=data)


def _details(review: Review, action: Action, console: Console) -> tuple[str, Any]:
    if action == "reject":
        return console.input("What should be different? ").strip(), None
    if action != "edit":
        return "", None
    import click

    if review.kind == "result":
        return click.edit(review.subject["result"]) or "", None
    before = review.subject[{"plan": "plan", "steer": "budget"}.get(review.kind, "args")]
    edited = click.edit(json.dumps(before, indent=2, ensure_ascii=False), extension=".json")
    try:
        return "", json.loads(edited) if edited else before
    except ValueError as error:
        console.print(f"[red]this is not JSON: {escape(str(error))}[/red]")
        return "", None
