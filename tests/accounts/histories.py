"""Random histories of requests: whatever happens in whatever order, the books balance.

In: a database.  Out: a state machine for hypothesis.
"""

from __future__ import annotations

from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from puna.accounts import Plan, Store, new_id
from puna.accounts.entries import OUTCOMES, Outcome
from puna.accounts.ledger import Admission
from puna.chat import Usage
from puna.errors import LimitError
from tests.accounts.world import PRICE, ManualClock, World, check_books

counts = st.integers(0, 400)
usages = st.builds(lambda p, c, cached: Usage(p, c, min(p, cached)), counts, counts, counts)
MONTHLY, CREDITS = 4_000, 8_000


class Histories(RuleBasedStateMachine):
    """A tenant's requests, with what must be reserved kept beside the database."""

    url = ""
    worlds: ClassVar[dict[str, World]] = {}  # by address: one is opened for all histories

    running = Bundle("running")
    settled = Bundle("settled")

    def __init__(self) -> None:
        super().__init__()
        self.world = self._world()
        self.open: dict[str, Admission] = {}
        self.spent = self.used = 0
        with self.world.store.write():
            self.tenant = self.world.tenants.create(new_id("name"), "limited")
            self.world.ledger.credit(self.tenant.id, CREDITS)
            secret = self.world.keys.create("key", self.tenant.id).secret
        self.caller = self.world.keys.verify(secret)

    @rule(target=running, estimate=usages)
    def admit(self, estimate: Usage) -> Any:
        """Admitted exactly if credits and month allow it."""
        reserved = sum(admission.reserved_micros for admission in self.open.values())
        tokens = sum(admission.reserved_tokens for admission in self.open.values())
        cost = PRICE.cost_micros(Usage(estimate.prompt_tokens, estimate.completion_tokens))
        fits = self.spent + reserved + cost <= CREDITS
        fits &= self.used + tokens + estimate.total_tokens <= MONTHLY
        try:
            admission = self.world.ledger.admit(self.caller, "smollm2", estimate)
        except LimitError:
            assert not fits
            return None
        assert fits
        self.open[admission.id] = admission
        return admission

    @rule(target=settled, admission=consumes(running), usage=usages, how=st.sampled_from(OUTCOMES))
    def settle(self, admission: Admission | None, usage: Usage, how: Outcome) -> Any:
        """To what was counted, within what was reserved."""
        if admission is None:
            return None
        charge = self.world.ledger.settle(admission, usage, how)
        if self.open.pop(admission.id, None) is not None:
            assert charge.cost_micros == min(PRICE.cost_micros(usage), admission.reserved_micros)
            self.spent += charge.cost_micros
            self.used += usage.total_tokens
        return admission

    @rule(admission=settled, usage=usages)
    def settle_again(self, admission: Admission | None, usage: Usage) -> None:
        """A second settlement is no settlement."""
        if admission is not None:
            self.world.ledger.settle(admission, usage, "success")

    @rule(admission=running, usage=usages)
    def crash(self, admission: Admission | None, usage: Usage) -> None:
        """The process counts on for a while and dies; its lease runs out."""
        if admission is None or admission.id not in self.open:
            return
        self.world.ledger.renew({admission.id: usage})
        self.world.clock.move(30)
        others = {key: Usage() for key in self.open if key != admission.id}
        self.world.ledger.renew(others)
        self.world.clock.move(30)
        assert self.world.ledger.release_stale() == 1
        crashed = self.open.pop(admission.id)
        self.spent += min(PRICE.cost_micros(usage), crashed.reserved_micros)
        self.used += usage.total_tokens

    @invariant()
    def sums_agree(self) -> None:
        """The row in the database says what the history says."""
        balance = self.world.ledger.balance(self.tenant.id)
        assert balance.spent_micros == self.spent
        assert balance.reserved_micros == sum(a.reserved_micros for a in self.open.values())
        assert 0 <= balance.spent_micros + balance.reserved_micros <= CREDITS

    def teardown(self) -> None:
        """When all is settled, nothing is reserved.

        Other histories' books are looked at once all have ended: to look at them each time would
        take the square of their number.
        """
        for admission in self.open.values():
            self.world.ledger.settle(admission, Usage(1, 1), "shutdown")
        check_books(self.world.store, self.tenant.id)

    @classmethod
    def _world(cls) -> World:
        if cls.url not in cls.worlds:
            store, clock = Store.open(cls.url), ManualClock()
            world = cls.worlds[cls.url] = World(store, clock)
            world.plans.create(Plan("limited", monthly_tokens=MONTHLY, prices={"*": PRICE}))
        return cls.worlds[cls.url]
