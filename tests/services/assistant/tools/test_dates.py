from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from puna.errors import ToolError
from puna.services.assistant.citations import Sources
from puna.services.assistant.owner import Owner
from puna.services.assistant.tools.dates import Dates
from puna.services.assistant.tools.tool import Asking

ASKING = Asking(Owner("t", "u"), "m", Sources())
NOW = datetime(2028, 1, 31, 22, 30, tzinfo=UTC)


def told(**arguments: Any) -> str:
    call = Dates(lambda: NOW).call(ASKING, arguments)
    try:
        call.send(None)
    except StopIteration as done:
        return str(done.value)
    raise AssertionError("a date is told at once")


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (
            {"time_zone": "Asia/Tokyo"},
            "It is Tuesday, 1 February 2028 (2028-02-01), 07:30 (JST, UTC+0900).",
        ),
        ({"date": "2028-01-31", "add_months": 1}, "Tuesday, 29 February 2028 (2028-02-29)."),
        ({"date": "2028-02-29", "add_years": 1}, "Wednesday, 28 February 2029 (2029-02-28)."),
        ({"date": "2026-11-24", "add_days": -30}, "Sunday, 25 October 2026 (2026-10-25)."),
        ({"date": "2026-11-24"}, "Tuesday, 24 November 2026 (2026-11-24)."),
        ({"add_days": 1, "time_zone": "UTC"}, "Tuesday, 1 February 2028 (2028-02-01)."),
        (
            {"date": "2024-02-28", "until": "2024-03-01"},
            "From Wednesday, 28 February 2024 (2024-02-28) to Friday, 1 March 2024 (2024-03-01) "
            "it is 2 days.",
        ),
    ],
)
def test_dates(arguments: dict[str, Any], answer: str) -> None:
    assert told(**arguments) == answer


@pytest.mark.parametrize(
    "arguments",
    [
        {"date": "soon"},
        {"until": "2024-13-01"},
        {"time_zone": "../../etc/passwd"},
        {"time_zone": "Mars/Olympus"},
        {"add_days": "3"},
        {"add_years": 10_000},
        {"add_days": 10**9},
    ],
)
def test_what_is_no_date_is_told_so(arguments: dict[str, Any]) -> None:
    with pytest.raises(ToolError):
        told(**arguments)
