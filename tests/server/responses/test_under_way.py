"""Ended responses of the background stay to be followed; a tenant's own make room for its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from puna.server.responses.under_way import MOST, MOST_OF_TENANT, UnderWay


@dataclass(frozen=True)
class Named:
    """As much of a turn as is looked at."""

    tenant_id: str
    key: tuple[str, str]


def turn(tenant_id: str, name: str) -> Any:
    return Named(tenant_id, (tenant_id, name))


def kept(under_way: UnderWay, tenant_id: str, names: range) -> list[int]:
    return [n for n in names if under_way.recorded(tenant_id, str(n)) is not None]


def test_a_tenant_that_makes_many_drops_its_own() -> None:
    under_way = UnderWay()
    under_way.record(turn("quiet", "0"))
    for number in range(10 * MOST_OF_TENANT):
        under_way.record(turn("busy", str(number)))
    assert kept(under_way, "quiet", range(1)) == [0]
    every = range(10 * MOST_OF_TENANT)
    assert kept(under_way, "busy", every) == list(every[-MOST_OF_TENANT:])


def test_where_all_have_many_whoever_has_most_makes_room() -> None:
    under_way = UnderWay()
    under_way.record(turn("quiet", "0"))
    tenants = [f"t{n}" for n in range(MOST // MOST_OF_TENANT + 3)]
    for tenant in tenants:
        for number in range(MOST_OF_TENANT):
            under_way.record(turn(tenant, str(number)))
    held = [len(kept(under_way, tenant, range(MOST_OF_TENANT))) for tenant in tenants]
    assert sum(held) + 1 == MOST
    assert max(held) - min(held) <= MOST_OF_TENANT // 4
    assert kept(under_way, "quiet", range(1)) == [0]


def test_what_is_being_made_is_not_dropped() -> None:
    under_way = UnderWay()
    making, job = turn("a", "made"), turn("a", "its job")
    with under_way.noting(making, job):
        under_way.record(making)
        for number in range(MOST_OF_TENANT + 5):
            under_way.record(turn("a", str(number)))
        assert under_way.recorded("a", "made") is not None
