"""Dates: today, the time in a place, a date some days on, the days between two dates.

In: what is asked, in ISO dates and IANA time zones.  Out: text.  Knows the clock that it is given.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from puna.chat import Tool as Definition
from puna.errors import ToolError
from puna.services.assistant.tools.tool import Asking

MOST = 100_000  # days, months or years in one step


class Dates:
    """Answers about dates and times."""

    label = "Date and time"
    definition = Definition(
        "date",
        "Tell the date and time now, a date some days, months or years from another, its weekday, "
        "or how many days lie between two dates. Without a date it starts from today.",
        {
            "type": "object",
            "properties": {
                "date": {"type": "string", "description": "YYYY-MM-DD; today if left out"},
                "add_days": {"type": "integer", "description": "may be negative"},
                "add_months": {"type": "integer"},
                "add_years": {"type": "integer"},
                "until": {"type": "string", "description": "YYYY-MM-DD: count the days to it"},
                "time_zone": {"type": "string", "description": "such as Europe/Berlin"},
            },
        },
    )

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock

    async def call(self, _asking: Asking, arguments: Mapping[str, Any]) -> str:
        """Return one or two sentences."""
        now = self._clock().astimezone(_zone(arguments.get("time_zone")))
        start = _day(arguments["date"]) if arguments.get("date") else now.date()
        if arguments.get("until"):
            return _between(start, _day(arguments["until"]))
        moved = _moved(start, arguments)
        if moved != start or arguments.get("date"):
            return f"{_shown(moved)}."
        return f"It is {_shown(now.date())}, {now:%H:%M} ({now.tzname()}, UTC{now:%z})."


def _zone(name: Any) -> Any:
    if not name:
        return None  # this machine's
    try:
        return ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ToolError(
            f"there is no time zone {name!r}; write one such as Europe/Berlin"
        ) from None


def _day(text: Any) -> date:
    try:
        return date.fromisoformat(str(text)[:10])
    except ValueError:
        raise ToolError(f"{text!r} is no date; write YYYY-MM-DD") from None


def _moved(start: date, arguments: Mapping[str, Any]) -> date:
    months = _step(arguments, "add_months") + 12 * _step(arguments, "add_years")
    try:
        year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
        last = calendar.monthrange(year, month + 1)[1]
        moved = date(year, month + 1, min(start.day, last))
        return moved + timedelta(days=_step(arguments, "add_days"))
    except (ValueError, OverflowError):
        raise ToolError("dates go from year 1 to 9999") from None


def _step(arguments: Mapping[str, Any], name: str) -> int:
    value = arguments.get(name) or 0
    if not isinstance(value, int) or abs(value) > MOST:
        raise ToolError(f"{name!r} must be a whole number up to {MOST:,}")
    return value


def _between(start: date, end: date) -> str:
    days = (end - start).days
    return f"From {_shown(start)} to {_shown(end)} it is {days:,} {'day' if days == 1 else 'days'}."


def _shown(day: date) -> str:
    """Return it in English, whatever the machine's language."""
    weekday, month = calendar.day_name[day.weekday()], calendar.month_name[day.month]
    return f"{weekday}, {day.day} {month} {day.year} ({day.isoformat()})"
