"""Room for what is kept: how much somebody keeps, and which of the oldest go beyond a bound.

In: a session, a table whose rows know their size.  Out: bytes, or the rows that make room.
Does not know what the rows are, nor whether they are deleted or emptied.
"""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

Name = TypeVar("Name")
AT_A_TIME = 100  # rows read from the database: the first few suffice


def total(session: Session, n_bytes: InstrumentedAttribute[int], whose: ColumnElement[bool]) -> int:
    """Return the bytes of somebody's rows together."""
    return int(session.scalar(select(func.coalesce(func.sum(n_bytes), 0)).where(whose)) or 0)


def making_room(session: Session, oldest_first: Select[Name, int], excess: int) -> list[Name]:
    """Return the names of the first rows (name, bytes) that free `excess` bytes or more."""
    names: list[Name] = []
    if excess <= 0:
        return names
    with session.execute(oldest_first.execution_options(yield_per=AT_A_TIME)) as rows:
        for name, n_bytes in rows:
            names.append(name)
            excess -= n_bytes
            if excess <= 0:
                break
    return names
