"""Whose a record is: every call of the assistant takes it, and nothing is found without it.

In: nothing.  Out: plain data, and the rule that another's record does not exist.
Knows no session and no key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import ForeignKey, Select, String
from sqlalchemy.orm import Mapped, Session, mapped_column

from puna.errors import NotFoundError
from puna.services.assistant.text import writable

Query = TypeVar("Query", bound=Select[*tuple[Any, ...]])


@dataclass(frozen=True)
class Owner:
    """A person of a tenant."""

    tenant_id: str
    user_id: str


class Owned:
    """The columns of a row that belongs to one person and goes when the person goes."""

    id: Mapped[str] = mapped_column(String(64), unique=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)


def own(query: Query, table: type[Owned], owner: Owner) -> Query:
    """Narrow a query to what the person owns."""
    return query.where(table.tenant_id == owner.tenant_id, table.user_id == owner.user_id)


def found(session: Session, query: Select[*tuple[Any, ...]], what: str, name: str) -> Any:
    """Return the one row; NotFoundError where there is none, or it is somebody else's."""
    row = session.scalar(query) if name == writable(name) else None
    if row is None:
        raise NotFoundError(f"there is no {what} {name!r}")
    return row
