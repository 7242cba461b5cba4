"""The consoles of the command line: stdout and stderr as rich draws them.

Brackets and colons in a text are what they are: rich's markup and its names of emoji are off. Style comes from `Text`.
"""

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from orchestrator.control_characters import visible


class VisibleConsole(Console):
    """A console that shows texts as they are, and control characters in them instead of sending them to the terminal.

    Args:
        options: As for rich's console.
    """

    def __init__(self, **options: Any) -> None:
        # "[t1]" is a sub-task's result and no style, and ":bug:" is what a model wrote.
        super().__init__(**{"markup": False, "emoji": False, "highlight": False, **options})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Return the segments of a renderable, whatever it is made of."""
        # Everything that a console draws comes through here: tables and the live display draw their cells by it.
        for segment in super().render(renderable, options):
            shown = segment.text if segment.control else visible(segment.text)
            yield segment if shown == segment.text else Segment(shown, segment.style)


out = VisibleConsole()
err = VisibleConsole(stderr=True)
