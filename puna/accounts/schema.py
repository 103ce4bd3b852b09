"""What every table shares: the declarative base, points in time, identifiers.

In: nothing.  Out: `Base`, on which accounts and services declare their tables; column types.
Does not know which database holds the tables.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Dialect, Integer, MetaData
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

Clock = Callable[[], datetime]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LETTERS = "abcdefghjkmnpqrstvwxyz0123456789"  # 32, without i, l, o and u
# Constraints have names, so that a migration can change them on every database.
NAMES = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}

# SQLite numbers rows by itself only where the column is an INTEGER; both hold 64 bits.
RowNumber = BigInteger().with_variant(Integer, "sqlite")


class Base(DeclarativeBase):
    """The tables of accounts and services; `migrations/` holds every version of them."""

    metadata = MetaData(naming_convention=NAMES)


class Moment(TypeDecorator[datetime]):
    """A point in time, kept as whole microseconds since 1970, always given back in UTC."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> int | None:
        """Return microseconds; a time without a zone is our mistake."""
        return None if value is None else microseconds(value)

    def process_result_value(self, value: Any | None, _dialect: Dialect) -> datetime | None:
        """Return the time in UTC."""
        return None if value is None else EPOCH + timedelta(microseconds=value)


def microseconds(moment: datetime) -> int:
    """Return whole microseconds since 1970."""
    assert moment.tzinfo is not None, "times carry a zone"
    return (moment - EPOCH) // timedelta(microseconds=1)


def utc_now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


def new_id(prefix: str) -> str:
    """Return a fresh identifier, such as `ten_k3v9...`: 80 random bits."""
    return f"{prefix}_{''.join(secrets.choice(LETTERS) for _ in range(16))}"
