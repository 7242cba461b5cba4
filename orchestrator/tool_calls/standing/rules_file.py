"""RulesFile: a TOML file of rules, to which standing rules are added and from which they are taken.

Everything else in the file stays as it is, comments too. A change is checked before it counts: read again, the file has
to hold the rules from before, and nothing but the change besides.
"""

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import filelock

from orchestrator.control_characters import visible
from orchestrator.errors import ConfigError
from orchestrator.text import normal_text
from orchestrator.tool_calls.policy import Policy, Rule

_HEADER = re.compile(r"\s*\[\[\s*rule\s*\]\]")
_ANY_HEADER = re.compile(r"\s*\[")
_MARK = "# Always allowed"
_PATIENCE_S = 5.0


class RulesFile:
    """The standing rules in a file.

    Args:
        path: The file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()  # of a link, the file itself is written anew

    def policy(self) -> Policy:
        """Return the policy in the file; an empty one if there is no file.

        Raises:
            ConfigError: The file is wrong.
        """
        return Policy.load(self.path) if self.path.exists() else Policy()

    def standing(self) -> list[tuple[int, Rule]]:
        """Return the standing rules, each with its place among all rules of the file.

        Raises:
            ConfigError: The file is wrong.
        """
        return [(place, rule) for place, rule in enumerate(self.policy().rules) if rule.standing]

    def add(self, rule: Rule, by: str) -> None:
        """Add a standing rule at the end.

        Args:
            rule: The rule.
            by: The name of the user who wants it.

        Raises:
            ConfigError: The file is wrong, or cannot be written.
        """
        with self._changing() as text:
            before = self.policy().rules
            if rule in before:
                return
            gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
            self._write(f"{text}{gap}{rule_text(rule, by)}", (*before, rule))

    def remove(self, place: int, rule: Rule) -> None:
        """Take a standing rule out.

        Args:
            place: Its place among all rules of the file.
            rule: The rule that stands there.

        Raises:
            ConfigError: Another rule stands there, or the file cannot be written.
        """
        with self._changing() as text:
            rules = self.policy().rules
            # Somebody may have edited the file since it was shown.
            if place >= len(rules) or rules[place] != rule or not rule.standing:
                raise ConfigError(f"the rules in {self.path} have changed meanwhile: look at them again")
            self._write(_without_block(text, place), (*rules[:place], *rules[place + 1 :]))

    @contextlib.contextmanager
    def _changing(self) -> Iterator[str]:
        """Give the text of the file, which no other process changes inside the block."""
        # Not beside the file: a project's folder is not littered with locks.
        name = f"orchestrator-rules-{os.getuid() if hasattr(os, 'getuid') else 0}.lock"
        try:
            with filelock.FileLock(Path(tempfile.gettempdir()) / name, timeout=_PATIENCE_S):
                yield self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        except filelock.Timeout:
            raise ConfigError(f"another process changes {self.path}: try again") from None
        except (OSError, UnicodeError) as error:
            raise ConfigError(f"cannot change {self.path}: {getattr(error, 'strerror', None) or error}") from error

    def _write(self, text: str, rules: tuple[Rule, ...]) -> None:
        """Replace the file at once, if the text holds these rules.

        Raises:
            ConfigError: It holds others.
        """
        # The new file is complete before it takes the old one's place: a run may read it at any moment.
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=".rules-")
        with contextlib.ExitStack() as undo:
            undo.callback(Path(name).unlink, missing_ok=True)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            if self.path.exists():
                os.chmod(name, self.path.stat().st_mode & 0o777)
            if not _holds(Path(name), rules):
                raise ConfigError(f"{self.path} is written in a way that cannot be changed here: change it by hand")
            Path(name).replace(self.path)


def _holds(path: Path, rules: tuple[Rule, ...]) -> bool:
    try:
        return Policy.load(path).rules == rules
    except ConfigError:
        return False


def _without_block(text: str, place: int) -> str:
    """Return the text without the rule at a place, and without the comment that tells who wanted it."""
    lines = text.splitlines(keepends=True)
    headers = [number for number, line in enumerate(lines) if _HEADER.match(line)]
    if place >= len(headers):
        return text
    first = headers[place]
    after = (number for number in range(first + 1, len(lines)) if _ANY_HEADER.match(lines[number]))
    last = next(after, len(lines))
    # What stands right above the next rule belongs to that one.
    while last > first + 1 and (lines[last - 1].startswith("#") or not lines[last - 1].strip()):
        last -= 1
    if first and lines[first - 1].startswith(_MARK):
        first -= 1
    while first and last < len(lines) and not lines[first - 1].strip() and not lines[last].strip():
        last += 1
    return "".join([*lines[:first], *lines[last:]])


def rule_text(rule: Rule, by: str) -> str:
    """Return a rule as it is written into a file.

    Args:
        rule: The rule.
        by: The name of the user who wants it.
    """
    who = f" by {visible(normal_text(by))}" if by.strip() else ""
    lines = [f"{_MARK}{who}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC. Take it out to be asked again.", "[[rule]]"]
    fields = rule.model_dump(mode="json", exclude_defaults=True)
    return "\n".join([*lines, *(f"{name} = {_toml(value)}" for name, value in fields.items())]) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_toml(name)} = {_toml(part)}" for name, part in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return _quoted(str(value)) if isinstance(value, str) else str(value)


def _quoted(text: str) -> str:
    """Return a text as a basic string of TOML."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    # TOML takes control characters as escapes only. Bidi marks would make a line read as another one.
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08X}" for c in escaped) + '"'
