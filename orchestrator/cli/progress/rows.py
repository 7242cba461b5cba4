"""Rows: a board as lines that fit a terminal. What does not fit is folded, but never what runs or needs a human."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from orchestrator.cli.progress.board import SUPERVISOR, Board
from orchestrator.cli.progress.event_lines import tokens_of
from orchestrator.cli.progress.glyphs import Glyphs, short_number, short_time
from orchestrator.planning.status_colours import TERMINAL_STYLES

_FIRST = ("waiting", "running", "failed", "pending", "skipped", "succeeded")
_FOLDED = {"succeeded": "done", "failed": "failed", "skipped": "skipped", "pending": "to do"}
_ACTIVE = ("waiting", "running")
_LONGEST_NAME = 20
_LONGEST_AGENT = 12
_AGENTS_FROM = 72  # narrower terminals have no column for agents
_TIME = 7
_GAP = "  "
_SUPERVISOR_NAME = "supervisor"


@dataclass(frozen=True)
class Columns:
    """The widths of the columns.

    Args:
        name: Ids of sub-tasks.
        agent: Agents; 0 for no such column.
        detail: All that is left.
    """

    name: int
    agent: int
    detail: int

    @classmethod
    def of(cls, board: Board, width: int, glyphs: Glyphs) -> "Columns":
        """Return the widths for a plan."""
        tasks = board.plan.sub_tasks if board.plan is not None else ()
        names = [_name(board, task.id) for task in tasks]
        name = min(max((cell_len(glyphs.line(each)) for each in names), default=0), _LONGEST_NAME)
        agents = max((cell_len(glyphs.line(task.target_agent)) for task in tasks), default=0)
        agent = min(agents, _LONGEST_AGENT) if width >= _AGENTS_FROM else 0
        name = max(name, len(_SUPERVISOR_NAME) - (agent + len(_GAP) if agent else 0))
        used = 2 + name + len(_GAP) + (agent + len(_GAP) if agent else 0) + _TIME + len(_GAP)
        return cls(name, agent, max(0, width - used))


def rows(board: Board, width: int, height: int, glyphs: Glyphs) -> list[Text]:
    """Return the lines of a board, without the line at its end.

    Args:
        board: The board.
        width: Columns of the terminal.
        height: The most lines.
        glyphs: What the terminal can draw.
    """
    if height <= 0:
        return []
    columns = Columns.of(board, width, glyphs)
    supervisor = [_supervisor_row(board, columns, glyphs)] if _is_supervising(board) else []
    statuses = board.statuses()
    room = height - len(supervisor)
    if len(statuses) <= room:
        return [*(_row(board, name, columns, glyphs) for name in statuses), *supervisor]
    return [*_folded_rows(board, statuses, columns, width, max(1, room), glyphs), *supervisor][-height:]


def _folded_rows(
    board: Board, statuses: dict[str, str], columns: Columns, width: int, room: int, glyphs: Glyphs
) -> list[Text]:
    """Return as many rows as there is room for, what is active first, and the others in a line for each status."""
    by_urgency = sorted(statuses, key=lambda name: _urgency(board, name))
    count = min(len(by_urgency), room)
    while True:
        shown = set(by_urgency[:count])
        others = [name for name in statuses if name not in shown]
        # Those that ended are above, and those to do below, as in a plan that is carried out from top to bottom.
        ended = [status for status in ("succeeded", "skipped", "failed") if _of(others, statuses, status)]
        above = [_fold(status, _of(others, statuses, status), width, glyphs) for status in ended]
        below = _compact([each for each in others if statuses[each] in _ACTIVE], board, width, glyphs)
        if pending := _of(others, statuses, "pending"):
            below.append(_fold("pending", pending, width, glyphs))
        if count + len(above) + len(below) <= room or not count:
            full = [_row(board, name, columns, glyphs) for name in statuses if name in shown]
            return [*above, *full, *below]
        count -= 1


def _urgency(board: Board, name: str) -> tuple[int, float]:
    status = board.status(name)
    # Of those that have succeeded, the newest are news.
    return _FIRST.index(status), board.seconds(name) if status == "succeeded" else 0.0


def _of(names: Sequence[str], statuses: dict[str, str], status: str) -> list[str]:
    return [name for name in names if statuses[name] == status]


def _fold(status: str, names: Sequence[str], width: int, glyphs: Glyphs) -> Text:
    style = _style(status)
    head = f" {len(names)} {_FOLDED[status]}: "
    line = Text.assemble((glyphs.signs[status], style), head)
    return line.append(glyphs.cut(" ".join(names), width - line.cell_len), "dim")


def _compact(names: Sequence[str], board: Board, width: int, glyphs: Glyphs) -> list[Text]:
    """Return several active sub-tasks a line, each with its sign and its time."""
    cells = [
        (glyphs.signs[board.status(name)], f" {glyphs.cut(name, _LONGEST_NAME)} {short_time(board.seconds(name))}")
        for name in names
    ]
    cell = max((cell_len(sign + text) for sign, text in cells), default=0) + len(_GAP)
    lines: list[Text] = []
    per_line = max(1, (width + len(_GAP)) // max(1, cell))
    for at in range(0, len(cells), per_line):
        line = Text()
        for name, (sign, text) in zip(names[at : at + per_line], cells[at : at + per_line], strict=True):
            line.append(sign, _style(board.status(name))).append(set_cell_size(text, cell - cell_len(sign)))
        line.truncate(width)
        lines.append(line)
    return lines


def _row(board: Board, name: str, columns: Columns, glyphs: Glyphs) -> Text:
    assert board.plan is not None
    task, status, last = board.plan.by_id[name], board.status(name), board.last.get(name)
    time = ""
    if status in _ACTIVE:
        time = short_time(board.seconds(name))
    elif last is not None and last.seconds:
        time = short_time(last.seconds)
    parts = (glyphs.signs[status], _name(board, name), task.target_agent, time)
    return _line(parts, _style(status), _detail(board, name, columns.detail, glyphs), columns, glyphs)


def _supervisor_row(board: Board, columns: Columns, glyphs: Glyphs) -> Text:
    doing = next(board.activities(SUPERVISOR), None)
    question = board.question(SUPERVISOR)
    status = "waiting" if question and doing is None and not board.phase else "running"
    words = glyphs.tail(board.words(SUPERVISOR), columns.detail - len(glyphs.ellipsis) - 1)
    text = board.phase or (doing.text if doing is not None else f"asks you: {question}")
    if board.phase and doing is not None:
        text = f"{board.phase}{glyphs.separator}{doing.text}"
    if board.phase and words:
        text = f"{glyphs.ellipsis} {words}"
    time = short_time(board.clock() - doing.since) if doing is not None else ""
    parts = (glyphs.signs[status], _SUPERVISOR_NAME, "", time)
    return _line(parts, _style(status), Text(glyphs.cut(text, columns.detail), _style(status)), columns, glyphs)


def _is_supervising(board: Board) -> bool:
    return bool(board.phase or next(board.activities(SUPERVISOR), None) is not None)


def _line(parts: tuple[str, str, str, str], style: str, detail: Text, columns: Columns, glyphs: Glyphs) -> Text:
    sign, name, agent, time = parts
    # The supervisor has no agent, and its name may need that column, too.
    width = columns.name + (0 if agent or not columns.agent else len(_GAP) + columns.agent)
    line = Text.assemble((sign, style), " ", set_cell_size(glyphs.cut(name, width), width), _GAP)
    if agent and columns.agent:
        line.append(set_cell_size(glyphs.cut(agent, columns.agent), columns.agent) + _GAP, "dim")
    return line.append(f"{time:>{_TIME}}{_GAP}").append(detail)


def _detail(board: Board, name: str, width: int, glyphs: Glyphs) -> Text:
    """Return what a sub-task does, waits for, cost, or failed of."""
    assert board.plan is not None
    status, last, task = board.status(name), board.last.get(name), board.plan.by_id[name]
    if status == "running":
        return Text(_doing(board, name, width, glyphs), "cyan")
    if status == "waiting":
        question = board.question(name)
        return Text(glyphs.cut(f"waits for you: {question}" if question else "waits for you", width), _style(status))
    if status == "pending":
        missing = board.missing(name)
        return Text(glyphs.cut(f"waits for {' '.join(missing)}" if missing else task.description, width), "dim")
    if status == "succeeded":
        spent = f"{short_number(tokens_of(last))} tokens" if last is not None and last.usage else ""
        text = f"{spent}{glyphs.separator if spent else ''}{task.description}"
        return Text(glyphs.cut(text, width), "dim")
    error = last.error if last is not None else ""
    return Text(glyphs.cut(f"{status}: {error}" if error else status, width), _style(status))


def _doing(board: Board, name: str, width: int, glyphs: Glyphs) -> str:
    doing = next(board.activities(name), None)
    words = board.words(name)
    # Words come from the request that goes on, and say more than its name.
    if words and (doing is None or not doing.is_tool):
        return f"{glyphs.ellipsis} {glyphs.tail(words, width - len(glyphs.ellipsis) - 1)}"
    if doing is None:
        return glyphs.cut(board.idle, width)
    since = f", {short_time(board.clock() - doing.since)}"
    return glyphs.cut(doing.text, width - len(since)) + since


def _name(board: Board, name: str) -> str:
    assert board.plan is not None
    attempt = board.plan.by_id[name].attempt
    return f"{name} ({attempt})" if attempt > 1 else name


def _style(status: str) -> str:
    style: str = TERMINAL_STYLES.get(status, "dim")  # type: ignore[call-overload] # "pending" has no colour
    return style
