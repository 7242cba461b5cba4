"""Glyphs: the signs that a terminal can draw, and texts cut to its columns."""

from collections.abc import Mapping
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.console import Console

from orchestrator.control_characters import visible
from orchestrator.text import normal_text

_SIGNS = {"succeeded": "✔", "failed": "✘", "running": "▶", "waiting": "?", "skipped": "-", "pending": "·"}
_PLAIN_SIGNS = {**_SIGNS, "succeeded": "+", "failed": "x", "running": ">", "pending": "."}


@dataclass(frozen=True)
class Glyphs:
    """The signs that a terminal can draw.

    Args:
        signs: The sign of each status. They differ without colours too.
        spinner: The signs that follow each other while something goes on.
        ellipsis: Stands where a text is cut.
        separator: Stands between the parts of a line.
        bars: Work, a human's turn, and waiting, in a waterfall.
        gap: A pause of the whole run, in a waterfall.
        encoding: The terminal's encoding.
    """

    signs: Mapping[str, str]
    spinner: str
    ellipsis: str
    separator: str
    bars: Mapping[str, str]
    gap: str
    encoding: str

    @classmethod
    def of(cls, console: Console) -> "Glyphs":
        """Return those of a console."""
        bars = {"work": "█", "human": "?", "wait": "·"}
        if "utf" in console.encoding:
            return cls(_SIGNS, "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "…", " · ", bars, "┊", console.encoding)
        plain = {**bars, "work": "#", "wait": "."}
        return cls(_PLAIN_SIGNS, "|/-\\", "...", ", ", plain, ":", console.encoding)

    def line(self, text: str) -> str:
        """Return a text as one line that has the width on the screen that it is measured to have."""
        # A terminal of another encoding gets a "?" for each sign that it lacks, and not six characters of an escape.
        return visible(normal_text(text)).encode(self.encoding, "replace").decode(self.encoding)

    def cut(self, text: str, width: int) -> str:
        """Return a text as one line, cut to a width."""
        # Nobody sees more than a line of it, and a result may have megabytes.
        line = self.line(text[: 4 * width + 80])
        if cell_len(line) <= width:
            return line
        return set_cell_size(line, max(0, width - len(self.ellipsis))).rstrip() + self.ellipsis[: max(0, width)]

    def tail(self, text: str, width: int) -> str:
        """Return the end of a text as one line of at most this width."""
        line = self.line(text[-4 * width - 80 :])
        while cell_len(line) > width:
            line = line[max(1, (cell_len(line) - width) // 2) :]
        # Not from the middle of a word, unless it is a long one.
        begin = line.find(" ", 0, width // 3) if len(line) < len(self.line(text)) else -1
        return line[begin + 1 :].lstrip()


def short_time(seconds: float) -> str:
    """Return a duration in at most seven columns."""
    if seconds < 60:
        return f"{max(0.0, seconds):.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def short_number(number: float) -> str:
    """Return a number as people say it: 950, 4.2k, 45k, 1.5M."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if number >= size * 0.9995:
            digits = f"{number / size:.1f}".removesuffix(".0") if number < 10 * size else f"{number / size:.0f}"
            return digits + unit
    return f"{number:.0f}"
