"""Random histories of admissions, settlements and crashes end with nothing reserved."""

from __future__ import annotations

from typing import ClassVar

from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.accounts.histories import Histories
from tests.accounts.world import World, check_books

HISTORIES, STEPS = 12, 25


def test_whatever_happens_the_books_balance(url: str) -> None:
    check_histories(url, HISTORIES, STEPS)


def check_histories(url: str, histories: int, steps: int, seeded: int = 20261124) -> None:
    @seed(seeded)
    class Here(Histories):
        worlds: ClassVar[dict[str, World]] = {}

    Here.url = url
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=histories,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    for world in Here.worlds.values():
        check_books(world.store)
        world.store.close()
