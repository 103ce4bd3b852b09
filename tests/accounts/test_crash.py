"""kill -9 in the middle of writing: what was promised is there, once."""

from __future__ import annotations

from pathlib import Path
from random import Random

from tests.accounts.writer import kill_and_check, prepare

KILLS = 20


def test_twenty_kills_lose_nothing(url: str, folder: Path) -> None:
    check_kills(url, folder / "promised", KILLS)


def check_kills(
    url: str, log: Path, kills: int, within_s: float = 0.05, seed: int = 20261124
) -> int:
    prepare(url)
    random = Random(seed)
    promised = sum(
        kill_and_check(url, log, run, random.uniform(0, within_s)) for run in range(kills)
    )
    assert promised >= kills
    return promised
