"""What a worker or the summariser is shown of the shared memory, within an allowance of tokens.

Results that the sub-task depends on come first, then what was recalled, then what is recent. What does not fit is
shortened, never dropped in silence: it ends with a note that says how to read on.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from orchestrator.bridge import Bridge
from orchestrator.memory import Entry, SharedMemory
from orchestrator.plan import SubTask
from orchestrator.tokens import count_tokens, excerpt
from orchestrator.trust import as_data, merged

_MIN_SHARE = 96
_HEADING_TOKENS = 24
RECENT = 2
RECALLED = 2


@dataclass
class Context:
    """A prompt's part that comes from the shared memory."""

    text: str = ""
    keys: list[str] = field(default_factory=list)
    shortened: bool = False
    tainted_by: tuple[str, ...] = ()


def _block(entry: Entry, text: str) -> str:
    return f"[{entry.sub_task_id}]\n{as_data(text, entry.agent or 'an agent', trusted=entry.trusted)}"


def fit(entries: Sequence[Entry], tokens: int) -> Context:
    """All entries within `tokens`: short ones whole, and the long ones share what is left.

    Args:
        entries: In the order in which they are shown.
        tokens: The allowance. When there are too many entries for it, each still gets a few lines.
    """
    sizes = {entry.key: count_tokens(entry.text) + _HEADING_TOKENS for entry in entries}
    allowance = _shares(sizes, tokens)
    context = Context()
    blocks = []
    for entry in entries:
        text = excerpt(entry.text, max(_MIN_SHARE, allowance[entry.key]) - _HEADING_TOKENS, entry.key)
        context.shortened |= text != entry.text
        context.tainted_by = merged(context.tainted_by, entry.taint)
        context.keys.append(entry.key)
        blocks.append(_block(entry, text))
    context.text = "\n\n".join(blocks)
    return context


def _shares(sizes: dict[str, int], tokens: int) -> dict[str, int]:
    """Fair shares: whoever needs less than the even share leaves the rest to the others."""
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


async def worker_context(
    bridge: Bridge, memory: SharedMemory, sub_task: SubTask, needs: Iterable[str], tokens: int
) -> Context:
    """What a worker is shown: its dependencies' results, what fits its sub-task, and the newest.

    Args:
        bridge: How to recall.
        memory: The thread's memory.
        sub_task: What the worker is to do.
        needs: Keys of its dependencies' results.
        tokens: The allowance.
    """
    needed = [entry for key in needs if (entry := memory.seen(key)) is not None]
    left = tokens - sum(count_tokens(entry.text) + _HEADING_TOKENS for entry in needed)
    chosen = {entry.key: entry for entry in needed}
    if left > _MIN_SHARE:
        others = [entry for entry in memory.results() if entry.key not in chosen and entry.sub_task_id != sub_task.id]
        recent = others[-RECENT:]
        # Ranking costs an embedder up to a second for each result, so not where the newest are all that there is.
        recalled = await memory.rank(bridge, sub_task.description, RECALLED) if len(others) > RECENT else []
        for entry in [*recalled, *recent]:
            size = count_tokens(entry.text) + _HEADING_TOKENS
            if entry.key not in chosen and entry.sub_task_id != sub_task.id and size <= left:
                chosen[entry.key] = entry
                left -= size
    return fit(list(chosen.values()), tokens)
