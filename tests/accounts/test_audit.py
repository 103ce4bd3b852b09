"""Every change leaves a line: who, what, when; never a secret."""

from __future__ import annotations

from puna.accounts import Audit
from tests.accounts.world import World


def test_changes_are_noted_in_their_order(world: World) -> None:
    world.keys.revoke(world.key.key.id, actor="usr_ada")
    world.ledger.credit("acme", 5, actor="cli")
    world.plans.change("paid", priority=5)
    lines = Audit(world.store).latest()
    assert [(line.actor, line.action) for line in lines] == [
        ("system", "plan.change"),
        ("cli", "credits.add"),
        ("usr_ada", "key.revoke"),
        ("system", "key.create"),
        ("system", "tenant.create"),
        ("system", "plan.create"),
    ]
    assert lines[0].detail == {"priority": 5}
    assert lines[0].at == world.clock()
    assert world.key.secret not in repr(lines)
    assert len(Audit(world.store).latest(2)) == 2
