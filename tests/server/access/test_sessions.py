"""The cookie of a browser proves a token until that is revoked, and forms repeat what only the page knows."""

import hashlib

from orchestrator.server.access.sessions import form_field, holder, is_own_form, new_session

HASHES = {"ada": hashlib.sha256(b"one").hexdigest(), "bob": hashlib.sha256(b"two").hexdigest()}


def test_a_session_names_the_holder_of_the_token() -> None:
    assert holder(new_session("ada", HASHES["ada"]), HASHES) == "ada"


def test_a_session_ends_with_its_token() -> None:
    session = new_session("ada", HASHES["ada"])
    assert holder(session, {"bob": HASHES["bob"]}) is None
    assert holder(session, {**HASHES, "ada": HASHES["bob"]}) is None


def test_a_session_cannot_be_made_without_the_token() -> None:
    _, nonce, proof = new_session("ada", HASHES["ada"]).split(".")
    forged = [f"bob.{nonce}.{proof}", f"ada.{'0' * 32}.{proof}", f"ada.{nonce}.", "ada..", "..", "", new_session()]
    assert [holder(cookie, HASHES) for cookie in forged] == [None] * len(forged)


def test_a_form_is_the_pages_own_for_the_browser_that_it_was_made_for() -> None:
    mine, other = new_session(), new_session()
    assert is_own_form(mine, form_field(mine))
    assert not is_own_form(other, form_field(mine))
    assert not is_own_form("", form_field(""))
