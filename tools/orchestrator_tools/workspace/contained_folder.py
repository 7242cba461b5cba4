"""A folder that is read and written and never left, even while another process swaps its folders for links.

Invariants: the system never gets a whole path. Between a check of the path and its use, another process could put a
link into its middle. Each component is opened below the one before by its file descriptor, and no link is followed.
This needs POSIX; on other systems the folder refuses to work.

A hard link to a file outside cannot be told from the file. So files with more than one name are not read, and writing
replaces a file instead of changing it. One gap is left: a folder that is moved out of the workspace during a write
takes the new file along.
"""

import hashlib
import os
import secrets
import stat
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from langchain_core.tools import ToolException

from orchestrator_tools.answers import instead
from orchestrator_tools.private_folder import make_private_folder

_LONGEST_NAME: Final = 1_000
_LONGEST_PART: Final = 200
_DEEPEST: Final = 10
_LOCK_SECONDS: Final = 10.0
# Windows has none of these.
_POSSIBLE: Final = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW") and hasattr(os, "fwalk")


@dataclass(frozen=True)
class Artifact:
    """A file in a workspace.

    Args:
        name: Path inside the workspace.
        bytes: Size.
        sha256: Fingerprint of the content, in hex digits.
    """

    name: str
    bytes: int
    sha256: str

    def line(self) -> str:
        """Return the artifact in one line, for a tool's result."""
        return f"[artifact: {self.name}, {self.bytes} bytes, sha256 {self.sha256[:12]}]"


@dataclass(frozen=True)
class Limits:
    """Upper bounds of a workspace.

    Args:
        max_file_bytes: Bytes of one file, read or written.
        max_files: Files and folders together.
        max_total_bytes: Bytes of all files together.
    """

    max_file_bytes: int = 2_000_000
    max_files: int = 1_000
    max_total_bytes: int = 50_000_000


def parts_of(name: str) -> tuple[str, ...]:
    """Return the components of a name that a model gave.

    Args:
        name: Path inside the workspace.

    Raises:
        ToolException: The name is absolute, hidden, climbs, or cannot be shown or stored on every system.
    """
    asked = unicodedata.normalize("NFC", name.strip())  # macOS stores an accent apart from its letter
    shown = "".join(sign if sign.isprintable() else "?" for sign in asked[:100])
    if not asked:
        raise ToolException("error: no file was named; give a name such as notes/report.md")
    if asked.startswith(("/", "~")) or "\\" in asked or ":" in asked:
        raise ToolException(f"error: '{shown}' is no name inside the workspace; use one like notes/report.md")
    parts = tuple(part for part in asked.split("/") if part not in ("", "."))
    if ".." in parts:
        raise ToolException(f"error: '{shown}' leads out of the workspace; use a name without '..'")
    # Some systems normalise names: signs that look like a dot or a slash become one.
    plain = [unicodedata.normalize("NFKC", part) for part in parts]
    if any(part.startswith(".") or "/" in part or "\\" in part for part in plain):
        raise ToolException(f"error: '{shown}' is a hidden name; use one without a dot in front")
    if not all(part.isprintable() and part == part.strip() for part in parts):  # U+202E shows letters in reverse
        raise ToolException(f"error: '{shown}' has signs that a name may not have; use letters, digits, '-' and '_'")
    too_long = len(asked.encode()) > _LONGEST_NAME or any(len(part.encode()) > _LONGEST_PART for part in parts)
    if too_long or len(parts) > _DEEPEST:
        raise ToolException(f"error: the name '{shown}…' is too long or too deep; use a shorter one")
    if not parts or asked.endswith("/"):
        raise ToolException(f"error: '{shown}' names a folder; give the name of a file in it")
    return parts


class ContainedFolder:
    """Reading and writing below one directory.

    Args:
        path: The directory; created for its owner alone if it is missing.
        limits: Upper bounds of its content.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path = path
        self.limits = limits

    def names(self) -> dict[str, int]:
        """Return the sizes of the files that can be read, by name."""
        with self._root() as root:
            return {name: size for name, size, _ in _walk(root)}

    def artifacts(self) -> list[Artifact]:
        """Return the files with their fingerprints, by name, without those that vanish or are swapped meanwhile."""
        listed: list[Artifact] = []
        with self._root() as root:
            for name, _, _ in _walk(root):
                with suppress(OSError, ToolException), _file(root, tuple(name.split("/")), name) as opened:
                    digest, size = hashlib.sha256(), 0
                    while piece := os.read(opened, 1 << 20):
                        digest.update(piece)
                        size += len(piece)
                    listed.append(Artifact(name, size, digest.hexdigest()))
        return listed

    def read(self, name: str) -> bytes:
        """Return a file's content.

        Args:
            name: Path inside the folder.

        Raises:
            ToolException: There is no such file, or the file may not be read.
        """
        parts = parts_of(name)
        with self._root() as root:
            return self._content(root, parts)

    def write(self, name: str, content: bytes) -> Artifact:
        """Write a whole file in one step, instead of any file of that name; no reader sees half of it.

        Args:
            name: Path inside the folder. Missing folders are created.
            content: The whole content.

        Raises:
            ToolException: The name or the size is refused, or the disk cannot be written.
        """
        parts = parts_of(name)
        with self._root() as root, _exclusive(root):
            return self._put(root, parts, content)

    def replace(self, name: str, old: str, new: str) -> Artifact:
        """Replace a piece of a text that occurs exactly once. Other writers wait meanwhile.

        Args:
            name: Path inside the folder.
            old: The piece.
            new: The text that replaces it.

        Raises:
            ToolException: The piece does not occur exactly once, or the file cannot be read or written.
        """
        parts = parts_of(name)
        with self._root() as root, _exclusive(root):
            try:
                text = self._content(root, parts).decode("utf-8")
            except UnicodeDecodeError as error:
                raise ToolException(f"error: '{name}' is no text in UTF-8; write it anew with write_file") from error
            if old not in text and "\r\n" in text:  # a model is shown lines without their carriage returns
                old, new = old.replace("\n", "\r\n"), new.replace("\n", "\r\n")
            at = text.find(old) if old else -1
            if at < 0:
                raise ToolException(
                    f"error: that text does not occur in '{name}'; read it with read_file and copy the text exactly"
                )
            if text.find(old, at + 1) >= 0:
                raise ToolException(f"error: that text occurs more than once in '{name}'; give more of what is around")
            return self._put(root, parts, encoded(text[:at] + new + text[at + len(old) :]))

    @contextmanager
    def _root(self) -> Iterator[int]:
        if not _POSSIBLE:
            raise ToolException("error: this system has no safe way to keep a workspace; answer without files")
        try:
            make_private_folder(self.path)
            root = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError as error:
            raise ToolException(
                f"error: the workspace cannot be used ({error.strerror}); answer without files"
            ) from error
        try:
            yield root
        finally:
            os.close(root)

    def _content(self, root: int, parts: tuple[str, ...]) -> bytes:
        name = "/".join(parts)
        try:
            with _file(root, parts, name) as opened:
                most = self.limits.max_file_bytes
                content = bytearray()
                while len(content) <= most and (piece := os.read(opened, most + 1 - len(content))):
                    content += piece
        except FileNotFoundError:
            known = [other for other, _, _ in _walk(root)]
            raise ToolException(f"error: there is no file '{name}'; {instead(name, known)}") from None
        except OSError as error:
            raise ToolException(f"error: '{name}' cannot be read ({error.strerror}); use another file") from error
        if len(content) > most:
            raise ToolException(f"error: '{name}' is larger than the limit of {most:,} bytes; use another file")
        return bytes(content)

    def _put(self, root: int, parts: tuple[str, ...], content: bytes) -> Artifact:
        name = "/".join(parts)
        self._check_room(root, parts, len(content))
        try:
            with _folder(root, parts[:-1], make=True) as parent:
                _check_target(parent, parts[-1], name)
                _store(parent, parts[-1], content)
        except OSError as error:
            raise ToolException(
                f"error: '{name}' cannot be written ({error.strerror}); what was there before is unchanged"
            ) from error
        return Artifact(name, len(content), hashlib.sha256(content).hexdigest())

    def _check_room(self, root: int, parts: tuple[str, ...], size: int) -> None:
        if size > self.limits.max_file_bytes:
            raise ToolException(
                f"error: the file would be larger than the limit of {self.limits.max_file_bytes:,} bytes; write less, "
                "or several files"
            )
        known = {entry: (length, is_folder) for entry, length, is_folder in _walk(root, everything=True)}
        name = "/".join(parts)
        new = sum("/".join(parts[: depth + 1]) not in known for depth in range(len(parts)))
        if new and len(known) + new > self.limits.max_files:
            raise ToolException(
                f"error: the workspace is full ({len(known)} of {self.limits.max_files} files); write to a file that "
                "is there already"
            )
        total = sum(length for length, _ in known.values()) - known.get(name, (0, False))[0] + size
        if total > self.limits.max_total_bytes:
            raise ToolException(
                f"error: the workspace is full (limit {self.limits.max_total_bytes:,} bytes); write less, or shorten "
                "a file that is there already"
            )


def encoded(text: str) -> bytes:
    """Return a model's text as bytes.

    Args:
        text: The text.

    Raises:
        ToolException: The text contains half of a surrogate pair, which UTF-8 cannot encode.
    """
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ToolException("error: the text has a broken character in it; write it without") from error


@contextmanager
def _folder(root: int, parts: tuple[str, ...], *, make: bool = False) -> Iterator[int]:
    """Open a folder below the root step by step, without following a link."""
    here = os.dup(root)
    try:
        for part in parts:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, 0o700, dir_fd=here)
            # A folder that was swapped for a link since is an error here.
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here = below
        yield here
    finally:
        os.close(here)


@contextmanager
def _file(root: int, parts: tuple[str, ...], name: str) -> Iterator[int]:
    """Open a regular file below the root for reading."""
    with _folder(root, parts[:-1]) as parent:
        # O_NONBLOCK: opening a pipe for reading would wait for its writer for ever.
        opened = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
    try:
        facts = os.fstat(opened)
        if stat.S_ISDIR(facts.st_mode):
            raise ToolException(f"error: '{name}' is a folder; give the name of a file in it")
        if not stat.S_ISREG(facts.st_mode):
            raise ToolException(f"error: '{name}' is not a file; use another")
        if facts.st_nlink > 1:  # a hard link to a file outside looks like it
            raise ToolException(f"error: '{name}' has several names and may lie outside; use another file")
        yield opened
    finally:
        os.close(opened)


def _check_target(parent: int, part: str, name: str) -> None:
    """Refuse to replace anything but a file. A link put there after the check is replaced itself, not followed."""
    try:
        facts = os.stat(part, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(facts.st_mode):
        raise ToolException(f"error: '{name}' is a folder; choose another name")
    if not stat.S_ISREG(facts.st_mode):
        raise ToolException(f"error: '{name}' is a link or a device; choose another name")


def _store(parent: int, part: str, content: bytes) -> None:
    """Write to a new file and then rename it, so that an error leaves the old file."""
    passing = f".{secrets.token_hex(8)}.part"  # hidden, so no list shows it
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    opened = os.open(passing, flags, 0o600, dir_fd=parent)
    try:
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(opened, rest) :]
            os.fsync(opened)  # else the name may stand for an empty file after a power cut
        finally:
            os.close(opened)
        os.rename(passing, part, src_dir_fd=parent, dst_dir_fd=parent)
    except BaseException:
        with suppress(OSError):
            os.unlink(passing, dir_fd=parent)
        raise


@contextmanager
def _exclusive(root: int) -> Iterator[None]:
    """Wait to be the only writer among all threads and processes. The lock of a crashed process ends with it."""
    import fcntl

    end = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(root, fcntl.LOCK_EX | fcntl.LOCK_NB)  # flock has no time limit of its own
            break
        except OSError as error:
            if time.monotonic() > end or not isinstance(error, BlockingIOError):
                raise ToolException(
                    "error: somebody else has been writing in the workspace for too long; try again later"
                ) from error
            time.sleep(0.02)
    try:
        yield
    finally:
        fcntl.flock(root, fcntl.LOCK_UN)


def _walk(root: int, *, everything: bool = False) -> Iterator[tuple[str, int, bool]]:
    """Yield name, size and `is_folder` of the entries below the root, in order, without following links.

    Args:
        root: The folder.
        everything: True for all entries, to count them; False for the files that can be read.
    """
    for folder_path, folders, files, here in os.fwalk(".", dir_fd=root, follow_symlinks=False):
        above = "" if folder_path == "." else folder_path.removeprefix("./") + "/"
        if above.count("/") >= _DEEPEST and folders:  # each level costs an open file
            if everything:
                raise ToolException("error: the workspace has folders that are nested too deeply to write to it")
            folders.clear()
        if everything:
            yield from ((above + folder, 0, True) for folder in folders)
        else:
            folders[:] = sorted(folder for folder in folders if _is_shown(folder))
        for file in sorted(files):
            try:
                facts = os.stat(file, dir_fd=here, follow_symlinks=False)
            except FileNotFoundError:  # deleted meanwhile
                continue
            readable = stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1 and _is_shown(file)
            if everything or readable:
                yield above + file, facts.st_size, False


def _is_shown(part: str) -> bool:
    return part.isprintable() and not part.startswith(".")
