"""Sessions: the cookie of a browser, which proves a token without holding it, and the field that forms carry.

A cookie is `<name>.<nonce>.<proof>`. The proof is made with the hash of the token, so that the session ends when the
token is revoked, and outlives a restart of the server. Without tokens the name and the proof are empty, and forms
repeat the nonce alone.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping

COOKIE = "orchestrator_session"
FIELD = "csrf"


def new_session(name: str = "", token_hash: str = "") -> str:
    """Return the value of a new cookie.

    Args:
        name: The name of the token's holder; empty where there are no tokens.
        token_hash: The hash of the token; empty where there are no tokens.
    """
    nonce = secrets.token_hex(16)
    return f"{name}.{nonce}.{_proof(token_hash, nonce) if token_hash else ''}"


def holder(cookie: str, hashes: Mapping[str, str]) -> str | None:
    """Return the name of the token that a cookie was made with, or None if it proves none."""
    name, nonce, proof = _parts(cookie)
    known = hashes.get(name, "")
    is_proved = bool(known and nonce) and hmac.compare_digest(_proof(known, nonce), proof)
    return name if is_proved else None


def form_field(cookie: str) -> str:
    """Return the value that a form has to send along with this cookie. Other sites cannot read it."""
    return hashlib.sha256(f"form {_parts(cookie)[1]}".encode()).hexdigest()[:32]


def is_own_form(cookie: str, value: str) -> bool:
    """True if a form was made by this page for the browser that has this cookie."""
    return bool(_parts(cookie)[1]) and hmac.compare_digest(form_field(cookie), value)


def _parts(cookie: str) -> tuple[str, str, str]:
    parts = cookie.split(".")
    return (parts[0], parts[1], parts[2]) if len(parts) == 3 else ("", "", "")


def _proof(token_hash: str, nonce: str) -> str:
    return hmac.new(bytes.fromhex(token_hash), nonce.encode(), hashlib.sha256).hexdigest()
