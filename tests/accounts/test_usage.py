"""Usage is the ledger's own sums, by any columns, also as CSV."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import date

import pytest

from puna.accounts.usage import COLUMNS, UsageReport, Used, as_csv
from puna.chat import Usage
from tests.accounts.world import World


@pytest.fixture
def world(world: World) -> World:
    """Two keys, two models, two days: five requests."""
    world.ledger.credit("acme", 10**9)
    other = world.keys.verify(world.keys.create("phone", "acme").secret)
    for caller, model in [(world.caller, "a"), (world.caller, "b"), (other, "a")]:
        use(world, caller, model)
    world.clock.move(86_400)
    for model in ("a", "a"):
        use(world, other, model)
    return world


def use(world: World, caller: object, model: str) -> None:
    admission = world.ledger.admit(caller, model, Usage(100, 10))  # type: ignore[arg-type]
    world.ledger.settle(admission, Usage(100, 10, 40), "success")


def one(requests: int, **names: str) -> Used:
    """What so many of these requests sum up to."""
    sums = [n * requests for n in (100, 40, 10)]
    texts = {column: names.get(column, "") for column in COLUMNS}
    return Used(**texts, requests=requests, prompt_tokens=sums[0], cached_tokens=sums[1],
                completion_tokens=sums[2], cost_micros=110 * requests, currency="USD")  # fmt: skip


def test_by_everything(world: World) -> None:
    first, second = "2026-11-24", "2026-11-25"
    assert UsageReport(world.store).rows() == [
        one(1, day=first, tenant="acme", key="laptop", model="a"),
        one(1, day=first, tenant="acme", key="laptop", model="b"),
        one(1, day=first, tenant="acme", key="phone", model="a"),
        one(2, day=second, tenant="acme", key="phone", model="a"),
    ]


def test_by_some_columns_and_days(world: World) -> None:
    report = UsageReport(world.store)
    assert report.rows(by=["model"]) == [one(4, model="a"), one(1, model="b")]
    assert report.rows(by=[]) == [one(5)]
    assert report.rows(by=["day"], since=date(2026, 11, 25)) == [one(2, day="2026-11-25")]
    assert report.rows(by=["day"], until=date(2026, 11, 24)) == [one(3, day="2026-11-24")]
    assert report.rows(by=[], key_id=world.key.key.id) == [one(2)]


def test_one_tenant_does_not_see_another(world: World) -> None:
    bee = world.tenants.create("bee", "paid")
    assert UsageReport(world.store).rows(tenant_id=bee.id) == []


def test_a_persons_own_use_is_under_their_id(world: World) -> None:
    person = replace(world.caller, key_id=None, user_id="usr_ada")
    use(world, person, "a")
    keys = {row.key for row in UsageReport(world.store).rows(by=["key"])}
    assert keys == {"laptop", "phone", "usr_ada"}


def test_csv_is_read_back_as_it_was(world: World) -> None:
    rows = UsageReport(world.store).rows()
    read = list(csv.DictReader(io.StringIO(as_csv(rows))))
    assert len(read) == 4
    assert read[3] == {
        "day": "2026-11-25",
        "tenant": "acme",
        "key": "phone",
        "model": "a",
        "requests": "2",
        "prompt_tokens": "200",
        "cached_tokens": "80",
        "completion_tokens": "20",
        "cost": "0.00022",
        "currency": "USD",
    }


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", "\tx", "\nx", "\uff1d1"])
def test_a_name_cannot_become_a_formula(world: World, name: str) -> None:
    use(world, world.caller, name)
    assert any(
        row["model"] == f"'{name}"
        for row in csv.DictReader(io.StringIO(as_csv(UsageReport(world.store).rows())))
    )
