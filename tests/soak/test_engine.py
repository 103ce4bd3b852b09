"""The engine's soak at a small size: nobody's answer depends on who else came and went."""

from __future__ import annotations

from itertools import count

from tests.soak.engine import cancel_among, crowd_of, exhaust


def test_cancelled_streams_leave_their_neighbours_bits_alone() -> None:
    with crowd_of(compare_every=1) as crowd:
        cancel_among(crowd, 200)
        assert crowd.ended["cancelled"] > 160  # the others had just said their last
        assert crowd.compared - crowd.ended["cancelled"] > 40
        assert crowd.sound


def test_four_times_what_the_cache_holds_is_answered_as_alone() -> None:
    steps = count()
    with crowd_of(compare_every=1) as crowd:
        exhaust(crowd, lambda: next(steps) < 300)
        assert crowd.engine.scheduler.preemptions > 0
        assert crowd.ended.keys() == {"length"}
        assert crowd.sound
