"""The schema: as the models say, upgraded once, whole or not at all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import event, inspect, text

from puna.accounts import Base, Plans, Store, migrations
from puna.accounts.store import engine_for
from puna.errors import StoreError


class Cut:
    """Breaks off at the n-th statement, as if the process had been killed there."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, *_: Any) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def tables(url: str) -> list[str]:
    engine = engine_for(url)
    with engine.connect() as connection:
        names = inspect(connection).get_table_names()
    engine.dispose()
    return names


def test_tables_are_as_the_models_say(store: Store) -> None:
    mappers = Base.registry.mappers  # services' tables may be there without their models
    own = [m for m in mappers if m.class_.__module__.startswith("puna.accounts")]
    known = {str(m.local_table) for m in own}

    def mine(_object: Any, name: str | None, kind: str, *_: Any) -> bool:
        return kind != "table" or name in known

    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": mine})
        assert compare_metadata(context, Base.metadata) == []


def test_an_upgrade_cut_at_any_statement_is_undone_and_done_anew(empty_url: str) -> None:
    statements, step = 0, 1 if empty_url.startswith("sqlite") else 9
    while True:
        statements += step
        engine = engine_for(empty_url)
        event.listen(engine, "before_cursor_execute", Cut(statements))
        try:
            migrations.upgrade(engine)
        except KeyboardInterrupt:
            assert tables(empty_url) == []
        else:
            break
        finally:
            engine.dispose()
    assert statements > 30
    store = Store.open(empty_url)
    assert [plan.id for plan in Plans(store).list()] == ["free", "owner"]
    store.close()


def test_starts_at_the_same_time_upgrade_once(empty_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(Store.open, [empty_url] * 4))
    for store in stores:
        assert len(Plans(store).list()) == 2
        store.close()


def test_a_newer_schema_is_refused_in_one_line(url: str) -> None:
    store = Store.open(url)
    with store.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()
    with pytest.raises(StoreError, match="written by a newer Puna; update Puna"):
        Store.open(url)
