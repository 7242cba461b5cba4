"""Code in a text: fenced blocks and spans between backticks, as Markdown has them."""

import re
from bisect import bisect_right
from dataclasses import dataclass

_FENCE = re.compile(r"^[ \t]{0,3}(`{3,}|~{3,})[ \t]*([^\s`]*)[^\n`]*$", re.M)
_SPAN = re.compile(r"`[^`\n]+`")


@dataclass(frozen=True)
class Block:
    """A piece of code.

    Args:
        start: Its first character, that of the fence.
        end: The character behind it.
        inner: What stands in it: the first character, and the one behind the last.
        language: The word behind the fence; None for a span.
    """

    start: int
    end: int
    inner: tuple[int, int]
    language: str | None


class Code:
    """All code in a text.

    Args:
        text: The text.
    """

    def __init__(self, text: str) -> None:
        self._blocks = sorted(_blocks(text), key=lambda block: block.start)
        self._starts = [block.start for block in self._blocks]

    def at(self, place: int) -> Block | None:
        """Return the code that a place is inside of."""
        block = _block_at(self._blocks, self._starts, place)
        return block if block is not None and block.start < place else None


def _blocks(text: str) -> list[Block]:
    blocks: list[Block] = []
    opening: re.Match[str] | None = None
    for fence in _FENCE.finditer(text):
        if opening is None:
            opening = fence
        elif fence[1].startswith(opening[1]) and not fence[2]:
            inner = (min(opening.end() + 1, fence.start()), fence.start())
            blocks.append(Block(opening.start(), fence.end(), inner, opening[2].lower()))
            opening = None
    if opening is not None:
        blocks.append(Block(opening.start(), len(text) + 1, (opening.end(), len(text)), opening[2].lower()))
    starts = [block.start for block in blocks]
    spans = [span for span in _SPAN.finditer(text) if _block_at(blocks, starts, span.start()) is None]
    return blocks + [Block(span.start(), span.end(), (span.start() + 1, span.end() - 1), None) for span in spans]


def _block_at(blocks: list[Block], starts: list[int], place: int) -> Block | None:
    number = bisect_right(starts, place) - 1
    return blocks[number] if number >= 0 and place < blocks[number].end else None


def unfenced(text: str) -> str:
    """Return the text inside a fence that is around the whole text; other texts as they are, without outer space."""
    text = text.strip()
    if text[:3] not in ("```", "~~~"):
        return text
    fence = text[: len(text) - len(text.lstrip(text[0]))]
    inner = text.partition("\n")[2]
    inner = inner.rstrip().removesuffix(fence)
    return text if _FENCE.search(inner) else inner.strip()
