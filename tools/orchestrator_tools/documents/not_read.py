"""Parts of a folder that were not read, in words: "nothing found" must not look like "not looked into"."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

_MOST_NAMED: Final = 6
_MOST_CHARACTERS: Final = 900
_FEW: Final = 200  # characters beside passages, which take the room of an answer


def not_read(
    passed: Mapping[str, Sequence[str]],
    unread: Mapping[str, str],
    partly: Mapping[str, str],
    *,
    is_short: bool = False,
) -> list[str]:
    """Return notes about all that a search did not look into; none if it looked into everything.

    Args:
        passed: Names of files that do not count as documents, by their kind in words.
        unread: The reason why a document cannot be read, by its name.
        partly: Sentences about the missing parts of documents, by name.
        is_short: Leave out hidden files and most names.
    """
    # A folder of scans has one reason for all of them.
    by_reason: dict[str, list[str]] = {}
    for name, reason in unread.items():
        by_reason.setdefault(reason, []).append(name)
    groups = [f"{_named(names)} ({reason})" for reason, names in by_reason.items()]
    for kind, names in passed.items():
        if not (is_short and kind.startswith("hidden")):
            groups.append(f"{kind}: {len(names):,}{'' if is_short else f' ({_named(names)})'}")
    most = _FEW if is_short else _MOST_CHARACTERS
    notes = [f"(not searched: {_within(groups, most)})"] if groups else []
    if partly:
        parts = [f"{name}, of which {part}" for name, part in partly.items()]
        notes.append(f"(read in part: {_within(parts, most)})")
    return notes


def _within(groups: Iterable[str], most: int) -> str:
    """Return the groups in one line that is not too long, with the number of those that it leaves out."""
    shown: list[str] = []
    rest = 0
    for group in groups:
        if shown and len(group) > most:
            rest += 1
            continue
        shown.append(group if len(group) <= most else f"{group[:most]} …")
        most -= len(group)
    return "; ".join([*shown, *([f"{rest:,} more like these"] if rest else [])])


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMED])
    return f"{shown} and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else shown
