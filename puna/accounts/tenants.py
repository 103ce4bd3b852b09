"""Tenants: who pays, and whose data stays apart from everyone else's.

In: a name and a plan.  Out: the tenant, with a meter and a balance.
Does not know people or keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ForeignKey, String, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from puna.accounts import audit
from puna.accounts.balance import BalanceRow
from puna.accounts.plans import PlanRow, find_row
from puna.accounts.rates import MeterRow
from puna.accounts.schema import Base, Clock, Moment, new_id, utc_now
from puna.accounts.store import Store
from puna.errors import ConflictError, ForbiddenError, InvalidParameterError, NotFoundError

OWNER_TENANT = "owner"  # there from the start, on the plan "owner"


@dataclass(frozen=True)
class Tenant:
    """A customer, a team, or this machine's owner."""

    id: str
    name: str
    plan_id: str
    created_at: datetime
    disabled_at: datetime | None = None


class TenantRow(Base):
    """One tenant."""

    __tablename__ = "tenants"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    plan_id: Mapped[str] = mapped_column(ForeignKey("plans.id"))
    created_at: Mapped[datetime] = mapped_column(Moment)
    disabled_at: Mapped[datetime | None] = mapped_column(Moment)

    def tenant(self) -> Tenant:
        """Return what the row says."""
        return Tenant(self.id, self.name, self.plan_id, self.created_at, self.disabled_at)


class Tenants:
    """The tenants of this installation."""

    def __init__(self, store: Store, clock: Clock = utc_now) -> None:
        self._store, self._clock = store, clock

    def create(self, name: str, plan_id: str = "free", *, actor: str = "system") -> Tenant:
        """Add a tenant; ConflictError if the name is taken."""
        _check_name(name)
        try:
            with self._store.write() as session:
                plan = find_row(session.get(PlanRow, plan_id), plan_id)
                row = TenantRow(
                    id=new_id("ten"), name=name, plan_id=plan_id, created_at=self._clock()
                )
                session.add(row)
                session.flush()
                session.add(MeterRow.empty(row.id))
                session.add(BalanceRow.empty(row.id, plan.currency))
                audit.note(session, self._clock(), actor, "tenant.create", row.id, name=name)
        except IntegrityError as error:
            raise ConflictError(f"there is a tenant named {name!r} already") from error
        return row.tenant()

    def get(self, tenant: str) -> Tenant:
        """Return a tenant by id or name; NotFoundError if there is none."""
        with self._store.read() as session:
            return find_tenant(session, tenant).tenant()

    def list(self) -> list[Tenant]:
        """Return all tenants, by name."""
        query = select(TenantRow).order_by(TenantRow.name)
        with self._store.read() as session:
            return [row.tenant() for row in session.scalars(query)]

    def set_plan(self, tenant: str, plan_id: str, *, actor: str = "system") -> Tenant:
        """Move a tenant to another plan of the same currency, from the next request on."""
        with self._store.write() as session:
            row = find_tenant(session, tenant)
            plan = find_row(session.get(PlanRow, plan_id), plan_id)
            check_currency(session, row.id, plan)
            row.plan_id = plan_id
            audit.note(session, self._clock(), actor, "tenant.plan", row.id, plan=plan_id)
        return row.tenant()

    def choose_plan(self, tenant: str, plan_id: str, *, actor: str) -> Tenant:
        """Move to a plan that is offered to everybody; ForbiddenError if it is not."""
        with self._store.write() as session:
            if not find_row(session.get(PlanRow, plan_id), plan_id).offered:
                raise ForbiddenError(f"the plan {plan_id!r} is given by the owner of this server")
            return self.set_plan(tenant, plan_id, actor=actor)

    def set_disabled(self, tenant: str, disabled: bool, *, actor: str = "system") -> Tenant:
        """Refuse the tenant's keys and people from now on, or take them back."""
        with self._store.write() as session:
            row = find_tenant(session, tenant)
            row.disabled_at = self._clock() if disabled else None
            action = "tenant.disable" if disabled else "tenant.enable"
            audit.note(session, self._clock(), actor, action, row.id)
        return row.tenant()


def find_tenant(session: Session, tenant: str) -> TenantRow:
    """Return the row of a tenant's id or name; NotFoundError if there is none."""
    row = session.get(TenantRow, tenant) or session.scalar(
        select(TenantRow).where(TenantRow.name == tenant)
    )
    if row is None:
        raise NotFoundError(f"there is no tenant {tenant!r}; `puna tenants` lists them")
    return row


def hold_tenant(session: Session, tenant_id: str) -> None:
    """Let whoever else holds this tenant wait for the end of the transaction."""
    row = select(TenantRow.id).where(TenantRow.id == tenant_id)
    session.execute(row.with_for_update(key_share=True))


def check_currency(session: Session, tenant_id: str, plan: PlanRow) -> None:
    """Let an unused balance take the plan's currency; ConflictError if it is used."""
    balance = session.get(BalanceRow, tenant_id, with_for_update=True)
    assert balance is not None, "a tenant has a balance from its creation on"
    if balance.currency == plan.currency or not plan.prices:
        return
    if balance.credited_micros or balance.spent_micros or balance.reserved_micros:
        raise ConflictError(
            f"the tenant's credits are in {balance.currency}, the plan's prices in {plan.currency}"
        )
    balance.currency = plan.currency


def _check_name(name: str) -> None:
    if not (name.strip() == name and 0 < len(name) <= 200 and name.isprintable()):
        raise InvalidParameterError(
            f"a tenant's name is one line of up to 200 characters: {name!r}"
        )
