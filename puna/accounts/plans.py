"""Plans: which models a tenant may use, how fast, how much a month, and at what price.

In: a plan's terms.  Out: the terms again, and what a request costs.
Money is in whole micro-units of the plan's currency (1,000,000 = 1 USD); no float anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sqlalchemy import JSON, BigInteger, Integer, String, select
from sqlalchemy.orm import Mapped, mapped_column

from puna.accounts import audit
from puna.accounts.schema import Base, Clock, Moment, utc_now
from puna.accounts.store import Store
from puna.chat import Usage
from puna.errors import ConflictError, ForbiddenError, InvalidParameterError, NotFoundError

EVERY_MODEL = "*"
MILLION = 1_000_000
MOST = 2**53  # what JSON's readers hold exactly


@dataclass(frozen=True)
class Price:
    """Micro-units for a million tokens of each kind."""

    input_micros: int
    cached_input_micros: int
    output_micros: int

    def cost_micros(self, usage: Usage) -> int:
        """Return what a request costs, rounded up to a whole micro-unit, once for the request."""
        fresh = usage.prompt_tokens - usage.cached_tokens
        millionths = (
            fresh * self.input_micros
            + usage.cached_tokens * self.cached_input_micros
            + usage.completion_tokens * self.output_micros
        )
        return -(-millionths // MILLION)


FREE_OF_CHARGE = Price(0, 0, 0)


def _check(plan: Plan) -> None:
    if not (0 < len(plan.id) <= 64 and plan.id.replace("-", "").replace("_", "").isalnum()):
        raise InvalidParameterError(f"a plan is named in letters, digits and dashes: {plan.id!r}")
    if not (len(plan.currency) == 3 and plan.currency.isascii() and plan.currency.isupper()):
        raise InvalidParameterError(f"a currency is three capitals such as USD: {plan.currency!r}")
    for name in ("requests_per_minute", "tokens_per_minute", "concurrent_requests"):
        _check_number(name, getattr(plan, name), least=1)
    _check_number("monthly_tokens", plan.monthly_tokens, least=0)
    for price in plan.prices.values():
        for name, micros in asdict(price).items():
            _check_number(name, micros, least=0)


def _check_number(name: str, value: int | None, least: int) -> None:
    if value is not None and not least <= value <= MOST:
        raise InvalidParameterError(f"{name} is {value}; a whole number from {least} is needed")


@dataclass(frozen=True)
class Plan:
    """The terms; None means without limit."""

    id: str
    title: str = ""
    models: tuple[str, ...] = (EVERY_MODEL,)
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_requests: int | None = None
    monthly_tokens: int | None = None
    currency: str = "USD"
    priority: int = 0  # of those who wait, the higher is served first
    prices: Mapping[str, Price] = field(default_factory=dict)  # by model, or "*"; none: free
    offered: bool = False  # whether a tenant may move to it without the owner

    def __post_init__(self) -> None:
        _check(self)

    def check_model(self, model: str) -> None:
        """Raise ForbiddenError if the plan does not offer the model."""
        if EVERY_MODEL not in self.models and model not in self.models:
            offered = ", ".join(self.models)
            raise ForbiddenError(f"the plan {self.id!r} offers {offered}, not {model!r}")

    def price(self, model: str) -> Price:
        """Return the model's price; a plan that has prices must have one for each model."""
        if not self.prices:
            return FREE_OF_CHARGE
        found = self.prices.get(model) or self.prices.get(EVERY_MODEL)
        if found is None:
            raise ForbiddenError(f"the plan {self.id!r} has no price for {model!r}")
        return found


FREE = Plan(
    "free",
    "Free",
    requests_per_minute=20,
    tokens_per_minute=20_000,
    concurrent_requests=2,
    monthly_tokens=1_000_000,
)
OWNER = Plan("owner", "Owner", priority=10)


class PlanRow(Base):
    """One plan."""

    __tablename__ = "plans"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    title: Mapped[str] = mapped_column(String(200))
    models: Mapped[Any] = mapped_column(JSON)  # a list of names
    requests_per_minute: Mapped[int | None] = mapped_column(BigInteger)
    tokens_per_minute: Mapped[int | None] = mapped_column(BigInteger)
    concurrent_requests: Mapped[int | None] = mapped_column(BigInteger)
    monthly_tokens: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    priority: Mapped[int] = mapped_column(Integer)
    offered: Mapped[bool] = mapped_column(default=False)
    prices: Mapped[Any] = mapped_column(JSON)  # {model: [input, cached input, output]}
    created_at: Mapped[Any] = mapped_column(Moment)

    def terms(self) -> Plan:
        """Return what the row says."""
        return Plan(
            self.id,
            self.title,
            tuple(self.models),
            self.requests_per_minute,
            self.tokens_per_minute,
            self.concurrent_requests,
            self.monthly_tokens,
            self.currency,
            self.priority,
            {model: Price(*micros) for model, micros in self.prices.items()},
            self.offered,
        )


class Plans:
    """The plans of this installation; "free" and "owner" are there from the start."""

    def __init__(self, store: Store, clock: Clock = utc_now) -> None:
        self._store, self._clock = store, clock

    def create(self, plan: Plan, *, actor: str = "system") -> Plan:
        """Add a plan; ConflictError if its id is taken."""
        with self._store.write() as session:
            if session.get(PlanRow, plan.id):
                raise ConflictError(f"there is a plan {plan.id!r} already")
            session.add(PlanRow(id=plan.id, created_at=self._clock(), **_columns(plan)))
            audit.note(session, self._clock(), actor, "plan.create", plan.id)
        return plan

    def change(self, plan_id: str, *, actor: str = "system", **terms: Any) -> Plan:
        """Give some terms new values, from the next request on; `id` and `currency` stay."""
        if not terms.keys() <= asdict(FREE).keys() - {"id", "currency"}:
            raise InvalidParameterError("a plan's id and currency stay as they are")
        with self._store.write() as session:
            row = find_row(session.get(PlanRow, plan_id, with_for_update=True), plan_id)
            plan = replace(row.terms(), **terms)
            for column, value in _columns(plan).items():
                setattr(row, column, value)
            audit.note(session, self._clock(), actor, "plan.change", plan_id, **terms_shown(terms))
        return plan

    def get(self, plan_id: str) -> Plan:
        """Return a plan; NotFoundError if there is none."""
        with self._store.read() as session:
            return find_row(session.get(PlanRow, plan_id), plan_id).terms()

    def list(self) -> list[Plan]:
        """Return all plans, by id."""
        with self._store.read() as session:
            return [row.terms() for row in session.scalars(select(PlanRow).order_by(PlanRow.id))]


def find_row(row: PlanRow | None, plan_id: str) -> PlanRow:
    """Return the row, or say that there is none."""
    if row is None:
        raise NotFoundError(f"there is no plan {plan_id!r}; `puna plans` lists them")
    return row


def terms_shown(terms: Mapping[str, Any]) -> dict[str, Any]:
    """Return terms as the audit log keeps them: plain JSON."""
    return {name: _plain(value) for name, value in terms.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {model: list(asdict(price).values()) for model, price in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _columns(plan: Plan) -> dict[str, Any]:
    names = [name for name in plan.__dataclass_fields__ if name != "id"]
    return {name: _plain(getattr(plan, name)) for name in names}
