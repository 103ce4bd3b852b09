"""Transactions are whole, durable, and refuse what they should."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from puna.accounts import Ledger, Plan, Plans, Store, Tenants
from puna.accounts.tenants import TenantRow
from puna.errors import ConflictError, StoreError


def test_a_write_is_kept_when_it_ends_well(url: str) -> None:
    store = Store.open(url)
    Tenants(store).create("acme")
    store.close()
    again = Store.open(url)
    assert Tenants(again).get("acme").name == "acme"
    again.close()


def test_a_write_that_fails_leaves_nothing(store: Store) -> None:

    def half() -> None:
        with store.write():
            Tenants(store).create("acme")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert [tenant.name for tenant in Tenants(store).list()] == ["owner"]


def test_a_step_within_a_write_sees_what_came_before_and_joins_it(store: Store) -> None:
    with store.write():
        Plans(store).create(Plan("pro"))
        assert Tenants(store).create("acme", "pro").plan_id == Plans(store).get("pro").id
    assert Tenants(store).get("acme").plan_id == "pro"


def test_a_step_whose_error_is_caught_is_undone_alone(store: Store) -> None:
    Tenants(store).create("acme")
    with store.write():
        Tenants(store).create("bee")
        with pytest.raises(ConflictError):
            Tenants(store).create("acme")
        Tenants(store).create("cee")
    assert [tenant.name for tenant in Tenants(store).list()] == ["acme", "bee", "cee", "owner"]


def test_a_read_cannot_write(store: Store) -> None:
    with pytest.raises(StoreError, match=r"read-?only"), store.read() as session:
        session.execute(text("DELETE FROM balances"))


def test_threads_write_one_after_another(store: Store) -> None:
    tenants = Tenants(store)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(tenants.create, map(str, range(64))))
    assert len(tenants.list()) == 65


@pytest.mark.parametrize("table", ["entries", "audit"])
@pytest.mark.parametrize("change", ["UPDATE {} SET number = 9", "DELETE FROM {}"])
def test_the_database_itself_keeps_entries_as_they_are(
    store: Store, table: str, change: str
) -> None:
    Ledger(store).credit("owner", 5)
    with pytest.raises((StoreError, DBAPIError), match="only grow"), store.write() as session:
        session.execute(text(change.format(table)))
    assert Ledger(store).balance("owner").credited_micros == 5


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://root@localhost/puna", "SQLite or PostgreSQL, not mysql"),
        ("puna.db", "address cannot be read"),
        ("sqlite://", "accounts need a file"),
        ("postgresql://puna:hidden@127.0.0.1:1/puna", "cannot be opened"),
    ],
)
def test_an_address_that_leads_nowhere_is_one_clear_line(url: str, message: str) -> None:
    with pytest.raises(StoreError, match=message) as caught:
        Store.open(url)
    assert "\n" not in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_the_file_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep/puna.db"
    path.parent.mkdir(mode=0o755)
    path.touch(mode=0o644)
    Store.open(f"sqlite:///{path}").close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_tenants_row_needs_its_plan(store: Store) -> None:
    row = TenantRow(id="x", name="x", plan_id="none", created_at=Tenants(store)._clock())
    with pytest.raises(DBAPIError, match=r"(?i)foreign key"), store.write() as session:
        session.add(row)
