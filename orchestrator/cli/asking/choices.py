"""The answers to a review at a terminal: the words that are typed, and one line that explains each."""

from rich.text import Text

from orchestrator.reviews.answering.limits import is_budget, most_used_limit
from orchestrator.reviews.review import Action, Review

_YES_NO: dict[str, Action] = {"yes": "approve", "no": "reject"}
_STOP = "end the run; nothing new is begun"
_EXPLANATIONS: dict[str, dict[Action, str]] = {
    "plan": {
        "approve": "carry the plan out",
        "edit": "change the plan in your editor",
        "reject": "say why; the supervisor plans again",
    },
    "result": {
        "approve": "accept the result",
        "edit": "change the result in your editor",
        "reject": "say why; the sub-task is done again",
    },
    "tool": {
        "approve": "call the tool",
        "edit": "change the arguments in your editor",
        "reject": "say why; the worker is told, and calls nothing",
    },
    "question": {
        "answer": "type the answer that the tool gets",
        "reject": "say why; the worker is told",
    },
    "steer": {
        "approve": "finish with what there is",
        "reject": "say what to try; it is tried",
    },
    "budget": {
        "approve": "finish with what there is",
        "edit": "change all limits in your editor",
    },
}


def choices(review: Review, *, can_quit: bool = False) -> Text:
    """Return the prompt that names the answers. The letter that suffices is bold.

    Args:
        review: The review.
        can_quit: Other reviews follow.
    """
    words = [Text.assemble((action[0], "bold"), action[1:]) for action in review.allowed]
    if is_budget(review) and "edit" in review.allowed:
        words.insert(0, Text("a new limit (500k, $5)"))
    words += [Text("?", "bold"), *([Text.assemble(("q", "bold"), "uit")] if can_quit else [])]
    return Text.assemble(Text(", ").join(words), f", or Enter to {'skip it' if can_quit else 'leave it open'}: ")


def chosen(review: Review, typed: str) -> Action | None:
    """Return the action that a typed word means; None if it means none that is allowed.

    Any beginning of a word will do, but "stay" does not stop the run. `yes` and `no` answer questions that can be
    answered so: the one about a spent budget and the one of a tool are none.
    """
    word = typed.strip().lower()
    words: dict[str, Action] = {action: action for action in review.allowed}
    if review.kind in ("plan", "result", "tool"):
        words |= {name: action for name, action in _YES_NO.items() if action in review.allowed}
    return next((action for name, action in words.items() if word and name.startswith(word)), None)


def explanations(review: Review) -> list[str]:
    """Return a line for each answer."""
    meanings = _EXPLANATIONS["budget" if is_budget(review) else review.kind] | {"stop": _STOP}
    aliases = {action: name for name, action in _YES_NO.items()} if review.kind in ("plan", "result", "tool") else {}
    lines = []
    if is_budget(review) and "edit" in review.allowed:
        lines = [("500k, $5", f"a new limit; a number alone is one of {most_used_limit(review)}")]
    for action in review.allowed:
        alias = f", {aliases[action][0]}" if action in aliases else ""
        lines.append((f"{action[0]}{alias}, {action}", meanings.get(action, action)))
    lines += [("Enter", "leave it open; all else goes on")]
    return [f"  {name:<13} {meaning}" for name, meaning in lines]
