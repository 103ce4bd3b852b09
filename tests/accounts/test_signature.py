"""A payment message is believed only with the right signature, at about its time."""

from __future__ import annotations

import hmac
from datetime import UTC, datetime, timedelta

import pytest

from puna.accounts.signature import check, sign
from puna.errors import PaymentError

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
BODY, SECRET = b'{"id": "evt_1"}', "whsec_test"


def test_the_scheme_is_stripes() -> None:
    """Worked out here a second time, from its description."""
    seconds = 1795521600
    digest = hmac.new(SECRET.encode(), b"1795521600." + BODY, "sha256").hexdigest()
    assert datetime.fromtimestamp(seconds, UTC) == NOW
    assert sign(BODY, SECRET, NOW) == f"t={seconds},v1={digest}"
    check(BODY, f"t={seconds}, v0=old, v1={'0' * 64}, v1={digest}", SECRET, NOW)


@pytest.mark.parametrize("late_s", [-300, 0, 300])
def test_five_minutes_either_way_are_tolerated(late_s: int) -> None:
    check(BODY, sign(BODY, SECRET, NOW), SECRET, NOW + timedelta(seconds=late_s))


@pytest.mark.parametrize("late_s", [-301, 301])
def test_more_is_a_replay(late_s: int) -> None:
    with pytest.raises(PaymentError, match="too old or from the future"):
        check(BODY, sign(BODY, SECRET, NOW), SECRET, NOW + timedelta(seconds=late_s))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("", "carries no time"),
        ("t=now,v1=0", "carries no time"),
        ("t=1,t=2,v1=0", "carries no time"),
        ("t=1795521600", "signature is wrong"),
        ("t=1795521600,v1=", "signature is wrong"),
        ("t=1795521600,v1=é", "signature is wrong"),
        (sign(BODY + b" ", SECRET, NOW), "signature is wrong"),
        (sign(BODY, "another secret", NOW), "signature is wrong"),
        (sign(BODY, SECRET, NOW).replace("v1", "v0"), "signature is wrong"),
    ],
)
def test_a_forged_one_is_refused(header: str, message: str) -> None:
    with pytest.raises(PaymentError, match=message) as refused:
        check(BODY, header, SECRET, NOW)
    assert SECRET not in str(refused.value)
