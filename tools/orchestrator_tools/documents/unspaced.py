"""Scripts that put no space between words: Chinese, Japanese, Thai and others, found by full text all the same.

FTS5 takes a run of such signs for one word, which no query names. A mark between all signs makes each sign a word of
its own, and a query a row of them. Korean has spaces, but its words carry endings, so it is read in the same way.
"""

import re
from typing import Final

MARK: Final = "\u200b"  # the zero width space; FTS5 separates words there, and no text loses anything by its absence

_SCRIPTS: Final = (
    r"\u0e00-\u0eff"  # Thai and Lao
    r"\u1000-\u109f"  # Myanmar
    r"\u1100-\u11ff\u3130-\u318f\uac00-\ud7ff"  # Hangul
    r"\u1780-\u17ff"  # Khmer
    r"\u3040-\u30ff\u31f0-\u31ff"  # Hiragana and Katakana
    r"\u2e80-\u2fdf\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Han
    r"\U00020000-\U0003ffff"
)
_SIGN: Final = re.compile(f"[{_SCRIPTS}]")
_RUN: Final = re.compile(f"[{_SCRIPTS}]+")
# Vowels and tones of Thai and others are marks above or below a letter, and are no words.
_BETWEEN: Final = re.compile(f"(?<=[{_SCRIPTS}])(?=[{_SCRIPTS}])")


def spaced(text: str) -> str:
    """Return a text for the index, with a mark between all signs of such scripts."""
    text = text.replace(MARK, "")
    return _RUN.sub(lambda run: f"{MARK}{_BETWEEN.sub(MARK, run[0])}{MARK}", text) if _SIGN.search(text) else text


def shown(text: str) -> str:
    """Return a text of the index as it was written."""
    return text.replace(MARK, "")


def pieces(word: str) -> list[str]:
    """Return the parts of a word of a query that are looked for: pairs of such signs, and what stands between them.

    A question in these scripts is one long word. Its pairs are most of its words and parts of all others.
    """
    # Latin letters and figures between such signs are a word of their own, as in "X200的".
    found: list[str] = []
    last = 0
    for run in _RUN.finditer(word):
        found += [word[last : run.start()], *_pairs(run[0])]
        last = run.end()
    return [piece for piece in [*found, word[last:]] if piece]


def word_count(text: str) -> int:
    """Return about how many words a text has. A word of such a script has about two signs."""
    return len(text.split()) + len(_SIGN.findall(text)) // 2


def _pairs(run: str) -> list[str]:
    return [run[at : at + 2] for at in range(len(run) - 1)] or [run]
