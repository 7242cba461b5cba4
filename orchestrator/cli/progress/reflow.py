"""Reflow: keeps the screen whole when the terminal becomes narrower while it is drawn on."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.control import Control
from rich.segment import ControlType
from rich.text import Text


class Reflow:
    """Removes a drawing that a terminal has broken into more lines.

    Terminals break lines that a narrower window has no room for. rich 15 moves its cursor up by the lines that it has
    drawn, and the rest of them would stay on the screen for good.

    Args:
        console: The console.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._width = console.width
        self._drawn: list[int] = []

    def draws(self, lines: Sequence[Text]) -> None:
        """Note what is drawn next, and make room for it if the terminal has become narrower since."""
        width = self._console.width
        if width < self._width and self._drawn:
            broken = sum(max(1, -(-columns // width)) for columns in self._drawn)
            if extra := broken - len(self._drawn):
                # rich erases the other lines on the way to the top.
                erase_line = ((ControlType.ERASE_IN_LINE, 2), (ControlType.CURSOR_UP, 1))
                self._console.control(Control(ControlType.CARRIAGE_RETURN, *(erase_line * extra)))
        self._width, self._drawn = width, [cell_len(line.plain) for line in lines]
