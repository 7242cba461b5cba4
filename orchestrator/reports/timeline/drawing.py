"""Drawing a timeline: HTML with an SVG picture a row, without scripts. Its style is in `reports/styles/timeline.css`.

Places and widths are percentages, so that the picture fits any width. Invariant: every text is escaped.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from orchestrator.reports.escaping import escape
from orchestrator.reports.timeline.bars import Bar, Row, Timeline
from orchestrator.reports.timeline.money import MoneyTrack, money_html
from orchestrator.reports.timeline.scale import Scale
from orchestrator.reports.wording import seconds_text
from orchestrator.text import normal_text, shorten

Density = Literal["compact", "normal", "roomy"]
DENSITIES: tuple[Density, ...] = ("compact", "normal", "roomy")
_HEIGHTS: dict[Density, int] = {"compact": 12, "normal": 20, "roomy": 30}
_LEAST_LANE = 10
_TRACK_PX = 760  # the width of the picture at a desk, by which labels are measured; a narrower one cuts them
_CHAR_PX = 6.2
_LEAST_CHARS = 4
_DESCRIPTION_CHARS = 120
_MOST_LINKS = 24
_LEGEND = (
    ("model", "model"),
    ("tool", "tool"),
    ("dependency", "waits for sub-tasks"),
    ("human", "waits for a human"),
    ("slot", "waits for a slot, a rate limit or a retry"),
    ("failed", "failed"),
    ("critical", "decided the end"),
    ("gap", "not running"),
    ("spent", "spent"),
    ("limit", "budget"),
)


@dataclass(frozen=True)
class Look:
    """The form of a drawing.

    Args:
        density: The height of its rows.
        selected: The id of the row that is marked.
        link: Returns where a row leads; None for rows that lead nowhere.
        first: The number of rows that are left out before the first one.
        most: The largest number of rows.
        prefix: Begins the ids of the rows. Several timelines in one file need one each.
    """

    density: Density = "normal"
    selected: str = ""
    link: Callable[[str], str] | None = None
    first: int = 0
    most: int | None = None
    prefix: str = "row"


def timeline_html(timeline: Timeline, look: Look | None = None, tracks: Sequence[MoneyTrack] = ()) -> str:
    """Return a timeline as a fragment of HTML.

    Args:
        timeline: The timeline.
        look: The form of the drawing.
        tracks: The spending, which is drawn below.
    """
    look = look or Look()
    scale = Scale(timeline.end, timeline.gaps)
    rows = timeline.rows[look.first : None if look.most is None else look.first + look.most]
    drawn = "".join(_row(row, scale, look) for row in rows)
    # A picture for each row: a browser lays out and renews only those that are seen or have changed.
    money = "".join(money_html(track, scale, timeline.end) for track in tracks)
    return (
        f'<div class="timeline is-{look.density}"><div class="rows">'
        f"{_axis(timeline, scale)}<ol>{drawn}</ol>{money}</div>"
        f"{_legend(rows, timeline, tracks)}{path_html(timeline, look)}</div>"
    )


def path_html(timeline: Timeline, look: Look) -> str:
    """Return the chain that decided the end in words."""
    if not timeline.path:
        return ""
    links = timeline.path[-_MOST_LINKS:]
    parts = []
    for each in links:
        human = f", {seconds_text(each.human)} of it for a human" if each.human >= 0.1 else ""
        name = {":plan": "plan", ":answer": "answer"}.get(each.row, each.row)
        words = f"{escape(name)} {seconds_text(each.ended - each.began)}{human}"
        parts.append(f'<a href="{escape(look.link(each.row))}">{words}</a>' if look.link else words)
    began = "… → " if len(links) < len(timeline.path) else ""
    so_far = "Decides the end so far" if timeline.is_open else "Decided the end"
    return f'<p class="path">{so_far}: {began}{" → ".join(parts)}</p>'


def _axis(timeline: Timeline, scale: Scale) -> str:
    """Return the lines and gaps behind all rows, and the axis above them."""
    ticks = scale.ticks()
    lines = "".join(f'<line class="tick" x1="{x:.2f}%" x2="{x:.2f}%" y1="0" y2="100%"/>' for x, _ in ticks)
    gaps = "".join(
        f'<rect class="gap" x="{scale.at(gap.began):.2f}%" y="0" height="100%" '
        f'width="{scale.at(gap.ended) - scale.at(gap.began):.2f}%"><title>{escape(gap.why)}</title></rect>'
        for gap in timeline.gaps
    )
    # The last one would stand outside the picture.
    words = "".join(
        f'<text x="{x:.2f}%" y="11"{" text-anchor=" + chr(34) + "end" + chr(34) if x > 94 else ""}>{text}</text>'
        for x, text in ticks
    )
    head = f"{seconds_text(scale.work)} at work"
    return (
        f'<svg class="behind" aria-hidden="true">{gaps}{lines}</svg>'
        f'<div class="axis"><span>{head}</span><svg height="16" aria-hidden="true">{words}</svg></div>'
    )


def _row(row: Row, scale: Scale, look: Look) -> str:
    height = _HEIGHTS[look.density]
    # What goes on side by side shares the height, until it could not be seen any more.
    lane = max(min(_LEAST_LANE, height), height // row.lanes)
    whole = max(height, lane * row.lanes)
    drawn = "".join(_bar(bar, scale, look, lane, whole) for bar in row.bars)
    marks = "".join(_attempt_mark(scale.at(at), number, whole) for at, number in row.attempts)
    track = f'<svg class="track" height="{whole}" aria-hidden="true">{drawn}{marks}</svg>'
    label = f'<span class="name">{_name(row, look)}</span>{track}'
    chosen = ' aria-current="true"' if row.id == look.selected else ""
    anchor = f"{look.prefix}-{escape(row.id.replace(':', '-'))}"
    if look.link is None:
        return f'<li id="{anchor}"><div class="row"{chosen}>{label}</div></li>'
    return f'<li id="{anchor}"><a class="row"{chosen} href="{escape(look.link(row.id))}">{label}</a></li>'


def _name(row: Row, look: Look) -> str:
    is_supervisor = row.id.startswith(":")
    name = row.agent if is_supervisor else row.id
    about = row.description if is_supervisor else row.agent
    parts = [f"<b>{escape(name)}</b> <small>{escape(about)}</small>"]
    if row.number > 1:
        parts.append(f' <small class="again">{row.number} attempts</small>')
    if row.status not in ("", "succeeded"):
        parts.append(f' <small class="is-{escape(row.status)}">{escape(row.status)}</small>')
    if look.density == "roomy" and not is_supervisor:
        words = escape(shorten(normal_text(row.description), _DESCRIPTION_CHARS))
        parts.append(f'<small class="about">{words}</small>')
    return "".join(parts)


def _attempt_mark(place: float, number: int, height: int) -> str:
    return (
        f'<g class="again"><line x1="{place:.2f}%" x2="{place:.2f}%" y1="0" y2="{height}"/>'
        f"<title>attempt {number} begins</title></g>"
    )


def _bar(bar: Bar, scale: Scale, look: Look, lane: int, whole: int) -> str:
    x, right = scale.at(bar.began), scale.at(bar.ended)
    width = max(right - x, 0.0)
    marks = [bar.kind, *([bar.state] if bar.state else []), *(["critical"] if bar.is_critical else [])]
    names = " ".join(marks + (["void"] if bar.is_void else []))
    title = f"<title>{escape(bar.title)}</title>"
    if bar.kind == "attempt":
        return (
            f'<rect class="{names}" x="{x:.2f}%" y="1" width="{width:.2f}%" height="{whole - 2}" rx="3">{title}</rect>'
        )
    top, height = bar.lane * lane + 2, lane - 4
    if bar.is_wait:
        bottom = top + height - 1
        shape = (
            f'<rect class="hit" x="{x:.2f}%" y="{top}" width="{width:.2f}%" height="{height}"/>'
            f'<line x1="{x:.2f}%" x2="{right:.2f}%" y1="{bottom}" y2="{bottom}"/>'
        )
    else:
        shape = f'<rect x="{x:.2f}%" y="{top}" width="{width:.2f}%" height="{height}" rx="2"/>'
    return f'<g class="{names}">{shape}{title}{_label(bar, x, width, top, height)}</g>'


def _label(bar: Bar, x: float, width: float, top: int, height: int) -> str:
    """Return the words inside a bar, or nothing where they do not fit."""
    fitting = int((width / 100 * _TRACK_PX - 8) / _CHAR_PX)
    if height < 12 or fitting < _LEAST_CHARS or not bar.label:
        return ""
    text = escape(shorten(normal_text(bar.label), fitting))
    # An SVG of its own cuts what does not fit into a narrower picture.
    return (
        f'<svg x="{x:.2f}%" y="{top}" width="{width:.2f}%" height="{height}">'
        f'<text x="4" y="{height / 2 + 4:g}">{text}</text></svg>'
    )


def _legend(rows: Sequence[Row], timeline: Timeline, tracks: Sequence[MoneyTrack]) -> str:
    kinds = {bar.kind for row in rows for bar in row.bars}
    there = {*kinds, "critical"} if timeline.path else set(kinds)
    there |= {"slot"} if kinds & {"rate", "retry"} else set()
    there |= {"failed"} if any(bar.state == "failed" for row in rows for bar in row.bars) else set()
    there |= {"gap"} if timeline.gaps else set()
    there |= {"spent"} if tracks else set()
    there |= {"limit"} if any(track.limit is not None for track in tracks) else set()
    items = "".join(
        f'<li><svg width="16" height="10" aria-hidden="true">{_sample(name)}</svg>{words}</li>'
        for name, words in _LEGEND
        if name in there
    )
    return f'<ul class="legend">{items}</ul>'


def _sample(name: str) -> str:
    if name == "gap":
        return '<rect class="gap" width="16" height="10"/>'
    if name in ("spent", "limit"):
        return f'<path class="{name}" d="M0,6H16"/>'
    if name in ("dependency", "human", "slot"):
        return f'<g class="{name}"><line x1="0" x2="16" y1="8" y2="8"/></g>'
    kind = "model critical" if name == "critical" else "model failed" if name == "failed" else name
    return f'<g class="{kind}"><rect x="1" y="1" width="14" height="8" rx="2"/></g>'
