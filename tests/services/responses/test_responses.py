"""Responses kept for a tenant, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from puna.accounts import Tenants
from puna.accounts.store import Store
from puna.accounts.tenants import OWNER_TENANT
from puna.errors import ConflictError, InvalidParameterError, NotFoundError
from puna.services.responses import Item, Kept, ResponseBounds, Responses
from puna.services.responses.responses import LONGEST_HISTORY, ResponseRow


def turn(name: str, previous: str | None = None, text: str = "hello") -> Kept:
    asked: list[Item] = [{"id": f"msg_{name}", "text": text}]
    said = [{"id": f"msg_{name}_said"}]
    return Kept(asked, {"id": name, "previous_response_id": previous, "output": said})


def test_turns_are_kept_followed_back_and_deleted_for_good(store: Store) -> None:
    responses = Responses(store)
    for name, previous in (("a", None), ("b", "a"), ("c", "b")):
        responses.keep(OWNER_TENANT, turn(name, previous))
    ids = [item["id"] for item in responses.history(OWNER_TENANT, "c")]
    assert ids == ["msg_a", "msg_a_said", "msg_b", "msg_b_said", "msg_c", "msg_c_said"]
    responses.delete(OWNER_TENANT, "a")
    for gone in (responses.get, responses.delete, responses.history):
        with pytest.raises(NotFoundError):
            gone(OWNER_TENANT, "a")
    with pytest.raises(NotFoundError):
        responses.history(OWNER_TENANT, "c")
    assert responses.get(OWNER_TENANT, "c").items == turn("c").items
    with store.read() as session:
        assert session.scalar(select(func.count()).select_from(ResponseRow)) == 2


def test_more_than_memory_should_hold_is_not_built_upon(store: Store) -> None:
    responses, half = Responses(store), "x" * (LONGEST_HISTORY // 2)
    responses.keep(OWNER_TENANT, turn("a", text=half))
    responses.keep(OWNER_TENANT, turn("b", "a", half))
    assert len(responses.history(OWNER_TENANT, "a")) == 2
    with pytest.raises(InvalidParameterError, match="begin anew"):
        responses.history(OWNER_TENANT, "b")
    assert responses.get(OWNER_TENANT, "b").id == "b"


def test_another_tenants_turns_do_not_exist(store: Store) -> None:
    other = Tenants(store).create("Others").id
    responses = Responses(store)
    responses.keep(OWNER_TENANT, turn("a"))
    for ask in (responses.get, responses.delete, responses.history):
        with pytest.raises(NotFoundError):
            ask(other, "a")
    responses.keep(other, turn("b", "a"))
    with pytest.raises(NotFoundError):
        responses.history(other, "b")
    assert responses.get(OWNER_TENANT, "a").id == "a"


def test_every_text_comes_back_as_it_was(store: Store) -> None:
    text = "Grüße \U0001f999 \x00 \ud800 'quoted'"
    Responses(store).keep(OWNER_TENANT, turn("a", text=text))
    assert Responses(store).get(OWNER_TENANT, "a").items[0]["text"] == text


def test_a_turn_that_has_not_ended_is_finished_once(store: Store) -> None:
    responses = Responses(store)
    responses.keep(OWNER_TENANT, replace(turn("a"), ended=False))
    begun = responses.get(OWNER_TENANT, "a")
    assert (begun.ended, begun.response) == (False, turn("a").response)
    with pytest.raises(ConflictError, match="has not ended"):
        responses.history(OWNER_TENANT, "a")
    said = {**turn("a").response, "output": []}
    responses.finish(OWNER_TENANT, Kept([], said))
    ended = responses.get(OWNER_TENANT, "a")
    assert (ended.ended, ended.response, ended.items) == (True, said, turn("a").items)


def test_a_deleted_turn_is_not_finished(store: Store) -> None:
    responses = Responses(store)
    responses.keep(OWNER_TENANT, replace(turn("a"), ended=False))
    responses.delete(OWNER_TENANT, "a")
    responses.finish(OWNER_TENANT, turn("a"))
    with pytest.raises(NotFoundError):
        responses.get(OWNER_TENANT, "a")


def test_a_turn_whose_maker_has_let_it_go_is_lost(store: Store) -> None:
    responses = Responses(store)
    responses.keep(OWNER_TENANT, replace(turn("a"), ended=False))
    assert responses.get(OWNER_TENANT, "a").lost  # this process knows of none that it makes
    with store.write() as session:
        machine, process, started = str(session.scalars(select(ResponseRow)).one().holder).split(
            ":"
        )
        earlier = f"{machine}:{process}:{int(started) - 1}"
    for holder, lost in ((earlier, True), ("elsewhere:1:1", False)):
        with store.write() as session:
            session.execute(update(ResponseRow).values(holder=holder))
        assert responses.get(OWNER_TENANT, "a").lost is lost


def test_the_table_is_as_the_model_says(store: Store) -> None:
    with store.read() as session:
        columns = session.connection().exec_driver_sql("SELECT * FROM responses").keys()
    assert set(columns) == {column.name for column in ResponseRow.__table__.columns}


def clock_of(moments: list[datetime]) -> Callable[[], datetime]:
    """The moment that stands there now."""
    return lambda: moments[0]


def test_a_turn_is_kept_for_its_days(store: Store) -> None:
    now = [datetime(2026, 3, 2, tzinfo=UTC)]
    responses = Responses(store, clock_of(now), ResponseBounds(days=30))
    responses.keep(OWNER_TENANT, turn("a"))
    now[0] += timedelta(days=29)
    responses.keep(OWNER_TENANT, turn("b", "a"))
    assert (responses.forget_old(), responses.get(OWNER_TENANT, "a").id) == (0, "a")
    now[0] += timedelta(days=1)
    for ask in (responses.get, responses.delete, responses.history):
        with pytest.raises(NotFoundError, match="30 days"):
            ask(OWNER_TENANT, "a")
    with pytest.raises(NotFoundError):
        responses.history(OWNER_TENANT, "b")
    assert (responses.forget_old(), responses.forget_old()) == (1, 0)
    assert responses.get(OWNER_TENANT, "b").id == "b"


def test_a_tenants_oldest_turns_make_room(store: Store) -> None:
    other = Tenants(store).create("Others").id
    responses = Responses(store, bounds=ResponseBounds(n_bytes=10_000))
    responses.keep(other, turn("theirs", text="x" * 3_000))
    responses.keep(OWNER_TENANT, replace(turn("made", text="x" * 3_000), ended=False))
    for number in range(20):
        responses.keep(OWNER_TENANT, turn(f"t{number}", text="x" * 3_000))
        with store.read() as session:
            kept = select(func.sum(ResponseRow.n_bytes)).where(
                ResponseRow.tenant_id == OWNER_TENANT
            )
            assert int(session.scalar(kept) or 0) <= 10_000
    assert responses.get(OWNER_TENANT, "t19").id == "t19"
    assert responses.get(OWNER_TENANT, "made").ended is False
    assert responses.get(other, "theirs").id == "theirs"
    for gone in ("t0", "t17"):
        with pytest.raises(NotFoundError):
            responses.get(OWNER_TENANT, gone)


def test_how_a_turn_ends_is_counted_too(store: Store) -> None:
    responses = Responses(store, bounds=ResponseBounds(n_bytes=10_000))
    responses.keep(OWNER_TENANT, turn("old", text="x" * 4_000))
    responses.keep(OWNER_TENANT, replace(turn("a"), ended=False))
    said = {**turn("a").response, "output": [{"text": "y" * 8_000}]}
    responses.finish(OWNER_TENANT, Kept([], said))
    assert responses.get(OWNER_TENANT, "a").response == said
    with pytest.raises(NotFoundError):
        responses.get(OWNER_TENANT, "old")


def test_one_turn_that_is_too_large_by_itself_is_kept_alone(store: Store) -> None:
    responses = Responses(store, bounds=ResponseBounds(n_bytes=1_000))
    responses.keep(OWNER_TENANT, turn("a"))
    responses.keep(OWNER_TENANT, turn("b", text="x" * 3_000))
    assert responses.get(OWNER_TENANT, "b").id == "b"
    with pytest.raises(NotFoundError):
        responses.get(OWNER_TENANT, "a")


def test_a_deleted_turn_leaves_no_byte(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/puna.db")
    responses = Responses(store)
    responses.keep(OWNER_TENANT, turn("a", text="rhinoceros " * 2_000))
    assert b"rhinoceros" in (tmp_path / "puna.db").read_bytes()
    responses.delete(OWNER_TENANT, "a")
    store.close()
    assert b"rhinoceros" not in (tmp_path / "puna.db").read_bytes()
