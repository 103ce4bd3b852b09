"""Numbers and times in, words out, as a person says them.

Knows no page: rounding, units, "Today" and "resets 1 Dec".
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
MICRO = 1_000_000


def money(micro: int, currency: str) -> str:
    """Micro-units as an amount: 1250000 EUR as `1.25 EUR`."""
    return f"{micro / MICRO:,.2f} {currency}"


def count(n: float) -> str:
    """12345 as `12,345`."""
    return f"{n:,.0f}"


def tokens(n: int) -> str:
    """8192 as `8k`, 131072 as `131k`."""
    return f"{n // 1024}k" if n % 1024 == 0 and n >= 1024 else f"{n:,}"


def size(n_bytes: int) -> str:
    """Bytes in the unit that reads best."""
    value = float(n_bytes)
    for unit in ("bytes", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def mebibytes(n_bytes: int) -> str:
    """A limit as it was set: 33554432 as `32 MiB`."""
    return f"{n_bytes >> 20} MiB" if n_bytes >= 1 << 20 else f"{n_bytes} bytes"


def share(part: float) -> str:
    """0.823 as `82 %`; what is nearly nothing is not called nothing."""
    if 0 < part < 0.01:
        return "under 1 %"
    return f"{part * 100:.0f} %"


def day(when: datetime | date) -> str:
    """`3 Dec`."""
    return f"{when.day} {MONTHS[when.month - 1]}"


def moment(when: datetime | None) -> str:
    """`3 Dec 14:05`, in UTC."""
    if when is None:
        return "never"
    return f"{day(when)} {when:%H:%M}"


def age(when: datetime, now: datetime) -> str:
    """Under which heading a conversation stands, by the days of where the server is."""
    days = (now.astimezone().date() - when.astimezone().date()) // timedelta(days=1)
    for limit, name in (
        (0, "Today"),
        (1, "Yesterday"),
        (7, "The last week"),
        (30, "The last month"),
    ):
        if days <= limit:
            return name
    return "Earlier"


def sentence(text: str) -> str:
    """An error's words as a sentence: `no such key` as `No such key.`"""
    ended = text if text.endswith((".", "!", "?")) else f"{text}."
    return ended[:1].upper() + ended[1:]


def file_stem(title: str) -> str:
    """A title as the name of a file on any system: letters, digits, spaces, dots and dashes."""
    kept = "".join(c if c.isalnum() or c in " .-_" else " " for c in title)
    return " ".join(kept.split())[:80].strip(" .") or "conversation"


def greeting(name: str, hour: int) -> str:
    """A greeting that fits the hour."""
    part = "morning" if 4 <= hour < 12 else "afternoon" if 12 <= hour < 18 else "evening"
    return f"Good {part}, {name.split(maxsplit=1)[0]}" if name.strip() else f"Good {part}"
