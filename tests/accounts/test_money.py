"""Amounts of money are exact in both directions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.accounts.money import amount, parse_amount
from puna.errors import InvalidParameterError


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "0.00"),
        (12_500_000, "12.50"),
        (1, "0.000001"),
        (-3_500_000, "-3.50"),
        (10**12, "1,000,000.00"),
    ],
)
def test_an_amount_shows_all_its_digits(micros: int, text: str) -> None:
    assert amount(micros) == text


@given(st.integers(-(10**14), 10**14))
def test_what_is_shown_is_read_back(micros: int) -> None:
    assert parse_amount(amount(micros).replace(",", "")) == micros


@pytest.mark.parametrize("text", ["", "1e3", "12.3456789", "1,5", "$5", "nan", "--1", "1" * 20])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameterError, match=r"write it as 12\.50"):
        parse_amount(text)
