"""A full server refuses whoever fills it, and still lets in who has hardly anything there."""

from __future__ import annotations

import pytest

from puna.errors import OverloadError, ShutdownError
from puna.server.gate import Gate


def test_one_tenant_gets_all_places_and_not_one_more() -> None:
    gate = Gate(8)
    for _ in range(8):
        gate.enter("crowd")
    with pytest.raises(OverloadError) as refused:
        gate.enter("crowd")
    assert refused.value.retry_after_s > 0
    gate.leave("crowd")
    gate.enter("crowd")
    assert gate.inside == 8


def test_another_finds_room_up_to_an_even_share() -> None:
    gate = Gate(8)
    for _ in range(8):
        gate.enter("crowd")
    gate.enter("late")
    gate.enter("late")
    for tenant in ("late", "crowd", "third"):  # the places kept are two
        with pytest.raises(OverloadError):
            gate.enter(tenant)
    assert gate.inside == gate.places == 10
    gate.leave("late")
    with pytest.raises(OverloadError):
        gate.enter("crowd")  # it has more than its share
    gate.enter("third")


def test_a_closed_gate_lets_nobody_in() -> None:
    gate = Gate(8)
    gate.close()
    with pytest.raises(ShutdownError):
        gate.enter("anybody")
