"""Money as people write it: whole micro-units to decimal text and back, exactly.

In: micro-units, or text such as "12.50".  Out: the other one.  No float, no rounding.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from puna.errors import InvalidParameterError

MICROS = 1_000_000
AMOUNT = re.compile(r"(-?)([0-9]{1,9})(?:\.([0-9]{1,6}))?", re.ASCII)


def amount(micros: int, places: int = 2) -> str:
    """Return "12.50": all digits that are there, at least so many after the point."""
    whole, part = divmod(abs(micros), MICROS)
    decimals = f"{part:06d}".rstrip("0").ljust(places, "0")
    return f"{'-' if micros < 0 else ''}{whole:,}.{decimals}"


def places(amounts: Iterable[int]) -> int:
    """Return how many digits after the point the amounts need, to stand under each other."""
    return max((len(amount(micros).partition(".")[2]) for micros in amounts), default=2)


def parse_amount(text: str) -> int:
    """Return micro-units; up to six digits after the point."""
    match = AMOUNT.fullmatch(text.strip())
    if match is None:
        raise InvalidParameterError(f"{text!r} is no amount of money; write it as 12.50")
    sign, whole, part = match.groups()
    micros = int(whole) * MICROS + int((part or "").ljust(6, "0"))
    return -micros if sign else micros
