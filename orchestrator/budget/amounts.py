"""Amounts as people write them: 500k, 1.5M, 500,000, $5, none."""

import re

_UNITS = {"": 1, "k": 1_000, "m": 1_000_000}
_AMOUNT = re.compile(r"\$?\s*(\d{1,3}(?:[,_ ]\d{3})+|\d+)(\.\d+)?\s*(k|m)?(?:\s*(?:tokens?|calls?|usd|\$))?", re.I)
_NONE = ("none", "null", "unlimited", "no limit")


def amount(text: str) -> float | None:
    """Return an amount; None for no limit.

    Args:
        text: A number, also with `k` or `M`, with commas between thousands or a dollar sign, or `none`.

    Raises:
        ValueError: It is no amount. The text says what to write.
    """
    text = text.strip()
    if text.lower() in _NONE:
        return None
    if text[:1] in ("+", "-") and _AMOUNT.fullmatch(text[1:].strip()):
        raise ValueError("this is a change: write the whole new limit, as in 700000")
    found = _AMOUNT.fullmatch(text)
    if found is None:
        raise ValueError("this is no amount: write a number, as in 500000, 500k or 1.5M, or none for no limit")
    return float(re.sub(r"[,_ ]", "", found[1]) + (found[2] or "")) * _UNITS[(found[3] or "").lower()]


def whole_amount(text: str) -> int | None:
    """Return an amount of things that are counted; None for no limit.

    Raises:
        ValueError: It is no amount, or dollars.
    """
    if is_money(text):
        raise ValueError("this is an amount of money: limit it with cost_usd")
    number = amount(text)
    if number is not None and not number.is_integer():
        raise ValueError("this is no whole number")
    return None if number is None else int(number)


def is_money(text: str) -> bool:
    """True if an amount is one of dollars."""
    return "$" in text or "usd" in text.lower()
