"""Tokens are kept as hashes, hold until they are revoked, and are refused in one sentence where they are not sound."""

import os
from pathlib import Path

import pytest

from orchestrator.errors import ConfigError
from orchestrator.server.access.tokens import Tokens


def test_a_token_is_known_by_its_holder_and_only_its_hash_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "tokens.json"
    token = Tokens(path).new("ada")
    assert Tokens(path).holder(token) == "ada"
    assert token not in path.read_text()
    assert os.stat(path).st_mode & 0o077 == 0


def test_a_new_token_of_a_name_ends_the_old_one(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path / "tokens.json")
    old, new = tokens.new("ada"), tokens.new("ada")
    assert (tokens.holder(old), tokens.holder(new)) == (None, "ada")


def test_a_revoked_token_is_refused_at_once_also_elsewhere(tmp_path: Path) -> None:
    here, elsewhere = Tokens(tmp_path / "tokens.json"), Tokens(tmp_path / "tokens.json")
    token = here.new("ada")
    elsewhere.revoke("ada")
    assert here.holder(token) is None
    with pytest.raises(ConfigError, match="no token 'ada'"):
        here.revoke("ada")


def test_a_given_token_needs_no_file() -> None:
    tokens = Tokens(None, {"environment": "secret"})
    assert tokens.holder("secret") == "environment"
    assert tokens.holder("") is None


@pytest.mark.parametrize("name", ["", " ", "a.b", "a;b", "a" * 61, "ä"])
def test_a_name_that_no_cookie_can_hold_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="a token is named by"):
        Tokens(tmp_path / "tokens.json").new(name)


@pytest.mark.parametrize("text", ["{", "[]", "3"])
def test_a_damaged_file_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tokens.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"tokens\.json cannot be read"):
        Tokens(path).hashes()
