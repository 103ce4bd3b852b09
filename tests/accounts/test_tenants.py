"""Tenants: named once, on one plan, with money in one currency."""

from __future__ import annotations

import pytest

from puna.accounts import Ledger, Plan, Plans, Price, Store, Tenants
from puna.errors import ConflictError, InvalidParameterError, NotFoundError


def test_the_owners_tenant_is_there_from_the_start(store: Store) -> None:
    owner = Tenants(store).get("owner")
    assert (owner.id, owner.plan_id, owner.disabled_at) == ("owner", "owner", None)


def test_a_tenant_is_found_by_name_and_id(store: Store) -> None:
    tenants = Tenants(store)
    made = tenants.create("acme")
    assert tenants.get("acme") == tenants.get(made.id) == made
    with pytest.raises(ConflictError, match="a tenant named 'acme' already"):
        tenants.create("acme")
    with pytest.raises(NotFoundError, match="no tenant 'bee'"):
        tenants.get("bee")
    with pytest.raises(NotFoundError, match="no plan 'gold'"):
        tenants.create("bee", "gold")


@pytest.mark.parametrize("name", ["", " acme", "a\nb", "x" * 201])
def test_a_name_is_one_line(store: Store, name: str) -> None:
    with pytest.raises(InvalidParameterError, match="one line"):
        Tenants(store).create(name)


def test_money_keeps_its_currency(store: Store) -> None:
    tenants, plans = Tenants(store), Plans(store)
    plans.create(Plan("euro", currency="EUR", prices={"*": Price(1, 1, 1)}))
    tenants.create("acme")
    tenants.set_plan("acme", "euro")  # nothing was paid yet: the balance turns to EUR
    assert Ledger(store).credit("acme", 1_000_000).currency == "EUR"
    plans.create(Plan("dollar", prices={"*": Price(1, 1, 1)}))
    with pytest.raises(ConflictError, match="credits are in EUR, the plan's prices in USD"):
        tenants.set_plan("acme", "dollar")
    with pytest.raises(ConflictError, match="in EUR, not USD"):
        Ledger(store).credit("acme", 1, currency="USD")
