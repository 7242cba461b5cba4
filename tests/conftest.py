"""What all tests share: no network but loopback, no tracing, strict deserialisation, a data folder of their own."""

import os

os.environ["LANGSMITH_TRACING"] = "false"
os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"
for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ORCHESTRATOR_MODEL"):
    os.environ.pop(name, None)

from pathlib import Path  # noqa: E402 - the environment has to be set before anything reads it

import pytest  # noqa: E402

from orchestrator.models.capabilities import KNOWN  # noqa: E402


@pytest.fixture(autouse=True)
def recall_by_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same recall and the same search whether the `semantic` extra is installed or not."""
    monkeypatch.setattr("orchestrator.memory.recall.has_embedder", lambda: False)
    monkeypatch.setattr("orchestrator_tools.documents.semantic_index.has_embedder", lambda: False)


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of a test reaches the user's data, cache or settings."""
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))


@pytest.fixture(autouse=True)
def own_lessons() -> None:
    """Nothing is known of an endpoint that had the same port in another test."""
    KNOWN.clear()


@pytest.fixture(autouse=True)
def own_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key of another test holds words back that begin as it does."""
    monkeypatch.setattr("orchestrator.redaction._known", set())


from hypothesis import settings  # noqa: E402

settings.register_profile("quiet", deadline=None, max_examples=60)  # a slow machine is not a broken property
settings.load_profile("quiet")
