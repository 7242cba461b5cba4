"""Read-only access to one folder, which no path can leave.

Every path that a model names goes through `Folder`. A name is refused if it is absolute, climbs with `..`, or follows a
symbolic link to outside. Hidden files are refused too: secrets and repositories begin with a dot (`.env`, `.git`).
"""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from langchain_core.tools import ToolException

from orchestrator_tools.answers import decode, instead


@dataclass(frozen=True)
class FileFact:
    """A file as the folder saw it. If the file has changed since, its new fact differs.

    Args:
        name: Path inside the folder, with `/` on every system.
        size: Size in bytes.
        modified_ns: Time of the last change, in nanoseconds.
    """

    name: str
    size: int
    modified_ns: int


@dataclass
class Survey:
    """The files of a folder, and what was passed over.

    Args:
        files: The files by name.
        passed: Names of what was passed over, by the reason in words that follow a number. A name that tells nothing
            is empty.
    """

    files: dict[str, FileFact] = field(default_factory=dict)
    passed: dict[str, list[str]] = field(default_factory=dict)

    def pass_over(self, reason: str, name: str = "") -> None:
        """Note that a file was passed over."""
        self.passed.setdefault(reason, []).append(name)


class Folder:
    """Read-only access to the files below one directory.

    The constructor touches no disk, so that a graph can be built inside an event loop.

    Args:
        path: The directory. It need not exist before it is used.
        max_file_bytes: Larger files are refused.
        max_files: The listing of the folder ends after this many files.
    """

    def __init__(self, path: str | Path, *, max_file_bytes: int = 2_000_000, max_files: int = 5_000) -> None:
        self.path = Path(path)
        self.max_file_bytes = max_file_bytes
        self.max_files = max_files

    def problem(self) -> str | None:
        """Return the reason why the folder cannot be used, in words, or None if it can."""
        try:
            if not self.path.exists():
                return f"the folder '{self.path}' does not exist"
            if not self.path.is_dir():
                return f"'{self.path}' is a file, not a folder"
            os.scandir(self.path).close()
        except OSError as error:
            return f"the folder '{self.path}' cannot be read ({error.strerror})"
        return None

    def files(self) -> Iterator[FileFact]:
        """Yield the regular files below the folder, by name, without hidden ones and links to outside.

        Raises:
            ToolException: The folder cannot be used.
        """
        yield from self.survey().files.values()

    def survey(self, reason_against: Callable[[str], str] = lambda name: "") -> Survey:
        """Return the regular files below the folder, and all that is passed over.

        Args:
            reason_against: Returns the reason to pass a file over by its name, in words that follow a number; empty
                for one that counts.

        Raises:
            ToolException: The folder cannot be used.
        """
        if problem := self.problem():
            raise ToolException(f"error: {problem}; nothing can be read until a person corrects this")
        root = self.path.resolve()
        survey = Survey()

        def closed(error: OSError) -> None:
            survey.pass_over("folders that cannot be opened", _shown(root, Path(error.filename or "")))

        for directory, folders, names in os.walk(root, onerror=closed):  # links to directories are not followed
            for name in sorted(folders):
                if name.startswith("."):
                    survey.pass_over("hidden folders", _shown(root, Path(directory, name)))
                elif Path(directory, name).is_symlink():
                    survey.pass_over("links to folders", _shown(root, Path(directory, name)))
            # `os.walk` goes into the folders that are left here.
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                self._look_at(survey, root, Path(directory, name), reason_against)
        return survey

    def _look_at(self, survey: Survey, root: Path, path: Path, reason_against: Callable[[str], str]) -> None:
        shown = _shown(root, path)
        # A model could not name a file whose name has a line break or a broken encoding.
        reason = "hidden files" if path.name.startswith(".") else ""
        reason = reason or ("" if path.name.isprintable() else "files whose names cannot be written")
        if reason := reason or reason_against(path.name):
            survey.pass_over(reason, shown)
            return
        fact = self._fact(root, path)
        if fact is None:
            kind = "links that lead out of the folder or nowhere" if path.is_symlink() else "pipes, sockets or devices"
            survey.pass_over(kind, shown)
        # Counted to the end: a bound that nobody is told of would look like an empty folder.
        elif len(survey.files) >= self.max_files:
            survey.pass_over(f"files beyond the first {self.max_files:,}", shown)
        else:
            survey.files[fact.name] = fact

    def read(self, name: str) -> str:
        """Return the text of a file.

        Args:
            name: Path inside the folder.

        Raises:
            ToolException: There is no such file, it lies outside, or it is no text file.
        """
        path = self._inside(name)
        try:
            # O_NOFOLLOW: the path is resolved, so a link here was put there since. O_NONBLOCK: opening a pipe would
            # wait for its writer for ever.
            flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
            with os.fdopen(os.open(path, flags), "rb") as file:
                facts = os.fstat(file.fileno())
                if not stat.S_ISREG(facts.st_mode):
                    raise ToolException(f"error: '{name}' is not a file; give the name of a file")
                raw = file.read(self.max_file_bytes + 1)
        except OSError as error:
            raise ToolException(f"error: '{name}' cannot be read ({error.strerror}); use another file") from error
        if len(raw) > self.max_file_bytes:
            raise ToolException(
                f"error: '{name}' is larger than the limit of {self.max_file_bytes:,} bytes; use another file"
            )
        text = decode(raw)
        if text is None:
            raise ToolException(f"error: '{name}' is not a text file; use another file")
        return text

    def _inside(self, name: str) -> Path:
        """Return the resolved path of a file that may be read."""
        # Windows separates folders by a backslash. So `..\secret.txt` is refused on every system.
        asked = name.strip().replace("\\", "/")
        parts = PurePosixPath(asked).parts
        name = name[:200]  # only the messages use it from here on
        refused = f"error: '{name}' is outside the folder; use a name as listed, without '/' in front or '..'"
        if not parts or not asked.isprintable():  # a zero byte, or half of a surrogate pair
            raise ToolException("error: no file was named; give the name of a file as it was listed")
        # A colon in front is a drive of Windows: `c:a.txt` leads out without any slash.
        if asked.startswith("/") or ".." in parts or Path(asked).is_absolute() or ":" in parts[0]:
            raise ToolException(refused)
        if any(part.startswith(".") for part in parts):
            raise ToolException(f"error: '{name}' is hidden and may not be read; use a name as it was listed")
        if problem := self.problem():
            raise ToolException(f"error: {problem}; nothing can be read until a person corrects this")
        try:
            root = self.path.resolve()
            path = (root / asked).resolve()
            if not path.is_relative_to(root):
                raise ToolException(refused)
            # Asked again for the resolved path: a link with a plain name may lead to `.env`.
            if any(part.startswith(".") for part in path.relative_to(root).parts):
                raise ToolException(f"error: '{name}' is hidden and may not be read; use a name as it was listed")
            if path.is_dir():
                raise ToolException(f"error: '{name}' is a folder; give the name of a file in it")
            if not path.exists():
                raise ToolException(f"error: there is no file '{name}'; {self._instead(asked)}")
        except (OSError, RuntimeError) as error:  # a name that is too long, or a circle of links
            raise ToolException(f"error: '{name[:100]}' cannot be read; use a name as it was listed") from error
        return path

    def _instead(self, asked: str) -> str:
        return instead(asked, [fact.name for fact in self.files()])

    def _fact(self, root: Path, path: Path) -> FileFact | None:
        try:
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                return None
            status = path.stat()
        except (OSError, RuntimeError):  # a file that has just vanished, or a link that leads nowhere
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        return FileFact(path.relative_to(root).as_posix(), status.st_size, status.st_mtime_ns)


def _shown(root: Path, path: Path) -> str:
    """Return a path inside the folder for a message, also one that is no UTF-8 or has signs that cannot be shown."""
    try:
        name = path.relative_to(root).as_posix()
    except ValueError:
        name = path.name
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(sign if sign.isprintable() else "?" for sign in text)[:200]
