"""The consoles of the command line: stdout and stderr as rich draws them."""

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from orchestrator.control_characters import visible


class VisibleConsole(Console):
    """A console that shows control characters in texts instead of sending them to the terminal."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Return the segments of a renderable, whatever it is made of."""
        # Everything that a console draws comes through here: tables and the live display draw their cells by it.
        for segment in super().render(renderable, options):
            shown = segment.text if segment.control else visible(segment.text)
            yield segment if shown == segment.text else Segment(shown, segment.style)


out = VisibleConsole()
err = VisibleConsole(stderr=True)
