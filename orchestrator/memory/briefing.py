"""Briefing: the part of the shared memory that a worker or the summary is shown, within an allowance of tokens.

The results of dependencies come first, then recalled results, then recent ones. No result disappears silently. A long
one is shortened and ends with a note on how to read on. If even the notes do not fit, the briefing shows the first
words of as many results as possible, and one note names the rest.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from orchestrator.concurrency import Bridge
from orchestrator.memory.entry import Entry
from orchestrator.memory.shared_memory import SharedMemory
from orchestrator.planning.sub_task import SubTask
from orchestrator.text import READ_ON, ReadOnNote, count_tokens, excerpt
from orchestrator.trust import as_data, merged, split_data

_MIN_SHARE = 128  # tokens for a few lines and their note on how to read on
_FEW_WORDS = 24
_HEADING_TOKENS = 24  # a result's id and its marks as data
_MOST_NAMED = 40
RECENT = 2
RECALLED = 2


@dataclass
class Briefing:
    """The part of a prompt that comes from the shared memory.

    Args:
        text: The text for the prompt.
        keys: Keys of the entries in the text.
        shortened: True if at least one entry is not shown whole.
        left_out: Ids of the sub-tasks whose results are not in the text.
        tainted_by: The sources from outside of the entries in the text.
    """

    text: str = ""
    keys: list[str] = field(default_factory=list)
    shortened: bool = False
    left_out: tuple[str, ...] = ()
    tainted_by: tuple[str, ...] = ()


def _block(entry: Entry, text: str) -> str:
    return f"[{entry.sub_task_id}]\n{as_data(text, entry.agent or 'an agent', trusted=entry.trusted)}"


def fit(entries: Sequence[Entry], tokens: int) -> Briefing:
    """Brief on all entries within an allowance: short ones whole, while the long ones share the rest.

    Args:
        entries: The entries in their order in the text.
        tokens: The allowance; less than 128 count as 128.
    """
    tokens = max(tokens, _MIN_SHARE)
    sizes = {entry.key: count_tokens(_block(entry, entry.text)) + 1 for entry in entries}
    shares = _shares(sizes, tokens)
    if any(share < min(sizes[key], _MIN_SHARE) for key, share in shares.items()):
        return _condensed(entries, tokens)
    whole = {key for key, share in shares.items() if sizes[key] <= share}
    shown = [(e, _block(e, e.text) if e.key in whole else _shortened(e, shares[e.key])) for e in entries]
    briefing = _of(shown)
    # The shares are estimates: the length of a note depends on the key in it.
    return briefing if count_tokens(briefing.text) <= tokens else _condensed(entries, tokens)


def _of(shown: Sequence[tuple[Entry, str]], note: str = "") -> Briefing:
    return Briefing(
        text="\n\n".join([*(block for _, block in shown), *([note] if note else [])]),
        keys=[entry.key for entry, _ in shown],
        shortened=bool(note) or any(block != _block(entry, entry.text) for entry, block in shown),
        tainted_by=merged(*(entry.taint for entry, _ in shown)),
    )


def _shortened(entry: Entry, share: int) -> str:
    """Return the beginning of an entry, with a note on how to read on."""
    return _block(entry, excerpt(entry.text, share - count_tokens(_block(entry, "")) - 1, entry.key))


def _condensed(entries: Sequence[Entry], tokens: int) -> Briefing:
    """Brief on the first words of as many entries as fit, with one note on how to read each of them."""
    room = tokens - _note_tokens(tokens)
    words = room - sum(count_tokens(_block(entry, "")) + 1 for entry in entries)
    shares = _shares({entry.key: count_tokens(entry.text) for entry in entries}, words)
    shown: list[tuple[Entry, str]] = []
    left_out: list[str] = []
    for entry in entries:
        share = max(_FEW_WORDS, shares[entry.key]) + count_tokens(_block(entry, ""))
        block = _first_words(entry, share)
        size = count_tokens(block) + 1
        if size <= room:
            shown.append((entry, block))
            room -= size
        else:
            left_out.append(entry.sub_task_id or entry.key)
    short = [entry.sub_task_id or entry.key for entry, block in shown if block != _block(entry, entry.text)]
    briefing = _of(shown, _note(short, left_out, _note_tokens(tokens)))
    briefing.left_out = tuple(left_out)
    return briefing


def _note_tokens(tokens: int) -> int:
    return max(80, tokens // 8)


def _first_words(entry: Entry, share: int) -> str:
    whole = _block(entry, entry.text)
    if count_tokens(whole) <= share:
        return whole

    def size(length: int) -> int:
        return count_tokens(_block(entry, entry.text[:length] + " …"))

    # The bound of the search: `count_tokens` counts at least a token for three characters.
    length = bisect_right(range(min(len(entry.text), 3 * share) + 1), share, key=size) - 1
    return _block(entry, entry.text[: max(0, length)] + " …")


def _note(short: Sequence[str], left_out: Sequence[str], tokens: int) -> str:
    """Return a note on how to read the rest. It names as many of the left out results as fit."""
    cut = [f"{len(short)} cut short"] if short else []
    example, note = [*left_out, *short][0], ""
    # Fewer names each time until the note fits; the last try drops the example too.
    for most in range(min(len(left_out), _MOST_NAMED), -2, -1):
        named = ", ".join([*left_out[:most], f"{len(left_out) - most} more"][: len(left_out)]) if most > 0 else ""
        missing = [f"{len(left_out)} left out" + (f" ({named})" if named else "")] if left_out else []
        counts = " and ".join([*cut, *missing])
        note = f'[… of these results {counts}: {READ_ON}"{example if most >= 0 else "…"}") reads one whole, by its id]'
        if count_tokens(note) <= tokens:
            break
    return note


def shorter(text: str, most: int) -> str:
    """Shorten a tool's answer in a conversation once more. It keeps its marks as data and its note on the rest.

    Args:
        text: The answer as the agent was shown it.
        most: Number of characters to keep.
    """
    head, body, foot, tail = split_data(text)
    body, inside = ReadOnNote.split(body)
    _, outside = ReadOnNote.split(tail)
    note = outside or inside
    if note is None:  # the answer was short enough to be shown whole, and is not in the memory
        rest = " [… you have read the rest of it already]"
    else:
        rest = str(replace(note, start=max(0, note.start - max(0, len(body) - most))))
    # A note between the marks may have been forged outside, so it stays between them.
    return head + body[:most] + (rest + foot if inside and not outside else foot + rest)


def _shares(sizes: dict[str, int], tokens: int) -> dict[str, int]:
    """Return fair shares: an entry that needs less than the even share leaves the rest to the others."""
    shares: dict[str, int] = {}
    left, waiting = tokens, dict(sizes)
    while waiting:
        even = left // len(waiting)
        small = {key: size for key, size in waiting.items() if size <= even}
        if not small:
            return shares | dict.fromkeys(waiting, even)
        shares |= small
        left -= sum(small.values())
        waiting = {key: size for key, size in waiting.items() if key not in small}
    return shares


async def brief(bridge: Bridge, memory: SharedMemory, sub_task: SubTask, needs: Iterable[str], tokens: int) -> Briefing:
    """Brief a worker on the results of its dependencies, on results that fit its sub-task, and on the newest.

    Args:
        bridge: The bridge for ranking.
        memory: The thread's memory.
        sub_task: The worker's sub-task.
        needs: Keys of the results of its dependencies.
        tokens: The allowance.
    """
    needed = [entry for key in needs if (entry := memory.seen(key)) is not None]
    left = tokens - sum(count_tokens(entry.text) + _HEADING_TOKENS for entry in needed)
    chosen = {entry.key: entry for entry in needed}
    if left > _MIN_SHARE:
        others = [entry for entry in memory.results() if entry.key not in chosen and entry.sub_task_id != sub_task.id]
        recent = others[-RECENT:]
        # An embedder takes up to a second for each result: rank only if there are more than the newest.
        recalled = await memory.rank(bridge, sub_task.description, RECALLED) if len(others) > RECENT else []
        for entry in [*recalled, *recent]:
            size = count_tokens(entry.text) + _HEADING_TOKENS
            if entry.key not in chosen and entry.sub_task_id != sub_task.id and size <= left:
                chosen[entry.key] = entry
                left -= size
    return fit(list(chosen.values()), tokens)
