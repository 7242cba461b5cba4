"""The layout of a plan as a picture: a column for each level, so that no arrow points back."""

from dataclasses import dataclass

from orchestrator.planning.plan import Plan

_MOST_ROWS = 40  # of a column; a longer one goes on in a column beside it


@dataclass(frozen=True)
class BoxSize:
    """The size of the boxes of a picture, in pixels.

    Args:
        width: The width of a box.
        height: Its height.
        gap_x: The room for arrows between two columns.
        gap_y: The room between two boxes of a column.
        margin: The room around the picture.
    """

    width: int = 190
    height: int = 52
    gap_x: int = 56
    gap_y: int = 18
    margin: int = 8


@dataclass(frozen=True)
class PlanLayout:
    """The places of the boxes and arrows of a plan.

    Args:
        size: The size of the boxes.
        corners: The upper left corner of the box of each sub-task.
        width: The width of the picture.
        height: Its height.
    """

    size: BoxSize
    corners: dict[str, tuple[int, int]]
    width: int
    height: int

    @classmethod
    def of(cls, plan: Plan, size: BoxSize | None = None) -> "PlanLayout":
        """Return the layout of a plan."""
        size = size or BoxSize()
        # The column is the longest way from a sub-task without dependencies.
        levels: dict[int, list[str]] = {}
        for task in plan.sub_tasks:
            levels.setdefault(plan.depths[task.id], []).append(task.id)
        corners: dict[str, tuple[int, int]] = {}
        column, rows = 0, 1
        for _, names in sorted(levels.items()):
            for at, name in enumerate(names):
                x = size.margin + (column + at // _MOST_ROWS) * (size.width + size.gap_x)
                corners[name] = (x, size.margin + at % _MOST_ROWS * (size.height + size.gap_y))
            column += -(-len(names) // _MOST_ROWS)
            rows = max(rows, min(len(names), _MOST_ROWS))
        width = 2 * size.margin + max(1, column) * (size.width + size.gap_x) - size.gap_x
        height = 2 * size.margin + rows * (size.height + size.gap_y) - size.gap_y
        return cls(size, corners, width, height)

    def arrow(self, start: str, end: str) -> str:
        """Return the path of the arrow from one sub-task to another, as SVG writes it."""
        (x1, y1), (x2, y2) = self.corners[start], self.corners[end]
        x1, y1, x2, y2 = x1 + self.size.width, y1 + self.size.height // 2, x2 - 2, y2 + self.size.height // 2
        middle = (x1 + x2) // 2
        return f"M{x1},{y1} C{middle},{y1} {middle},{y2} {x2},{y2}"
