"""Tokens: who may use a page that others can reach. Only hashes are kept."""

import contextlib
import hashlib
import hmac
import json
import os
import re
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path

from orchestrator.errors import ConfigError

_BYTES = 32
_NAME = re.compile(r"[A-Za-z0-9_-]{1,60}")


class Tokens:
    """The tokens of a page, by the names of those who hold them.

    Args:
        path: The file that keeps the hashes; None to keep none.
        given: Further tokens by name, which no file keeps.
    """

    def __init__(self, path: Path | None = None, given: Mapping[str, str] | None = None) -> None:
        self._path = path
        self._given = {name: _hash(token) for name, token in (given or {}).items()}

    def hashes(self) -> dict[str, str]:
        """Return the hash of each token by name.

        Raises:
            ConfigError: The file cannot be read.
        """
        # Read anew at each request: a token that is revoked in another process is refused at once.
        return {**self._stored(), **self._given}

    def new(self, name: str) -> str:
        """Return a new token, and keep its hash under this name in place of an older one.

        Raises:
            ConfigError: The name cannot be used, or the file cannot be written.
        """
        if not _NAME.fullmatch(name):  # it stands in a cookie
            raise ConfigError(f"a token is named by 1 to 60 letters, digits, '-' and '_', not {name!r}")
        token = secrets.token_urlsafe(_BYTES)
        self._write({**self._stored(), name: _hash(token)})
        return token

    def revoke(self, name: str) -> None:
        """Forget a token; its sessions end too.

        Raises:
            ConfigError: There is none of that name.
        """
        stored = self._stored()
        if stored.pop(name, None) is None:
            raise ConfigError(f"there is no token '{name}': {', '.join(stored) or 'there are none'}")
        self._write(stored)

    def holder(self, token: str) -> str | None:
        """Return the name of whoever holds a token, or None if it is none of these."""
        wanted = _hash(token)
        # All are compared, so that the time tells nothing.
        found = [name for name, known in self.hashes().items() if hmac.compare_digest(known, wanted)]
        return found[0] if found else None

    def _stored(self) -> dict[str, str]:
        if self._path is None or not self._path.exists():
            return {}
        try:
            stored = json.loads(self._path.read_text("utf-8"))
            return {str(name): str(known) for name, known in stored.items()}
        except (OSError, ValueError, AttributeError) as error:
            raise ConfigError(f"the tokens in {self._path} cannot be read: {error}") from error

    def _write(self, stored: Mapping[str, str]) -> None:
        assert self._path is not None, "tokens without a file are given, not made"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # The new file is complete before it takes the old one's place, and nobody else may read it.
            descriptor, name = tempfile.mkstemp(dir=self._path.parent, prefix=".tokens-")
            with contextlib.ExitStack() as undo:
                undo.callback(Path(name).unlink, missing_ok=True)
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    json.dump(dict(stored), file, indent=2)
                Path(name).replace(self._path)
        except OSError as error:
            raise ConfigError(f"the tokens cannot be written to {self._path}: {error}") from error


def _hash(token: str) -> str:
    # A token has 256 random bits, so that a slow hash would protect nothing more.
    return hashlib.sha256(token.encode()).hexdigest()
