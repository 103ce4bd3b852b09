"""Numbers, times, titles and errors in the words of the page."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from puna.server.web import words


@pytest.fixture
def lima(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server that stands five hours behind Greenwich."""
    monkeypatch.setenv("TZ", "<-05>5")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("lima")
def test_a_day_ends_at_midnight_where_the_server_is() -> None:
    last_night, morning = (datetime(2026, 1, 2, hour, tzinfo=UTC) for hour in (3, 12))
    assert words.age(last_night, morning) == "Yesterday"
    assert words.age(last_night, last_night) == "Today"
    assert words.age(datetime(2025, 1, 2, tzinfo=UTC), morning) == "Earlier"


@pytest.mark.parametrize(
    ("title", "stem"),
    [
        ("Packing list for Cusco", "Packing list for Cusco"),
        ('../../etc/passwd\0 "x"', "etc passwd x"),
        ("¿Dónde está el cóndor?", "Dónde está el cóndor"),
        ("🦙", "conversation"),
        ("w" * 300, "w" * 80),
    ],
)
def test_a_title_names_a_file_on_any_system(title: str, stem: str) -> None:
    assert words.file_stem(title) == stem


def test_an_error_is_said_as_a_sentence() -> None:
    assert words.sentence("no such key") == "No such key."
    assert words.sentence("Is it running?") == "Is it running?"
    assert words.sentence("'x y' is no name") == "'x y' is no name."
