"""The ledger: a request is admitted, reserved, and settled once to what the engine counted.

In: a caller, a model, an estimate; later the usage.  Out: admissions, charges, standings.
Does not know HTTP or models.  Every step is one durable transaction; nothing waits in memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from puna.accounts import audit, balance, entries, holder, rates
from puna.accounts.balance import Balance, BalanceRow
from puna.accounts.caller import Caller
from puna.accounts.entries import OUTCOMES, Charge, EntryRow, Outcome
from puna.accounts.rates import Rates
from puna.accounts.reservations import ReservationRow
from puna.accounts.schema import Clock, new_id, utc_now
from puna.accounts.store import Store
from puna.accounts.tenants import find_tenant, hold_tenant
from puna.chat import Usage
from puna.errors import ConflictError, CreditError, InvalidParameterError

LEASE_S = 60.0  # renew well within it: a lease that ran out is settled as a crash
MOST_TOKENS = 2**40


@dataclass(frozen=True)
class Standing:
    """What is left, for the answer's headers; the balance matters where the plan has prices."""

    rates: Rates
    balance: Balance
    prepaid: bool


@dataclass(frozen=True)
class Admission:
    """A request that may run; `standing` is what is left after it."""

    id: str
    tenant_id: str
    model: str
    reserved_micros: int
    reserved_tokens: int
    standing: Standing


class Ledger:
    """Admits and settles.  Any number of processes may do so on one database."""

    def __init__(self, store: Store, clock: Clock = utc_now) -> None:
        self._store, self._clock = store, clock
        self._holder = holder.this_process()

    def admit(
        self, caller: Caller, model: str, estimate: Usage, claim: str | None = None
    ) -> Admission:
        """Reserve what the request may take at most; `estimate` is an upper bound.

        A `claim` names a request that may be begun anew: all that is charged under it is no more
        than what one of them took.
        Raises RateLimitError, QuotaError or CreditError, and ForbiddenError for a model that
        the plan does not offer; then nothing is counted.
        """
        caller.plan.check_model(model)
        _check_usage(estimate)
        cost_micros = caller.plan.price(model).cost_micros(replace(estimate, cached_tokens=0))
        with self._store.write() as session:
            now, tokens = self._clock(), estimate.total_tokens
            rates.take(session, caller.meter_id, caller.plan, tokens, now)
            if cost_micros and not balance.reserve(session, caller.tenant_id, cost_micros):
                raise _out_of_credits(session, caller, cost_micros)
            row = ReservationRow.of(caller, model, cost_micros, tokens)
            row.holder, row.renewed_at, row.claim = self._holder, now, claim
            session.add(row)
            session.flush()
            standing = self._standing(session, caller)
        return Admission(row.id, caller.tenant_id, model, cost_micros, tokens, standing)

    def check(self, caller: Caller, model: str) -> None:
        """Raise what `admit` would of the least request; counts nothing, reserves nothing.

        For whoever would otherwise do costly things, such as loading a model, in vain.
        """
        caller.plan.check_model(model)
        least_micros = caller.plan.price(model).cost_micros(Usage(1))
        with self._store.read() as session:
            rates.check(session, caller.meter_id, caller.plan, self._clock())
            if _balance(session, caller.tenant_id).available_micros < least_micros:
                raise _out_of_credits(session, caller, least_micros)

    def extend(self, caller: Caller, admission: Admission, tokens: int) -> None:
        """Reserve more tokens for an answer under way, at the price of its admission.

        LimitError, and nothing is changed, if rates, month or credits do not allow it;
        ConflictError if the request is settled already.
        """
        with self._store.write() as session:
            row = session.get(
                ReservationRow, admission.id, with_for_update=True, populate_existing=True
            )
            if row is None:
                raise ConflictError("the request is settled already; nothing can be added to it")
            rates.take_more(session, row.meter_id, caller.plan, tokens, self._clock())
            cost_micros = row.price().cost_micros(Usage(0, tokens))
            if cost_micros and not balance.reserve(session, row.tenant_id, cost_micros):
                raise _out_of_credits(session, caller, cost_micros)
            row.reserved_tokens += tokens
            row.reserved_micros += cost_micros

    def renew(self, counted: Mapping[str, Usage]) -> None:
        """Keep requests under way from counting as crashed, by admission id.

        The usage is what the engine has counted so far: a crash is settled to the last of these.
        """
        with self._store.write() as session:
            for admission_id in sorted(counted):  # one order, so that two processes never deadlock
                usage = counted[admission_id]
                session.execute(
                    update(ReservationRow)
                    .where(ReservationRow.id == admission_id)
                    .values(renewed_at=self._clock(), **_tokens(usage))
                )

    def settle(self, admission: Admission, usage: Usage, outcome: Outcome) -> Charge:
        """Charge what the engine counted, once: a second call returns the first one's charge.

        The cost is rounded up to a whole micro-unit and never exceeds the reservation.
        """
        _check_usage(usage)
        return self._settle(admission.id, usage, outcome)

    def release_stale(self, older_than_s: float = LEASE_S) -> int:
        """Settle what crashed processes left, to what was last counted; returns how many.

        Those are the leases not renewed for so long, and those of processes that are gone.
        Call it at start, and every minute.
        """
        stale = self._clock() - timedelta(seconds=older_than_s)
        with self._store.read() as session:
            left = [
                row.id
                for row in session.scalars(select(ReservationRow))
                if row.renewed_at <= stale or holder.is_gone(row.holder)
            ]
        for admission_id in left:
            self._settle(admission_id, None, "crash")
        return len(left)

    def standing(self, caller: Caller) -> Standing:
        """Return what is left of rates, month and credits."""
        with self._store.read() as session:
            return self._standing(session, caller)

    def balance(self, tenant: str) -> Balance:
        """Return a tenant's money, by id or name."""
        with self._store.read() as session:
            return _balance(session, find_tenant(session, tenant).id)

    def credit(
        self,
        tenant: str,
        amount_micros: int,
        *,
        currency: str | None = None,
        reference: str | None = None,
        note: str = "",
        actor: str = "system",
    ) -> Balance:
        """Add money, or take back what is still there (a negative amount), once a reference.

        CreditError if that much is not there; ConflictError in another currency.
        """
        if amount_micros == 0 or abs(amount_micros) > 2**53:
            raise InvalidParameterError("an amount of credits is a whole number, not 0")
        with self._store.write() as session:
            tenant_id = find_tenant(session, tenant).id
            row = session.get(BalanceRow, tenant_id, with_for_update=True, populate_existing=True)
            assert row is not None, "a tenant has a balance from its creation on"
            if reference is not None and entries.find(session, reference):
                return row.balance()
            _check_credit(row, amount_micros, currency)
            balance.credit(session, tenant_id, amount_micros)
            now = self._clock()
            session.add(
                EntryRow(
                    tenant_id=tenant_id,
                    kind="credit",
                    amount_micros=amount_micros,
                    currency=row.currency,
                    reference=reference or new_id("crd"),
                    at=now,
                    day=entries.day_of(now),
                    note=note,
                )
            )
            audit.note(session, now, actor, "credits.add", tenant_id, amount_micros=amount_micros)
            return _balance(session, tenant_id)

    def _settle(self, admission_id: str, usage: Usage | None, outcome: Outcome) -> Charge:
        assert outcome in OUTCOMES
        with self._store.write() as session:
            row = session.scalar(
                delete(ReservationRow)
                .where(ReservationRow.id == admission_id)
                .returning(ReservationRow),
                execution_options={"synchronize_session": False},
            )
            if row is None:
                settled = entries.find(session, admission_id)
                assert settled is not None, "an admission is either reserved or settled"
                return settled.charge()
            return self._charge(session, row, row.counted() if usage is None else usage, outcome)

    def _charge(
        self, session: Session, row: ReservationRow, usage: Usage, outcome: Outcome
    ) -> Charge:
        now = self._clock()
        if row.claim is not None:
            hold_tenant(session, row.tenant_id)  # attempts are settled one after the other
            usage = entries.beyond(usage, entries.paid(session, row.claim))
        cost_micros = min(row.price().cost_micros(usage), row.reserved_micros)
        rates.give_back(
            session,
            row.meter_id,
            now,
            reserved=row.reserved_tokens,
            used=usage.total_tokens,
            per_minute=row.tokens_per_minute,
        )
        if row.reserved_micros:
            balance.settle(session, row.tenant_id, row.reserved_micros, cost_micros)
        entry = row.entry(usage, cost_micros, outcome, now)
        session.add(entry)
        return entry.charge()

    def _standing(self, session: Session, caller: Caller) -> Standing:
        left = rates.standing(session, caller.meter_id, caller.plan, self._clock())
        return Standing(left, _balance(session, caller.tenant_id), bool(caller.plan.prices))


def _tokens(usage: Usage) -> dict[str, int]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "cached_tokens": usage.cached_tokens,
        "completion_tokens": usage.completion_tokens,
    }


def _balance(session: Session, tenant_id: str) -> Balance:
    row = session.get(BalanceRow, tenant_id, populate_existing=True)
    assert row is not None, "a tenant has a balance from its creation on"
    return row.balance()


def _check_usage(usage: Usage) -> None:
    counts = (usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens)
    if not (all(0 <= n <= MOST_TOKENS for n in counts) and usage.cached_tokens <= counts[0]):
        raise InvalidParameterError(f"this is no count of tokens: {usage}")


def _check_credit(row: BalanceRow, amount_micros: int, currency: str | None) -> None:
    if currency not in (None, row.currency):
        raise ConflictError(f"the tenant's credits are in {row.currency}, not {currency}")
    if row.balance().available_micros + amount_micros < 0:
        raise CreditError("so much is not there: only what is neither spent nor reserved")


def _out_of_credits(session: Session, caller: Caller, cost_micros: int) -> CreditError:
    left = _balance(session, caller.tenant_id)
    return CreditError(
        f"this request may cost {cost_micros / 1e6:.6f} {left.currency}, and "
        f"{left.available_micros / 1e6:.6f} are left; add credits or lower max_tokens"
    )
