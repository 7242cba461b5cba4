"""The last line of the display: how far a run is, how long it takes, and what it has spent of its budget."""

from rich.text import Text

from orchestrator.cli.progress.board import Board
from orchestrator.cli.progress.glyphs import Glyphs, short_number, short_time
from orchestrator.events import Spent

_TURNS_A_SECOND = 5
_NEARLY = 0.7


def summary_line(board: Board, width: int, glyphs: Glyphs, *, is_working: bool, is_over: bool = False) -> Text:
    """Return the line. Its later parts are left out where they do not fit.

    Args:
        board: The board.
        width: Columns of the terminal.
        glyphs: What the terminal can draw.
        is_working: Begin with a sign that moves.
        is_over: Nothing runs any more, whatever the last events told.
    """
    line = Text()
    elapsed = board.clock() - board.began
    if is_working:
        line.append(glyphs.spinner[int(elapsed * _TURNS_A_SECOND) % len(glyphs.spinner)] + " ", "cyan")
    is_first = True
    for text, style in _parts(board, elapsed, is_over=is_over):
        part = glyphs.line(text)
        needed = len(part) + (0 if is_first else len(glyphs.separator))
        if line.cell_len + needed > width:
            break
        line.append("" if is_first else glyphs.separator, "dim").append(part, style)
        is_first = False
    return line


def _parts(board: Board, elapsed: float, *, is_over: bool) -> list[tuple[str, str]]:
    """Return the parts with their styles, the most important first."""
    statuses = list(board.statuses().values())
    parts = []
    if board.plan is not None:
        parts.append((f"{statuses.count('succeeded')}/{len(statuses)}", "bold"))
    for status, words, style in (
        ("waiting", "for you", "yellow"),
        ("failed", "failed", "red"),
        ("running", "running", "cyan"),
    ):
        if (count := statuses.count(status)) and not (is_over and status == "running"):
            parts.append((f"{count} {words}", style))
    parts.append((short_time(elapsed), ""))
    if board.spent is not None:
        parts += _money(board.spent)
    return parts


def _money(spent: Spent) -> list[tuple[str, str]]:
    limits = spent.limits
    dollars, tokens, calls = limits.get("cost_usd"), limits.get("tokens"), limits.get("model_calls")
    money = f"${spent.cost_usd:.4f}" + (f"/${dollars:g}" if dollars else "")
    of_tokens = f"/{short_number(tokens)}" if tokens else ""
    noun = "call" if spent.model_calls == 1 and not calls else "calls"
    parts = [
        (bool(dollars), money if dollars or spent.cost_usd else "", _style(spent.cost_usd, dollars)),
        (bool(tokens), f"{short_number(spent.tokens)}{of_tokens} tokens", _style(spent.tokens, tokens)),
        (bool(calls), f"{spent.model_calls}{f'/{calls:g}' if calls else ''} {noun}", _style(spent.model_calls, calls)),
    ]
    # Limits come first: a narrow terminal has no room for the rest.
    return [(text, style) for _, text, style in sorted(parts, key=lambda part: not part[0]) if text]


def _style(used: float, limit: float | None) -> str:
    return "" if not limit or used < _NEARLY * limit else "yellow" if used < limit else "red"
