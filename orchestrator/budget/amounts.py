"""Amounts as people write them: 500k, 1.5M, 500,000, $5, none."""

import re

_UNITS = {"": 1, "k": 1_000, "m": 1_000_000}
_AMOUNT = re.compile(r"\$?\s*(\d{1,3}(?:[,_ ]\d{3})+|\d+)(\.\d+)?\s*(k|m)?(?:\s*(?:tokens?|calls?|usd|\$))?", re.I)
# A comma between thousands has no blank behind it, and a lone m is a million.
_BETWEEN = re.compile(r"\s*(?:,\s|;|\band\b|\n)\s*", re.I)
_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(s|sec|seconds?|min|minutes?|h|hours?)", re.I)
_SECONDS = {"s": 1, "m": 60, "h": 3600}
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


def limits_of(text: str) -> dict[str, float | None]:
    """Return the limits that a person wrote in one line, by their names in `Budget`; none for an empty line.

    Args:
        text: Amounts, as in `500k`, `$5`, `500k and $5`, `10 min`, `40 calls` or `none`.

    Raises:
        ValueError: A part is no amount, is 0, or is said twice. The text says what to write.
    """
    limits: dict[str, float | None] = {}
    for part in filter(None, (part.strip() for part in _BETWEEN.split(text.strip()))):
        name, value = _limit(part)
        if name in limits:
            raise ValueError(f"'{part}' limits what another amount limits already: write one of them")
        if value is not None and value <= 0:
            raise ValueError(f"'{part}' leaves nothing: write an amount over 0, or none for no limit")
        limits[name] = value
    return limits


def _limit(part: str) -> tuple[str, float | None]:
    if (time := _TIME.fullmatch(part)) is not None:
        return "wall_clock_s", float(time[1]) * _SECONDS[time[2][0].lower()]
    try:
        if is_money(part):
            return "cost_usd", amount(part)
        return "model_calls" if part.lower().endswith(("call", "calls")) else "tokens", whole_amount(part)
    except ValueError as error:
        raise ValueError(f"'{part}': {error}") from None
