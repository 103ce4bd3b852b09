"""Both databases, two people, and a clock that only goes when it is told to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from puna.accounts.store import Store
from puna.accounts.tenants import OWNER_TENANT
from puna.accounts.users import UserRow
from puna.services.assistant.archive import Archive
from puna.services.assistant.conversations import Conversation
from puna.services.assistant.owner import Owner
from puna.services.assistant.saved import conversations_in
from tests.sqlite import new_url


class Clock:
    """A second passes whenever somebody looks."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Store]:
    """SQLite alone, for what has nothing to do with the database."""
    opened = Store.open(new_url(tmp_path))
    yield opened
    opened.close()


@pytest.fixture
def url(store: Store) -> str:
    """Where another process finds it."""
    return store.engine.url.render_as_string(hide_password=False)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def person(store: Store, name: str) -> Owner:
    """Add a person without the slow hash of a password."""
    row = UserRow(
        id=f"usr_{name}",
        tenant_id=OWNER_TENANT,
        email=f"{name}@example.org",
        name=name,
        role="member",
        password_hash="none",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        failed_attempts=0,
    )
    with store.write() as session:
        session.add(row)
    return Owner(OWNER_TENANT, row.id)


def brought(store: Store, owner: Owner, document: object) -> Conversation:
    """Bring one conversation in, as the page does."""
    talks = conversations_in(json.dumps(document).encode())
    return Archive(store).bring(owner, talks)[0]
